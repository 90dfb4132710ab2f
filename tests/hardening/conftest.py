"""Attacks on the page. `make test` makes them in short; `make soak` makes them in full and writes
docs/reliability.md from what they tell.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from gradio_client import Client

from app.page import build_page, launch_options
from cache_engine import Comparison, RunRequest, loading, method_from, run_comparison

FULL = os.environ.get("CACHELENS_SOAK")  # the file for the table's rows; unset: in short
SETTING = method_from(
    {"name": "dbcache", "Fn_compute_blocks": 1, "max_warmup_steps": 2, "residual_diff_threshold": 0.4}
)
STEPS = 6
LEAK = re.compile(r"Traceback|File \"|site-packages|/root/|/home/|/tmp/")
EXAMPLE = Path(__file__).resolve().parents[2] / "assets" / "example" / "tiny"
MEMORY = 400_000_000  # bytes by which the inputs of one test may let the process grow
NEXT = "the next comparison equal bit for bit"
Tell = Callable[[str, str], None]


def often(short: int, full: int) -> int:
    """Return the number of tries of this run."""
    return full if FULL else short


def request(seed: int = 1, prompt: str = "a fox on a blue background", steps: int = STEPS) -> RunRequest:
    return RunRequest(model="tiny", prompt=prompt, seed=seed, steps=steps)


def pictures(comparison: Comparison) -> tuple[bytes, bytes]:
    """Return the pixels of both sides."""
    return comparison.baseline.image.tobytes(), comparison.accelerated.image.tobytes()


def solo(asked: RunRequest) -> tuple[bytes, bytes]:
    """Return the pictures of a comparison that runs alone."""
    return pictures(run_comparison(asked, SETTING))


def is_sentence(text: str) -> None:
    """Check that a visitor may read this: one short sentence without a trace and without a path."""
    assert text.endswith("."), text[-200:]
    assert "\n" not in text
    assert len(text) < 5_000
    assert not LEAK.search(text), text
    text.encode()


class Grown:
    """How much memory this process has gained since the start of a test."""

    def __init__(self) -> None:
        self.process = psutil.Process()
        self.before = self.process.memory_info().rss

    def megabytes(self) -> int:
        grown = self.process.memory_info().rss - self.before
        assert grown < MEMORY
        return round(grown / 1e6)


@pytest.fixture(scope="session")
def tell() -> Tell:
    """Add a row to the table of `make soak`: the attack, and what it found."""

    def add(attack: str, found: str) -> None:
        if FULL:
            with Path(FULL).open("a", encoding="utf-8") as file:
                file.write(json.dumps([attack, found]) + "\n")

    return add


class Served:
    """The page in this process. Its ``folder`` holds all that it stores."""

    def __init__(self, address: str, folder: Path) -> None:
        self.address, self.folder = address, folder

    def client(self) -> Any:
        return Client(self.address, verbose=False)

    def settle(self) -> None:
        """Wait until nothing is running, waiting or to be recorded."""
        client, state, until = self.client(), {}, time.monotonic() + 600
        while time.monotonic() < until:
            state = client.predict(api_name="/health")
            if not (state["running"] or state["waiting"] or state["to_record"] or state["long"]):
                return
            time.sleep(0.1)
        pytest.fail(f"the engine does not come to rest: {state}")


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    patch, folder = pytest.MonkeyPatch(), tmp_path_factory.mktemp("served")
    patch.setenv("GRADIO_TEMP_DIR", str(folder / "gradio"))
    patch.setenv("CACHELENS_DIR", str(folder / "kept"))
    page = build_page()
    _, address, _ = page.launch(
        prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", **launch_options(page)
    )
    here = Served(address, folder)
    yield here
    here.settle()  # the process must not end while the engine runs
    page.close(verbose=False)
    patch.undo()
    loading.unload_model()
