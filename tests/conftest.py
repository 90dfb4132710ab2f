"""What every test gets: one thread, no network, and the order fast to slow."""

from __future__ import annotations

import os

# Before torch and gradio are imported anywhere: sums in one order, no look at a hub, no call home.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import pytest

from tools import browser

LAST = ("tests/parity/", "tests/e2e/")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Unit tests first, then parity, then the browser: a plain mistake shows early."""
    items.sort(
        key=lambda item: max(0, *(place * item.nodeid.startswith(part) for place, part in enumerate(LAST, 1)))
    )


@pytest.fixture(scope="session", autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """What a page keeps is not put among this user's runs."""
    os.environ["CACHELENS_DIR"] = str(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser. Missing is a failure, not a skip: the page's tests are part of the proof."""
    path = browser.find()
    if path is None:
        pytest.fail(browser.ADVICE)
    return path
