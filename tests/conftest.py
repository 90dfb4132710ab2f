"""Settings for every test: one thread, no network, its own home folder, and the order from fast to slow."""

from __future__ import annotations

import gc
import importlib.util
import os

# Set before torch and gradio are imported: sums in a fixed order, no request to a hub, no usage report.
os.environ["OMP_NUM_THREADS"] = "1"
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

import pytest

from tools import browser

LAST = ("tests/parity/", "tests/e2e/")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Accept pyproject.toml's time limits without pytest-timeout, so that `make check` needs pytest alone."""
    if importlib.util.find_spec("pytest_timeout") is None:
        for name in ("timeout", "timeout_func_only"):
            parser.addini(name, "used by pytest-timeout; without it tests have no time limit")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Order: unit tests, then parity, then the browser, so that a simple mistake shows early."""
    items.sort(
        key=lambda item: max(0, *(place * item.nodeid.startswith(part) for place, part in enumerate(LAST, 1)))
    )


@pytest.fixture(scope="module", autouse=True)
def frozen_imports() -> None:
    """Exclude live objects from later garbage collections: those of torch and diffusers take 0.2 s each."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def own_home(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Pages and commands write their history into a temporary folder, not into this user's folder."""
    os.environ["CACHELENS_DIR"] = str(tmp_path_factory.mktemp("home"))


@pytest.fixture(scope="session")
def chromium() -> str:
    """Return the path of Chromium. A missing browser fails the test instead of skipping it, because the page
    must be tested.
    """
    path = browser.find()
    if path is None:
        pytest.fail(browser.ADVICE)
    return path
