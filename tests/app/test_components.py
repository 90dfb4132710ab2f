"""Tests the drawn components on a page in a browser."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from app import components
from tests.app.gallery import HOSTILE, box, hostile, plain, show


def test_text_is_shown_and_never_run(view: Page) -> None:
    show(view, "hostile")
    for name in hostile():
        expect(view.locator(f"#{name}")).to_contain_text(HOSTILE)
        assert view.locator(f"#{name} img").count() == 0
    view.locator(".cl-step").nth(3).hover()
    expect(view.locator(".cl-readout")).to_contain_text(HOSTILE)
    assert view.evaluate("window.hacked") is None


@pytest.mark.parametrize("name", components.__all__)
def test_templates_are_constants_and_scripts_make_no_markup(name: str) -> None:
    make = getattr(components, name)
    empty, full = (
        (made.html_template, made.css_template, made.js_on_load)
        for made in (make(), make({"title": HOSTILE}))
    )
    assert empty == full
    for template in empty[:2]:
        assert not [sign for sign in ("${", "{{", "`", "\\") if sign in template]
    ways = ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "Function(")
    assert not [way for way in ways if way in empty[2]]


def test_headline_marks_measured_and_counted_numbers(view: Page) -> None:
    show(view, "plain")
    assert view.locator("[data-card=speed] .num").inner_text() == "2.13×"
    assert view.locator("[data-card=flops] .num").inner_text() == "978"
    assert view.locator("[data-card=psnr] .num").inner_text() == "33.6 dB"
    assert view.locator("[data-card=ssim] .num").inner_text() == "0.962"
    assert view.locator("#headline .metric .cl-kind").evaluate_all(
        "marks => marks.map(mark => mark.dataset.kind)"
    ) == ["measured", "counted", "measured", "measured"]
    mark, scale = box(view.locator(".scale em")), box(view.locator(".scale"))
    assert (mark["x"] + mark["width"] / 2 - scale["x"]) / scale["width"] == pytest.approx(
        (33.6123 - 20) / 25, abs=0.01
    )
    view.get_by_text("How it was measured").click()
    expect(view.locator("#headline details")).to_contain_text("33.6123 dB PSNR")
    expect(view.locator("#headline .published")).to_contain_text("published: 871.39 TFLOPs")


def test_a_run_is_chosen_by_mouse_and_by_keyboard(view: Page) -> None:
    show(view, "plain")
    view.locator(".cl-runs [data-index='1'] td").nth(2).click()
    expect(view.locator("#heard textarea")).to_have_value("choose 1")
    view.locator(".cl-runs [data-index='0'] button").focus()
    view.keyboard.press("Enter")
    expect(view.locator("#heard textarea")).to_have_value("choose 0")
    assert view.locator(".cl-runs [aria-current=true]").count() == 1


def test_a_chart_carries_a_frontier(view: Page) -> None:
    show(view, "plain")
    shapes = {
        kind: view.locator(f"#chart .{kind}").get_attribute("d")
        for kind in ("band", "cloud", "limit", "line")
    }
    assert shapes == {
        "band": "M10 20L70 65L70 55L10 10Z",
        "cloud": "M20 70h0M40 80h0",
        "limit": "M0 60L100 60",
        "line": "M10 15L70 60",
    }
    pill, plot = box(view.locator("#chart output")), box(view.locator("#chart .marks"))
    assert pill["y"] + pill["height"] / 2 == pytest.approx(plot["y"] + 0.6 * plot["height"], abs=1)
    expect(view.locator("#chart [aria-selected=true]")).to_have_attribute("data-id", "edge")
    assert (
        view.locator("#chart .pt").evaluate_all("all => new Set(all.map(mark => mark.innerHTML)).size") == 6
    )


def test_a_table_sorts_itself_and_keeps_missing_values_last(view: Page) -> None:
    show(view, "plain")
    column = view.locator("#sheet tbody td:nth-child(3)")
    for press, figures in ((1, ["4.59×", "4.57×"]), (2, ["1.00×", "1.00×"])):
        view.locator("#sheet th button", has_text="Time").click()
        expect(column.first).to_have_text(figures[0])
        assert column.all_inner_texts()[:2] == figures, press
        assert column.all_inner_texts()[-1] == ""
    view.locator("#sheet tbody button").first.focus()
    view.keyboard.press("ArrowDown")
    expect(view.locator("#sheet tbody button").nth(1)).to_be_focused()
    assert view.locator("#sheet tbody button[tabindex='0']").count() == 1


def test_status_keeps_its_place(view: Page) -> None:
    before = box(view.locator(".cl-status"))
    show(view, "plain")
    assert box(view.locator(".cl-status"))["height"] == before["height"]
    expect(view.locator(".cl-status [role=progressbar]")).to_have_attribute("aria-valuenow", "25")
    expect(view.locator(".cl-status")).to_have_attribute("data-kind", "running")


def test_the_dark_switch_is_remembered(view: Page) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = view.evaluate(ground)
    view.get_by_role("button", name="Dark theme").click()
    dark = view.evaluate(ground)
    assert (light, dark) == ("rgb(246, 247, 249)", "rgb(14, 17, 22)")
    view.reload()
    expect(view.get_by_role("button", name="Dark theme")).to_have_attribute("aria-pressed", "true")
    assert view.evaluate(ground) == dark


def test_small_pictures_are_scaled_by_whole_numbers(view: Page) -> None:
    expect(view.locator("#small")).to_have_attribute("data-whole", "")
    shown = box(view.locator("#small img").first)
    assert shown["width"] == shown["height"]
    assert shown["width"] > 64
    assert shown["width"] % 64 == 0
    assert (
        view.locator("#small img").first.evaluate("image => getComputedStyle(image).imageRendering")
        == "pixelated"
    )
    view.get_by_role("button", name="wide", exact=True).click()
    view.wait_for_function("document.querySelector('#small img').naturalWidth === 96")
    shown = box(view.locator("#small img").first)
    assert shown["width"] == 2 * shown["height"]
    assert shown["width"] % 96 == 0


@pytest.mark.parametrize("width", [390, 1024, 1440])
def test_no_sideways_scroll(view: Page, width: int) -> None:
    view.set_viewport_size({"width": width, "height": 900})
    for values in ("plain", "guided", "nothing", "hostile"):
        show(view, values)
        assert view.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, values


def test_every_component_has_a_folder_that_states_its_value_and_its_events() -> None:
    assert set(plain()) <= set(components.__all__)
    for name in components.__all__:
        module = importlib.import_module(f"app.components.{name}")
        value = getattr(module, f"{name.capitalize()}Value")
        assert getattr(components, name).__annotations__["value"] == f"{value.__name__} | None"
        assert value.__annotations__
        folder = Path(module.__file__ or "").parent
        assert (folder / f"{name}.css").is_file()
        script = "".join(path.read_text(encoding="utf-8") for path in folder.glob("*.js"))
        events = set(re.findall(r"(?:trigger|asking)\((?:trigger, )?'(\w+)'", script))
        assert events == set(re.findall(r"``(\w+) \{", module.__doc__ or "")), name
