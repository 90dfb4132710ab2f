"""Tests the exports of a comparison and opening them again, in a real browser."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

from playwright.sync_api import Page, expect

from .conftest import Visit, go_to
from .test_compare_tab import generate, knob, recipe

RECIPE = "F2B0_W3I1M0MC3_R0.33_T1O1"
PROMPT = "a small cat on a <b>green</b> background & 猫"


def setting(page: Page) -> tuple[str, str, str]:
    """Return prompt, seed and recipe as the fields show them."""
    return (
        page.locator("#prompt textarea").input_value(),
        page.locator("#seed input").input_value(),
        page.locator("#recipe-text input, #recipe-text textarea").first.input_value(),
    )


def copied(page: Page, kind: str) -> str:
    page.locator("#code-kind label", has_text=kind).click()
    box = page.locator("#code textarea")
    expect(box).to_have_value(
        re.compile({"Link": r"^http", "Command line": "^python", "cache-dit": "import cache_dit"}[kind])
    )
    return box.input_value()


def test_a_comparison_is_taken_along_and_opens_again(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    page.locator("#take").click()
    expect(page.locator("#shared")).to_contain_text("Generate first")
    page.locator("#prompt textarea").fill(PROMPT)
    page.locator("#seed input").fill("12345")
    page.locator("#steps input").fill("8")
    recipe(page, RECIPE)
    expect(page.locator("#knob-dbcache-Fn_compute_blocks input[type=number]")).to_have_value("2")
    generate(page)
    expect(page.locator("#shared")).to_contain_text("on the baseline of")
    was = setting(page)

    page.locator("#take").click()
    assert "--set residual_diff_threshold=0.33" in copied(page, "Command line")
    assert "Fn_compute_blocks=2" in copied(page, "cache-dit")
    link = copied(page, "Link")
    with page.expect_download() as download:
        page.locator("#pack").click()
    download.value.save_as(tmp_path / "all.zip")
    with zipfile.ZipFile(tmp_path / "all.zip") as files:
        files.extractall(tmp_path)
    assert sorted(path.name for path in tmp_path.glob("*.png")) == [
        "accelerated.png",
        "baseline.png",
        "difference.png",
    ]

    page = page.context.new_page()
    page.goto(link)
    expect(page.locator("#status")).to_contain_text("From the link: press Generate.")
    expect(page.locator("#steps input")).to_have_value("8")
    assert setting(page) == was == (PROMPT, "12345", RECIPE)

    page = go_to(page.context.new_page(), link.partition("?")[0])
    expect(page.locator("#seed input")).to_have_value("7")
    for file in ("accelerated.png", "result.json"):
        knob(page, "residual_diff_threshold", 0.5)
        expect(page.locator("#recipe-text input, #recipe-text textarea").first).to_have_value(
            re.compile(r"_R0\.5_")
        )
        with page.expect_file_chooser() as chooser:
            page.locator("#bring").click()
        chooser.value.set_files(tmp_path / file)
        expect(page.locator("#recipe-text input, #recipe-text textarea").first).to_have_value(RECIPE)
        expect(page.locator("#status")).to_contain_text("From the file: press Generate.")
        assert setting(page) == was


def test_what_cannot_be_opened_is_a_sentence(visit: Visit, tmp_path: Path) -> None:
    page = visit.page
    (tmp_path / "other.json").write_text("{}", encoding="utf-8")
    with page.expect_file_chooser() as chooser:
        page.locator("#bring").click()
    chooser.value.set_files(tmp_path / "other.json")
    expect(page.locator("#status")).to_contain_text("it holds no setting of a comparison")
    page = page.context.new_page()
    page.goto(visit.page.url.partition("?")[0] + "?c=broken")
    expect(page.locator("#status")).to_contain_text("link: ")
    assert setting(page)[1] == "7"
