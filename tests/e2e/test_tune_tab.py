"""Tests the tab Tune in a real browser: a small tune and a small sweep, by mouse and by keyboard; jobs
outlive browser and server.
"""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

from playwright.sync_api import Browser, Page, expect

from .conftest import Server, Visit, opened

PATIENCE = 120_000  # milliseconds: a busy machine is slow, which is not an error
VARY = "residual_diff_threshold = 0.2, 0.5, 1\nmax_continuous_cached_steps = 2, 4"
BEST = '#tune-jobs li[data-state="done"]'


def shown(page: Page) -> Page:
    expect.set_options(timeout=PATIENCE)
    page.locator("#steps input").fill("8")  # on Compare, from which the request is taken
    page.locator("#steps input").press("Tab")
    page.get_by_role("tab", name="Tune").click()
    expect(page.locator("#tune-said")).to_contain_text("settings")
    return page


def press(page: Page, group: str, name: str) -> None:
    # force, because the input covers the label
    page.locator(f"#tune-{group}").get_by_text(name, exact=True).click(force=True)


PROMPTS = ("a fox on a blue background", "a big owl on a pink background")
MORE = tuple(
    f"a {thing} on a red background" for thing in ("car", "star", "fox")
)  # enough runs for one to be in progress when the test looks


def wish(page: Page, floor: str = "30", prompts: tuple[str, ...] = PROMPTS) -> None:
    page.locator("#tune-value input").fill(floor)
    page.locator("#tune-more button").first.click()
    for name in ("vary", "prompts", "acceptance"):
        expect(page.locator(f"#tune-{name} textarea")).to_have_value(
            re.compile(r"\w")
        )  # the field is filled when it unfolds
    page.wait_for_timeout(500)
    for name, text in (
        ("vary", VARY),
        ("prompts", "\n".join(prompts)),
        ("acceptance", "a pig on a green background"),
    ):
        page.locator(f"#tune-{name} textarea").fill(text)
    expect(page.locator("#tune-said")).to_contain_text(
        f"12 settings, estimated from {len(prompts)} baseline runs; the best is then run on 1 other"
    )


def test_a_tune_from_the_wish_to_a_preset(visit: Visit, tmp_path: Path) -> None:
    page = shown(visit.page)
    wish(page)
    page.locator("#tune-vary textarea").fill("residual_diff_threshold = 0.2..0.4")
    expect(page.locator("#tune-said")).to_contain_text("is not a range; write low..high /count")
    page.locator("#tune-vary textarea").fill(VARY)
    page.locator("#tune-start").click()
    expect(page.locator(BEST)).to_be_visible()
    expect(page.locator("#tune-card")).to_contain_text("of 2 tuning prompts")
    expect(page.locator("#tune-card")).to_contain_text("Other prompts that pass (1)")
    expect(page.locator("#tune-margins .track b").first).to_be_visible()
    assert page.locator("#tune-accelerated img").evaluate("one => one.naturalWidth") == 256

    # a point reacts to the mouse: hover, click, and the row that belongs to it
    point = page.locator(
        "#tune-chart .pt:has([data-mark=expected]), #tune-chart .pt:has([data-mark=cross])"
    ).last
    key = point.get_attribute("data-id") or ""
    point.scroll_into_view_if_needed()
    box = point.bounding_box()
    assert box
    page.mouse.move(box["x"] + 12, box["y"] + 12)
    expect(page.locator("#tune-chart .tip")).to_contain_text("less compute")
    page.mouse.click(box["x"] + 12, box["y"] + 12)
    expect(page.locator("#tune-sheet tr.on")).to_have_attribute("data-id", key)
    expect(page.locator("#tune-card")).to_contain_text("Chosen")
    press(page, "rows", "measured")
    measured = page.locator("#tune-sheet tbody tr")
    expect(measured.first).to_be_visible()
    assert measured.count() < 12
    press(page, "speed", "time")
    expect(page.locator("#tune-chart")).to_contain_text("times faster")
    measured.first.locator("button").click()
    expect(page.locator("#tune-card .cl-kind")).to_have_text("measured")
    picture = page.locator("#tune-chart .pt[aria-selected=true]").bounding_box()
    assert picture
    page.mouse.move(picture["x"] + 12, picture["y"] + 12)
    assert (
        page.locator("#tune-chart .tip img").evaluate(
            "async one => { await one.decode(); return one.naturalWidth; }"
        )
        == 256
    )

    # and to the keyboard
    marks = page.locator("#tune-chart .marks")
    marks.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    chosen = page.locator("#tune-chart .pt[aria-selected=true]").get_attribute("data-id")
    expect(page.locator("#tune-chart .pt[aria-selected=true]")).to_have_attribute("data-id", chosen or "")

    # the exported files contain the figures of the table
    with page.expect_download() as got:
        page.locator("#tune-csv").click()
    got.value.save_as(tmp_path / "settings.csv")
    rows = list(csv.DictReader((tmp_path / "settings.csv").open(encoding="utf-8", newline="")))
    assert {row["state"] for row in rows} == {"measured", "expected"}
    assert len([row for row in rows if row["state"] == "measured"]) == measured.count()
    with page.expect_download() as got:
        page.locator("#tune-json").click()
    got.value.save_as(tmp_path / "result.json")
    assert json.loads((tmp_path / "result.json").read_text(encoding="utf-8"))["stage"] == "done"

    # a measured setting becomes a preset and opens in Compare
    mine = page.locator("#tune-sheet tbody tr").first
    recipe, name = mine.get_attribute("data-id") or "", mine.locator("button").inner_text()
    mine.locator("button").click()
    expect(page.locator("#tune-card .code")).to_have_text(name)
    page.locator("#tune-name textarea, #tune-name input").first.fill("Mine")
    page.locator("#tune-save").click()
    expect(page.locator("#tune-saved")).to_contain_text("Saved: “Mine” is among the presets of")
    page.locator("#tune-open").click()
    expect(page.get_by_role("tab", name="Compare")).to_have_attribute("aria-selected", "true")
    expect(page.locator("#recipe-text textarea, #recipe-text input").first).to_have_value(recipe)
    expect(page.locator("#preset").get_by_text("Mine", exact=True)).to_be_visible()
    expect(page.locator("#steps input")).to_have_value("8")


