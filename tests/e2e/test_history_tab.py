"""Tests the tab History in a real browser: runs are found, named, pinned, compared, opened and removed, also
after a restart.
"""

from __future__ import annotations

import csv
import re
from pathlib import Path

from playwright.sync_api import Browser, Dialog, Page, expect

from .conftest import Server, Visit, opened
from .test_compare_tab import RUN

ROWS = "#history-sheet tbody tr"
RECIPES = ("F1B0_W4I1M0MC3_R0.3_T1O1", "F1B0_W2I1M0MC2_R0.5_T1O1")


def drawn(page: Page, text: str) -> None:
    """Make one more run on this page's baseline."""
    before = page.locator("#runs [data-index]").count()
    page.locator("#recipe-text input, #recipe-text textarea").first.fill(text)
    page.locator("#generate").click()  # clicked at once: the typed value is the one that runs
    expect(page.locator("#runs [data-index]")).to_have_count(before + 1, timeout=RUN)
    expect(page.locator("#generate")).to_be_enabled()


def shown(page: Page) -> None:
    page.get_by_role("tab", name="History").click()
    expect(page.locator("#history-open")).to_be_visible()


def test_a_run_is_found_again_after_a_restart_and_opened_in_compare(
    browser: Browser, own_server: Server
) -> None:
    own_server.start()
    page = opened(browser, own_server)
    page.locator("#steps input").fill("6")
    page.locator("#steps input").press("Tab")
    for text in RECIPES:
        drawn(page, text)
    figures = (
        page.locator("[data-card=psnr] .num").inner_text(),
        page.locator("[data-card=flops]").inner_text(),
    )
    own_server.kill()
    page.context.close()

    own_server.start()
    page = opened(browser, own_server)
    shown(page)
    expect(page.locator(ROWS)).to_have_count(2)
    expect(page.locator("#history-card")).to_contain_text(RECIPES[1])  # the newest run
    page.locator("#history-words textarea, #history-words input").press_sequentially("r0.3")
    expect(page.locator(ROWS)).to_have_count(1)
    page.locator("#history-words textarea, #history-words input").press("ControlOrMeta+a")
    page.locator("#history-words textarea, #history-words input").press("Delete")
    expect(page.locator(ROWS)).to_have_count(2)
    page.locator("#history-open").click()
    expect(page.get_by_role("tab", name="Compare")).to_have_attribute("aria-selected", "true")
    expect(page.locator("[data-card=psnr] .num")).to_have_text(figures[0])
    expect(page.locator("[data-card=flops]")).to_contain_text(re.compile(r"→"))
    assert page.locator("[data-card=flops]").inner_text() == figures[1]
    expect(page.locator("#recipe-text input, #recipe-text textarea").first).to_have_value(RECIPES[1])
    expect(page.locator("#steps input")).to_have_value("6")
    expect(page.locator("#timeline .cl-step")).to_have_count(6)
    page.locator(
        "#generate"
    ).click()  # the times were measured on another, busy machine: they must not look like those of a new run
    expect(page.locator("#runs [data-index]")).to_have_count(2, timeout=RUN)
    expect(page.locator("#status")).not_to_contain_text("eused")
    expect(page.locator("[data-card=psnr] .num")).to_have_text(figures[0])
    expect(page.locator(".cl-dial .plot")).to_be_visible(timeout=RUN)
    page.context.close()
    own_server.kill()


def test_runs_are_pinned_named_held_against_each_other_and_removed(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    page.locator("#seed input").fill("41")
    page.locator("#steps input").fill("5")
    page.locator("#steps input").press("Tab")
    for text in RECIPES:
        drawn(page, text)
    page.locator("#pin").click()
    expect(page.locator("#shared")).to_contain_text("stays in History")
    expect(page.locator("#pin")).to_have_text("Unpin")
    page.locator("#take").click()
    expect(page.locator("#code textarea")).to_have_value(re.compile("residual_diff_threshold=0.5"))
    page.locator("#runs [data-index='1'] button").click()
    expect(page.locator("#code textarea")).to_have_value(
        re.compile("residual_diff_threshold=0.3")
    )  # belongs to the run that is shown now
    expect(page.locator("#pin")).to_have_text("Pin")
    shown(page)
    expect(page.locator("#history-pin")).to_have_text("Unpin")
    name = page.locator("#history-name input, #history-name textarea")
    name.fill("keeper")
    name.press("Enter")
    expect(page.locator(f"{ROWS}.on .tag")).to_have_text("keeper")
    expect(page.locator(f"{ROWS}.on img")).to_have_js_property("naturalWidth", 96)

    page.locator(f"{ROWS} button").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page.locator("#history-card")).to_contain_text(RECIPES[0])
    expect(name).to_have_value("")
    page.locator("#history-against input").click()
    page.get_by_role("option", name="keeper").click()
    expect(page.locator("#history-status")).to_contain_text(
        re.compile(r"Each against its own baseline: keeper .*, F1B0_W4I1M0MC3_R0.3_T1O1 ")
    )
    expect(page.locator("#history-left")).to_contain_text("keeper")

    with page.expect_download() as saved:
        page.locator("#history-sheet button.save").click()
    saved.value.save_as(tmp_path / "runs.csv")
    with (tmp_path / "runs.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["name"], row["pinned"], row["recipe"], row["seed"]) for row in rows[:2]] == [
        ("keeper", "1", RECIPES[1], "41"),
        ("", "0", RECIPES[0], "41"),
    ]

    asked: list[str] = []

    def answer(dialog: Dialog) -> None:
        asked.append(dialog.message)
        (dialog.accept if len(asked) > 1 else dialog.dismiss)()

    page.on("dialog", answer)
    count = len(rows)
    page.locator("#history-remove").click()  # the user cancels the question
    page.wait_for_timeout(500)
    expect(page.locator(ROWS)).to_have_count(count)
    page.locator("#history-remove").click()
    expect(page.locator(ROWS)).to_have_count(count - 1)
    expect(page.locator("#history-card")).to_contain_text("keeper")
    page.locator("#history-clear").click()
    expect(page.locator(ROWS)).to_have_count(1)
    expect(page.locator(f"{ROWS} .tag")).to_have_text("keeper")
    assert [words.split("?")[0] for words in asked] == ["Remove this run and its pictures"] * 2 + [
        "Remove every run that is not pinned, with its pictures"
    ]
    page.locator("#history-remove").click()
    expect(page.locator("#history-sheet")).to_contain_text("No run yet")
    expect(page.locator("#history-open")).to_be_hidden()
