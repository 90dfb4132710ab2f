"""Tests that baselines are recorded while no comparison waits, and that a new comparison has priority."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from app.engine.recording_queue import MOST_DUE, RecordingQueue
from app.engine.worker import Worker
from cache_engine import METHODS, Baselines, Cancelled, Comparison, Progress, RunRequest, RunResult
from tests.app.made import ENGINE, QUALITY, run

BASELINE = run(METHODS["baseline"]())
PATIENCE = 20.0  # seconds: a busy machine is slow, which is not an error


def of(seed: int, model: str = "tiny") -> RunResult:
    return BASELINE._replace(
        request=BASELINE.request.replaced(seed=seed, model=model), engine=ENGINE.replaced(model=model)
    )


def eventually(true: Callable[[], Any]) -> Any:
    until = time.monotonic() + PATIENCE
    while not (reached := true()) and time.monotonic() < until:
        time.sleep(0.01)
    return reached


def test_the_newest_is_recorded_first_and_another_models_are_let_go() -> None:
    recordings = RecordingQueue(Baselines(), with_survey=lambda baseline, **_: baseline)
    for seed in (1, 2, 1):
        recordings.add(of(seed))
    taken = []
    while due := recordings.take():
        taken.append(due.request.seed)
        recordings.record(due)
    assert taken == [1, 2]
    recordings.add(of(1))
    recordings.add(of(5, model="flux-dev"))
    assert not recordings.record_of(of(1)).expected
    assert recordings.record_of(of(5, model="flux-dev")).expected
    for seed in range(20):
        recordings.add(of(seed))
    assert sum(recordings.record_of(of(seed)).expected for seed in range(20)) == MOST_DUE


def test_where_nothing_can_be_recorded_nothing_is_expected() -> None:
    recordings = RecordingQueue(Baselines(), with_survey=None)
    recordings.add(of(1))
    assert recordings.take() is None
    assert not recordings.record_of(of(1)).expected


def test_a_record_that_fails_is_not_waited_for() -> None:
    def record(baseline: RunResult, **_: Any) -> RunResult:
        raise ValueError(baseline.request.prompt)

    recordings = RecordingQueue(Baselines(), record)
    recordings.add(of(1))
    due = recordings.take()
    assert due is not None
    assert recordings.recording
    recordings.record(due)
    assert not recordings.recording
    assert not recordings.record_of(of(1)).expected


def test_a_comparison_stops_the_recording_which_is_begun_anew() -> None:
    order: list[str] = []
    begun, finish = threading.Event(), threading.Event()

    def record(baseline: RunResult, *, emit: Callable[[Any], None], stop: threading.Event) -> RunResult:
        order.append("record")
        emit(Progress("baseline", "denoise", "", 3, 28))
        begun.set()
        while not finish.is_set():
            if stop.wait(0.01):
                order.append("stopped")
                raise Cancelled
        order.append("recorded")
        return baseline

    def compared(request: RunRequest, method: Any, **_: Any) -> Comparison:
        order.append(f"compare {request.seed}")
        return Comparison(of(request.seed), of(request.seed), QUALITY, False)

    worker = Worker(compared, record)
    job = worker.submit(BASELINE.request.replaced(seed=1), METHODS["baseline"]())
    assert eventually(lambda: worker.comparison(job.key))
    assert begun.wait(PATIENCE)
    state = worker.record_of(Comparison(of(1), of(1), QUALITY, False))
    assert (state.expected, state.step, state.steps) == (True, 3, 28)
    assert worker.state()["recording"]
    second = worker.submit(BASELINE.request.replaced(seed=2), METHODS["baseline"]())
    list(worker.watch(second))
    assert not worker.busy_with(second.key)
    finish.set()
    assert eventually(lambda: order.count("recorded") == 2)
    assert order[:4] == ["compare 1", "record", "stopped", "compare 2"]
