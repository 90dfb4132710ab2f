"""Serves the page for browser and client tests: app.py runs in its own process, on a free port."""

from __future__ import annotations

import socket
import time
import urllib.request
from collections.abc import Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests import forked

ROOT = Path(__file__).resolve().parents[2]
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


expect.set_options(timeout=30_000)  # milliseconds: a busy machine is slow, which is not an error


class Server:
    """The launcher on a port of its own. ``folder``: the folder in which it stores its data."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = f"http://127.0.0.1:{self.port}"
        self.process: BaseProcess | None = None

    def start(self, **environment: str) -> None:
        """Start it. environment: further variables."""
        settings = {
            "PORT": str(self.port),
            "HOST": "127.0.0.1",
            "MODEL": "",
            "GRADIO_TEMP_DIR": str(self.folder),
            "CACHELENS_DIR": str(self.folder / "kept"),
            **environment,
        }
        log = self.folder / "log"
        self.process = forked.start([str(ROOT / "app.py")], log, folder=self.folder, environment=settings)
        for _ in range(600):
            if not self.process.is_alive():
                pytest.fail(f"the page stopped at once:\n{log.read_text(encoding='utf-8')}")
            try:
                urllib.request.urlopen(self.address, timeout=1).read()
                break
            except OSError:
                time.sleep(0.2)

    def kill(self) -> None:
        """Stop the server at once, as a crash or a power cut does."""
        assert self.process is not None
        self.process.kill()
        self.process.join(20)


@pytest.fixture(scope="session")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the page's address."""
    server = Server(tmp_path_factory.mktemp("served"))
    server.start()
    yield server.address
    server.kill()


@pytest.fixture(scope="session")
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as play:
        launched = play.chromium.launch(executable_path=chromium, args=FLAGS)
        yield launched
        launched.close()


@pytest.fixture
def own_server(tmp_path: Path) -> Iterator[Server]:
    """Yield a server of one test. It is stopped even if the test fails, because its jobs would slow later
    tests.
    """
    server = Server(tmp_path)
    yield server
    if server.process is not None:
        server.kill()


def go_to(page: Page, address: str) -> Page:
    """Open an address, and wait until the page has answered its first event: it hears every later one."""
    page.goto(address)
    page.locator("#generate").wait_for(timeout=60_000)
    page.wait_for_function("document.querySelector('.cl-engine')?.textContent?.length > 0")
    return page


def opened(browser: Browser, server: Server) -> Page:
    """Return the page of such a server, in a fresh context."""
    return go_to(browser.new_context(viewport={"width": 1440, "height": 1000}).new_page(), server.address)


class Visit:
    """A page in a fresh context, with its console messages and its requests."""

    def __init__(self, page: Page, address: str) -> None:
        self.page, self.complaints, self.abroad = page, list[str](), list[str]()
        page.on("console", lambda text: self.complaints.append(text.text) if text.type == "error" else None)
        page.on(
            "response",
            lambda got: self.complaints.append(f"{got.status} {got.url}") if got.status >= 400 else None,
        )
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on(
            "request",
            lambda asked: (
                None if asked.url.startswith((address, "data:", "blob:")) else self.abroad.append(asked.url)
            ),
        )


@pytest.fixture
def visit(browser: Browser, served: str, request: pytest.FixtureRequest) -> Iterator[Visit]:
    """Yield the open page. Afterwards, check that its console is empty and that it asked no other machine."""
    options: dict[str, Any] = getattr(request, "param", {})
    context = browser.new_context(**{"viewport": {"width": 1440, "height": 1000}} | options)
    page_visit = Visit(context.new_page(), served)
    go_to(page_visit.page, served)
    yield page_visit
    context.close()
    assert page_visit.complaints == []
    assert page_visit.abroad == []
