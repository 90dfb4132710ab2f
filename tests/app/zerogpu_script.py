"""The part of test_zerogpu that runs in its own process, so that forks start from a process without torch. It
prints JSON.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

from app.engine.worker import Worker
from app.engine.zerogpu import ForkedRunner, comparison_runner, first_baselines, on_zerogpu, prepare
from cache_engine import (
    METHODS,
    Baselines,
    Cancelled,
    Comparison,
    EngineError,
    Progress,
    RunRequest,
    loading,
    run_comparison,
)
from cache_engine.placement import Device
from tests.app import spaces

APPLE = RunRequest(model="tiny", prompt="a small red apple on a blue background", seed=7, steps=6)
SETTING = METHODS["dbcache"](max_warmup_steps=2, residual_diff_threshold=1)


def main() -> dict[str, Any]:
    sys.modules["spaces"] = spaces
    loading.device = lambda: Device(
        "cpu", "a stand-in"
    )  # the real package lends a placeholder card; here it is the CPU
    prepare()
    run = comparison_runner()
    assert on_zerogpu()
    assert isinstance(run, ForkedRunner)
    baselines: Baselines = first_baselines()
    worker, report = (
        Worker(run, None, baselines=baselines),
        {},
    )  # as on the page, where a recording would cost a visitor
    events = [event for batch in worker.watch(worker.submit(APPLE, SETTING)) for event in batch]
    result = events[-1]
    assert isinstance(result, Comparison)
    report["steps"] = sum(isinstance(event, Progress) and event.call is not None for event in events)
    report["schedule"] = result.accelerated.schedule
    report["drawn_in_fork"] = [fork.pid is not None for fork in spaces.forks]
    again = run(
        APPLE,
        METHODS["dbcache"](max_warmup_steps=1),
        baselines=baselines,
        emit=lambda event: None,
        stop=threading.Event(),
    )
    report["reused"] = again.baseline_reused
    report["declared"] = spaces.declared

    stop, seen = threading.Event(), []

    def emit(event: Any) -> None:
        seen.append(event)
        if isinstance(event, Progress) and event.call is not None and event.call.step == 1:
            stop.set()

    try:
        run(APPLE.replaced(seed=8, steps=100), SETTING, baselines=Baselines(), emit=emit, stop=stop)
    except Cancelled:
        report["cancelled"] = True
    begun = time.monotonic()
    spaces.forks[-1].join(30)
    report["fork_ended"] = spaces.forks[-1].exitcode == 0
    report["seconds_to_end"] = time.monotonic() - begun
    try:
        run(APPLE.replaced(width=2048), SETTING, baselines=Baselines(), emit=emit, stop=threading.Event())
    except EngineError as error:
        report["early"] = str(error)
    try:
        run(
            APPLE,
            METHODS["dbcache"](Fn_compute_blocks=99),
            baselines=Baselines(),
            emit=emit,
            stop=threading.Event(),
        )
    except EngineError as error:
        report["late"] = str(error)
    direct = run_comparison(APPLE, SETTING)
    report["same_picture"] = direct.accelerated.image.tobytes() == result.accelerated.image.tobytes()
    return report


if __name__ == "__main__":
    print(json.dumps(main()))
