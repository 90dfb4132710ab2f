"""Tests that the browsers of a shared page see their own jobs and runs alone, in two real browsers."""

from __future__ import annotations

from playwright.sync_api import Browser, Page, expect

from .conftest import Server, opened
from .test_history_tab import RECIPES, ROWS, drawn
from .test_tune_tab import PROMPTS, shown, wish

JOBS = "#tune-jobs li"


def history(page: Page) -> None:
    page.get_by_role("tab", name="History").click()
    expect(page.locator("#history-sheet")).to_be_visible()


def test_two_browsers_see_their_own_jobs_and_runs(browser: Browser, own_server: Server) -> None:
    own_server.start(HOST="0.0.0.0", CACHELENS_AUTH="none")
    mine, theirs = opened(browser, own_server), opened(browser, own_server)
    for page in (mine, theirs):
        page.locator("#steps input").fill("6")
        page.locator("#steps input").press("Tab")
    drawn(mine, RECIPES[0])
    wish(shown(mine), prompts=PROMPTS)
    mine.locator("#tune-start").click()
    expect(mine.locator(JOBS)).to_have_count(1)

    drawn(theirs, RECIPES[1])
    shown(theirs)
    expect(theirs.locator("#tune-jobs")).to_contain_text("No job yet")
    history(theirs)
    expect(theirs.locator(ROWS)).to_have_count(1)
    expect(theirs.locator("#history-card")).to_contain_text(RECIPES[1])

    mine.reload()  # the same browser finds both again
    history(mine)
    expect(mine.locator(ROWS)).to_have_count(1)
    expect(mine.locator("#history-card")).to_contain_text(RECIPES[0])
    mine.get_by_role("tab", name="Tune").click()
    expect(mine.locator(JOBS)).to_have_count(1)
    mine.context.close()
    theirs.context.close()