def test_a_sweep_is_stopped_half_way_and_swapped(visit: Visit) -> None:
    page = shown(visit.page)
    press(page, "mode", "Sweep a grid")
    for place, values in enumerate(("0.1..0.5 /3", "1, 2, 4")):
        page.locator(f"#sweep-values-{place} textarea, #sweep-values-{place} input").first.fill(values)
    expect(page.locator("#tune-said")).to_contain_text("9 settings and the baseline on")
    page.locator("#tune-start").click()
    done = page.locator("#sweep-cells button[data-state=done]")
    expect(done.nth(1)).to_be_visible()
    page.locator('#tune-jobs li.on [data-act="stop"]').click()
    expect(page.locator("#tune-jobs li.on")).to_have_attribute("data-state", "stopped")
    finished = done.count()
    assert 2 <= finished < 9
    expect(page.locator("#sweep-cells button[data-state=waiting]")).to_have_count(9 - finished)
    heads = page.locator("#sweep-cells thead th")
    expect(heads.nth(1)).to_have_text("0.1")
    page.locator("#sweep-swap").click()
    expect(heads.nth(1)).to_have_text("1")
    expect(done).to_have_count(finished)

    done.first.focus()
    page.keyboard.press("Enter")
    expect(page.locator("#tune-card")).to_contain_text("PSNR")
    page.keyboard.press("ArrowDown")
    expect(page.locator("#sweep-cells button:focus")).to_have_attribute("aria-current", "true")
    page.locator('#tune-jobs li.on [data-act="resume"]').click()
    expect(page.locator("#tune-jobs li.on")).to_have_attribute("data-state", "done")
    expect(done).to_have_count(9)
    done.last.dblclick()
    expect(page.get_by_role("tab", name="Compare")).to_have_attribute("aria-selected", "true")


def test_a_tune_outlives_browser_and_server_and_lets_a_comparison_through(
    browser: Browser, own_server: Server
) -> None:
    server = own_server
    server.start()
    page = shown(opened(browser, server))
    wish(page, prompts=MORE)
    page.locator("#tune-start").click()
    expect(page.locator("#tune-jobs li")).to_have_count(1)
    page.locator("#tune-value input").fill("45")
    page.locator("#tune-prompts textarea").fill(MORE[0])
    expect(page.locator("#tune-said")).to_contain_text("estimated from 1 baseline run")
    page.locator("#tune-start").click()
    expect(page.locator("#tune-jobs li")).to_have_count(2)
    page.get_by_role("tab", name="Compare").click()
    page.locator("#generate").click()
    expect(page.locator("#status .cl-status")).to_have_attribute("data-kind", "done")
    page.get_by_role("tab", name="Tune").click()
    on_its_way = '#tune-jobs li[data-state="waiting"], #tune-jobs li[data-state="running"]'
    expect(page.locator(on_its_way).first).to_be_visible()  # the comparison did not wait for both jobs
    page.context.close()  # the browser is closed

    page = opened(browser, server)
    page.get_by_role("tab", name="Tune").click()
    expect(page.locator("#tune-jobs li")).to_have_count(2)
    expect(page.locator("#tune-jobs li").last.locator("small")).to_contain_text("picture")
    server.kill()
    page.context.close()
    tables = sorted((server.folder / "kept" / "jobs").glob("*/table.jsonl"))
    before = {path: path.read_text(encoding="utf-8") for path in tables}
    assert any(before.values())

    server.start()
    page = opened(browser, server)
    page.get_by_role("tab", name="Tune").click()
    expect(page.locator('#tune-jobs li[data-state="interrupted"]').first).to_be_visible()
    for _ in range(page.locator('#tune-jobs li[data-state="interrupted"]').count()):
        page.locator('#tune-jobs li[data-state="interrupted"] [data-act="resume"]').first.click()
        page.wait_for_timeout(500)
    expect(page.locator(BEST)).to_have_count(2)
    for path in sorted((server.folder / "kept" / "jobs").glob("*/table.jsonl")):
        text = path.read_text(encoding="utf-8")
        whole = before.get(path, "")[: before.get(path, "").rfind("\n") + 1]
        assert text.startswith(whole)  # no finished run is lost
        keys = [(row["prompt"], row["setting"]) for row in map(json.loads, text.splitlines())]
        assert len(keys) == len(set(keys))  # and no run was made twice
    page.context.close()
    server.kill()
