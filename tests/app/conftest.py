"""Serves the page of drawn components to a browser, and makes a history that needs no run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, ConsoleMessage, Page, Request, expect, sync_playwright

from app import statuses
from app.components.theme import css, theme
from app.engine.state_stream import StateStream
from tests.app.gallery import page_of_components
from tests.app.past import Filled

PATIENCE = 30_000  # milliseconds: a busy machine is slow, which is not an error


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    page = page_of_components()
    stream = StateStream(lambda: {"header": statuses.header(("tiny FLUX",)), "jobs": ""})
    _, url, _ = page.launch(
        prevent_thread_lock=True,
        quiet=True,
        ssr_mode=False,
        theme=theme(),
        css=css(),
        app_kwargs={"routes": [stream.route]},
    )
    yield url
    page.close()


@pytest.fixture(scope="module")
def context(chromium: str) -> Iterator[BrowserContext]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        opened = browser.new_context(viewport={"width": 1440, "height": 900}, has_touch=True)
        opened.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        yield opened
        browser.close()


@pytest.fixture
def view(context: BrowserContext, address: str) -> Iterator[Page]:
    """Yield the open page. After every test, check that the console is empty and that no other machine was
    asked.
    """
    page, faults = context.new_page(), []

    def heard(message: ConsoleMessage) -> None:
        faults.extend([message.text] * (message.type == "error"))

    def asked(request: Request) -> None:
        faults.extend([request.url] * (not request.url.startswith((address, "data:", "blob:"))))

    page.on("console", heard)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", asked)
    page.goto(address)
    expect(page.locator("#timeline")).to_contain_text("Nothing has run yet")
    yield page
    page.evaluate("localStorage.clear()")
    page.close()
    assert faults == []


@pytest.fixture
def filled(tmp_path: Path) -> Filled:
    """Return a history with three stored comparisons."""
    return Filled(tmp_path / "history")
