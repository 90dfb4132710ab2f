"""Tests the tab Published in a real browser: filters, card, an added benchmark, and opening a point in
Compare, by mouse and by keyboard.
"""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from cache_engine.__main__ import main

from .conftest import Visit

KEY = "FLUX.1-dev F1B0_W4I1M0MC6_R0.24_T1O1"
POINTS = "#published-chart .pt"


def shown(visit: Visit) -> Page:
    expect.set_options(timeout=30_000)  # a busy machine is slow, which is not an error
    visit.page.get_by_role("tab", name="Published").click()
    expect(visit.page.locator("#published-chart .marks")).to_be_visible()
    return visit.page


def point(page: Page, key: str) -> Locator:
    return page.locator(f'{POINTS}[data-id="{key}"]')


def press(page: Page, group: str, name: str) -> None:
    page.locator(f"#published-{group}").get_by_text(name, exact=True).click(
        force=True
    )  # force, because the input covers the label


def at(page: Page, key: str, *, down: float = 0) -> tuple[float, float]:
    box = point(page, key).bounding_box()
    assert box
    return box["x"] + 12, box["y"] + 12 + down


def test_filters_narrow_chart_and_table_alike(visit: Visit) -> None:
    page = shown(visit)
    rows = page.locator("#published-sheet tbody tr")
    expect(rows).to_have_count(97)
    press(page, "families", "▲  Other methods")
    expect(rows).to_have_count(84)
    press(page, "F", "8")
    expect(rows).to_have_count(6 + 28)  # the baselines and fewer steps, and the rows with 8 first blocks
    press(page, "R", "0.8")
    expect(rows).to_have_count(6)  # F8 was never run at 0.8: the remaining rows have no such knob
    press(page, "F", "8")
    press(page, "F", "1")
    page.locator("#published-find input").fill("MC10 t1")
    expect(rows).to_have_count(3)
    expect(page.locator(POINTS)).to_have_count(3)
    press(page, "quality", "SSIM")
    expect(page.locator("#published-chart")).to_contain_text(
        "None of these 3 rows prints both SSIM and TFLOPs."
    )
    press(page, "model", "Qwen-Image-Lightning")
    page.locator("#published-find input").fill("")
    press(page, "quality", "PSNR")
    expect(page.locator(POINTS)).to_have_count(5)


def test_a_figure_is_read_as_printed_or_against_its_own_baseline_and_lights_its_notes(visit: Visit) -> None:
    page = shown(visit)
    cell = page.locator(f'#published-sheet [data-id="{KEY}"] td').nth(1)
    expect(cell).to_have_text("3.94×")
    press(page, "figures", "as printed")
    expect(cell).to_have_text("944.75")
    expect(page.locator("#published-notes .on")).to_contain_text(["ratios of TFLOPs", "Four baselines"])
    press(page, "quality", "PSNR")
    expect(page.locator("#published-notes .on")).to_contain_text(["ratios of TFLOPs", "wraps around"])
    expect(page.locator("#published-notes .on details").nth(1)).to_have_attribute("open", "")
    press(page, "speed", "Latency")
    expect(page.locator("#published-chart")).to_contain_text("seconds as printed")
    expect(page.locator("#published-notes .on")).to_contain_text(["Four baselines", "wraps around"])


