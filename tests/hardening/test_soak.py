"""Tests that hundreds of comparisons, cancels and tunes leave threads, memory, open files and the temporary
folder as they were.
"""

from __future__ import annotations

import gc
from pathlib import Path
from typing import NamedTuple

import psutil
import pytest

from tests.hardening.conftest import SETTING, Served, Tell, often

pytestmark = pytest.mark.hardening

TUNE = {
    "request": {"seed": 7, "steps": 4},
    "prompts": ["a small red apple on a blue background"],
    "goal": {"kind": "close", "value": 20.0},
    "most": 1,
    "vary": {"dbcache": {"residual_diff_threshold": "0.3, 1"}},
}


class Used(NamedTuple):
    """The resources of this process. temporary: bytes in gradio's folder. kept: bytes in History and jobs."""

    threads: int
    megabytes: float
    files: int
    temporary: int
    kept: int


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def used(served: Served) -> Used:
    served.settle()
    gc.collect()
    process = psutil.Process()
    return Used(
        process.num_threads(),
        process.memory_info().rss / 1e6,
        process.num_fds() if hasattr(process, "num_fds") else 0,
        size(served.folder / "gradio"),
        size(served.folder / "kept"),
    )


def test_nothing_piles_up(served: Served, tell: Tell) -> None:
    cycles, client = often(12, 300), served.client()
    warm = cycles // 3  # until here, pools of threads and caches fill
    start: Used | None = None
    cancelled = tuned = 0
    for cycle in range(cycles):
        if cycle == warm:
            start = used(served)
        asked = {"model": "tiny", "prompt": "a fox", "seed": cycle, "steps": 4, "true_cfg_scale": 1}
        job = client.submit({"request": asked, "method": SETTING.to_dict()}, api_name="/compare")
        if cycle % 3 == 1:
            client.predict(next(iter(job))["job"], api_name="/cancel")
            cancelled += list(job)[-1]["event"] == "cancelled"
        else:
            assert list(job)[-1]["event"] == "comparison"
        if cycle % 10 == 5:
            assert list(client.submit(TUNE, api_name="/tune"))[-1]["event"] == "tuned"
            tuned += 1
    assert start is not None
    end = used(served)
    assert end.threads <= start.threads + 4
    assert end.files <= start.files + 8
    assert end.temporary <= start.temporary + 1_000_000
    assert end.megabytes <= start.megabytes + 150
    tell(
        "cycles of comparing, cancelling and tuning",
        f"{cycles} cycles, {cancelled} cancelled, {tuned} tunes: threads {start.threads} to {end.threads}, "
        f"memory {start.megabytes:.0f} to {end.megabytes:.0f} MB, open files {start.files} to {end.files}, "
        f"temporary files {start.temporary / 1e6:.1f} to {end.temporary / 1e6:.1f} MB, kept on purpose "
        f"{start.kept / 1e6:.1f} to {end.kept / 1e6:.1f} MB",
    )
