"""Tests parts of the page that belong to no tab: its width, its title, and its keys."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Browser, expect

from .conftest import Server, Visit, opened
from .test_compare_tab import RUN, generate, knob


@pytest.mark.parametrize(
    "visit",
    [
        {"viewport": {"width": 390, "height": 844}},
        {"viewport": {"width": 1024, "height": 800}},
        {"viewport": {"width": 1440, "height": 900}},
    ],
    indirect=True,
)
def test_the_page_never_scrolls_sideways(visit: Visit) -> None:
    assert visit.page.evaluate("document.documentElement.scrollWidth - window.innerWidth") <= 0
    visit.page.get_by_role("button", name="Dark theme").click()  # nothing covers the header
    assert visit.page.evaluate("document.body.classList.contains('dark')")


def test_the_pages_title_says_how_far_a_run_is_to_who_looks_elsewhere(visit: Visit) -> None:
    page = visit.page
    name = page.title()
    # a new picture, because with a remembered baseline too few steps would remain to see the percentage
    page.locator("#prompt textarea").fill("a large yellow star on a white background")
    page.evaluate("Object.defineProperty(document, 'hidden', { get: () => window.away !== false })")
    page.locator("#generate").click()
    expect(page).to_have_title(re.compile(f"% · {name}"), timeout=RUN)
    expect(page).to_have_title(f"Done · {name}", timeout=RUN)
    page.evaluate("window.away = false; document.dispatchEvent(new Event('visibilitychange'))")
    expect(page).to_have_title(name)


def test_what_the_keyboard_can_do_is_told_by_a_key_and_a_button(visit: Visit) -> None:
    page, told = visit.page, visit.page.get_by_role("dialog", name="Keyboard")
    page.locator("#prompt textarea").press("?")  # in a field, the key types a letter
    expect(told).to_be_hidden()
    page.locator("#prompt textarea").blur()
    page.keyboard.press("?")
    expect(told).to_contain_text("in the prompt: generate")
    page.keyboard.press("Escape")
    expect(told).to_be_hidden()
    page.get_by_role("button", name="Keyboard").click()
    told.get_by_role("button", name="Close").click()
    expect(told).to_be_hidden()


def test_a_knob_is_heard_after_a_restart_of_the_server(browser: Browser, own_server: Server) -> None:
    own_server.start()
    page = opened(browser, own_server)
    failed: list[str] = []
    page.on("response", lambda got: failed.append(f"{got.status} {got.url}") if got.status >= 500 else None)
    page.locator("#steps input").fill("6")
    page.locator("#steps input").press("Tab")
    generate(page)
    own_server.kill()
    own_server.start()
    # gradio's page finds the server again, loads anew, and shows the recorded example
    expect(page.locator("#stale")).to_contain_text("Recorded example", timeout=60_000)
    page.wait_for_function("document.querySelector('.cl-engine')?.textContent?.length > 0")
    knob(page, "residual_diff_threshold", 0.22)
    expect(page.locator("#recipe-text input, #recipe-text textarea").first).to_have_value(
        re.compile("_R0.22_")
    )
    generate(page)
    assert failed == []
    page.context.close()