def test_point_and_row_choose_each_other_and_the_mouse_opens_it_in_compare(visit: Visit) -> None:
    page = shown(visit)
    press(page, "quality", "LPIPS")
    expect(page.locator("#published-chart")).to_contain_text("lower is better")
    page.mouse.move(*at(page, KEY))
    expect(page.locator("#published-chart .tip")).to_contain_text("preset Medium + TaylorSeer")
    page.mouse.click(*at(page, KEY))
    expect(page.locator("#published-setting")).to_contain_text("F1B0_W4I1M0MC6_R0.24_T1O1")
    expect(page.locator("#published-setting")).to_contain_text("944.75 of 3726.87")
    expect(page.locator("#published-sheet tr.on")).to_have_attribute("data-id", KEY)

    other = page.locator("#published-sheet tbody tr:not(.on)").first
    key = other.get_attribute("data-id") or ""
    other.locator("td").nth(2).click()
    expect(page.locator("#published-setting .code")).to_have_text(key.split(" ", 1)[1])
    page.locator(f'#published-sheet [data-id="{KEY}"] button').click()
    expect(point(page, KEY)).to_have_attribute("aria-selected", "true")
    expect(page.locator(f"{POINTS}[aria-selected=true]")).to_have_count(1)

    page.locator("#published-open").click()
    expect(page.get_by_role("tab", name="Compare")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#recipe-text textarea, #recipe-text input").first).to_have_value(
        "F1B0_W4I1M0MC6_R0.24_T1O1_before"
    )
    expect(page.locator("#steps input")).to_have_value("50")
    expect(page.locator("#knob-dbcache-max_continuous_cached_steps input[type=number]")).to_have_value("6")
    expect(page.locator("#status")).to_contain_text("published for FLUX.1-dev at 50 steps")


def test_the_keyboard_alone_walks_the_points_and_opens_one(visit: Visit) -> None:
    page = shown(visit)
    marks = page.locator("#published-chart .marks")
    page.locator("#published-figures input:checked").focus()
    page.keyboard.press("Tab")
    expect(marks).to_be_focused()  # the points have one tab stop together
    page.keyboard.press("Home")
    expect(page.locator("#published-setting")).to_contain_text("Baseline")
    expect(page.locator("#published-open")).to_be_disabled()
    places = []
    for _ in range(8):
        page.keyboard.press("ArrowRight")
        places.append(
            at(page, page.locator(f"{POINTS}[aria-selected=true]").get_attribute("data-id") or "")[0]
        )
    assert places == sorted(places)
    page.keyboard.press("End")
    expect(page.locator("#published-setting")).to_contain_text("Preset Ultra")
    assert marks.get_attribute("aria-activedescendant") == page.locator(
        f"{POINTS}[aria-selected=true]"
    ).get_attribute("id")
    name = page.locator("#published-setting .code").inner_text()
    page.keyboard.press("Enter")
    expect(page.get_by_role("tab", name="Compare")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#recipe-text textarea, #recipe-text input").first).to_have_value(
        f"{name}_before"
    )  # under the rule of that time


def test_another_method_is_opened_with_its_own_knobs_by_a_double_click(visit: Visit) -> None:
    page = shown(visit)
    page.locator("#published-find input").fill("FoCa(N=5)")
    expect(page.locator(POINTS)).to_have_count(1)
    page.mouse.dblclick(*at(page, "FLUX.1-dev foca(interval=5, first=3)"))
    expect(page.locator("#knob-foca-interval input[type=number]")).to_have_value("5")


@pytest.mark.parametrize(
    "visit",
    [{"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}],
    indirect=True,
)
def test_on_a_phone_the_nearest_point_answers_a_finger(visit: Visit) -> None:
    page = shown(visit)
    expect(page.locator("#published-families")).to_be_hidden()
    page.locator("#published-fold").tap()
    press(page, "families", "○  DBCache")
    expect(page.locator("#published-sheet tbody tr")).to_have_count(97 - 43)
    key = "FLUX.1-dev F1B0_W8I4M0MC10_R0.8_T1O1"
    point(page, key).scroll_into_view_if_needed()
    page.touchscreen.tap(*at(page, key, down=-18))
    expect(page.locator("#published-setting")).to_contain_text("Preset Ultra + TaylorSeer")
    assert page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0


@pytest.fixture(scope="module")
def benchmark(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the folder of a real benchmark: two prompts and two settings, one of which the tables print."""
    folder = tmp_path_factory.mktemp("laid")
    (folder / "prompts").write_text(
        "a small red apple on a blue background\na tiny yellow star on a black background", encoding="utf-8"
    )
    (folder / "methods").write_text("F1B0_W4MC6_R0.24_T1O1\nF1B0_W1MC2_R1", encoding="utf-8")
    assert (
        main(
            [
                "benchmark",
                "--model",
                "tiny",
                "--steps",
                "6",
                "--prompts",
                str(folder / "prompts"),
                "--methods",
                str(folder / "methods"),
                "--metrics",
                "psnr,ssim",
                "--threads",
                "1",
                "--out",
                str(folder / "out"),
            ]
        )
        == 0
    )
    assert main(["benchmark", "summary", str(folder / "out")]) == 0
    return folder / "out"


def test_a_benchmark_of_ones_own_is_laid_over_opened_and_taken_away(
    visit: Visit, benchmark: Path, tmp_path: Path
) -> None:
    page = shown(visit)
    measured = {
        setting["setting"]["key"]: setting
        for setting in json.loads((benchmark / "summary.json").read_text(encoding="utf-8"))["settings"]
    }
    free, medium = "F1B0_W1I1M0MC2_R1_T0O0", "F1B0_W4I1M0MC6_R0.24_T1O1"
    rows, added = page.locator("#published-sheet tbody tr"), page.locator("#published-laid")
    file = page.locator("#published-filters input[type=file]")
    dots = page.locator("#published-chart .pt:has([data-mark=dot])")

    wrong = tmp_path / "wrong.json"
    wrong.write_text((benchmark / "job.json").read_text(encoding="utf-8"), encoding="utf-8")
    file.set_input_files(wrong)
    expect(added).to_contain_text("benchmark: this file was not written by `benchmark summary`")
    expect(rows).to_have_count(97)

    file.set_input_files(benchmark / "summary.json")
    expect(added).to_contain_text("3 settings of tiny FLUX (embedded), 6 steps, 256 × 256, 2 prompts.")
    expect(rows).to_have_count(100)
    expect(page.locator("#published-quality input:checked")).to_have_value(
        "ssim"
    )  # the setting with which the page opens was not scored
    expect(dots).to_have_count(2)
    press(page, "speed", "Latency")
    for key in (medium, free):
        ssim, faster = measured[key]["metrics"]["ssim"], measured[key]["latency_ratio"]
        expect(point(page, f"yours {key}")).to_have_attribute(
            "aria-label",
            f"{key}, yours, measured, tiny FLUX (embedded), 6 steps, "
            f"256 × 256, {faster:.2f}× less time, SSIM {ssim:.4f}",
        )

    page.mouse.move(*at(page, f"yours {medium}"))
    expect(page.locator("#published-chart .tip")).to_contain_text("yours, measured")
    page.locator(f'#published-sheet [data-id="yours {medium}"] button').click()
    card = page.locator("#published-setting")
    expect(card.locator(".cl-kind")).to_have_attribute("data-kind", "measured")
    expect(card).to_contain_text(f"{measured[medium]['metrics']['ssim']:.4f} · published 0.7718")
    expect(card).to_contain_text("cpu")
    expect(card).to_contain_text("2 prompts")
    with page.expect_download() as saved:
        page.get_by_role("button", name="Save these rows").click()
    with saved.value.path().open(encoding="utf-8", newline="") as text:
        kinds = [row["kind"] for row in csv.DictReader(text)]
    assert (kinds.count("published"), kinds.count("measured")) == (97, 3)

    press(page, "families", "●  Your runs")
    expect(dots).to_have_count(0)
    press(page, "families", "●  Your runs")
    press(page, "figures", "as printed")
    expect(page.locator("#published-chart")).to_contain_text("use another model")
    press(page, "figures", "against its baseline")
    page.mouse.click(*at(page, f"yours {free}"))
    expect(card).to_contain_text(free)
    page.locator("#published-open").click()
    expect(page.locator("#recipe-text textarea, #recipe-text input").first).to_have_value(free)
    expect(page.locator("#steps input")).to_have_value("6")
    expect(page.locator("#status")).to_contain_text(f"{free}, measured on tiny FLUX (embedded) at 6 steps.")

    page.get_by_role("tab", name="Published").click()
    page.locator("#published-remove").click()
    expect(rows).to_have_count(97)
    expect(card).to_contain_text("Preset Slow + TaylorSeer")
    expect(page.locator("#published-remove")).to_be_hidden()
    expect(page.locator("#published-families")).not_to_contain_text("Your runs")
