"""Tests that long jobs outlive the server, lose nothing, and let comparisons run between two pictures."""

from __future__ import annotations

import itertools
import json
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from app.engine.kinds import sweep_from, tune_from
from app.engine.longjobs import LongJobs
from app.engine.store import JobStore, LongJob
from app.engine.worker import Worker
from app.tune.job_views import jobs, seconds_left
from cache_engine import METHODS, EngineError, SweepTask
from tests.app.drawing import REQUEST, TASK, Drawing, long, steps
from tests.app.made import pair


def test_what_was_drawn_before_the_server_was_killed_is_not_drawn_again(tmp_path: Path) -> None:
    first = Drawing()
    before = long(tmp_path, first)
    key = before.add("tune", "Tune", TASK)
    steps(before, 3)
    assert before.job(key).state == "running"
    assert before._store is not None
    before._store._lock_file.close()  # pyright: ignore  # as the end of its process does
    second = Drawing()
    after = long(tmp_path, second)
    assert after.job(key).state == "interrupted"
    assert not after.due  # a job that may have crashed the server does not start by itself
    after.resume(key)
    steps(after)
    assert after.job(key).state == "done"
    assert (len(first.log), len(second.log)) == (2, 2)
    assert after.job(key).made == 4
    assert after.snapshot(key) == {"doing": "done", "made": 2, "left": 0, "stage": "done"}


@contextmanager
def full_disk() -> Iterator[None]:
    """Let every write to a file fail."""
    resource = pytest.importorskip("resource", reason="Windows has no limit on a file's size")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


def test_a_full_disk_ends_the_job_and_it_can_be_resumed(tmp_path: Path) -> None:
    drawing = Drawing()
    long_jobs = long(tmp_path, drawing)
    first, other = (long_jobs.add("tune", "Tune", TASK) for _ in range(2))
    steps(long_jobs, 3)
    with full_disk():
        steps(long_jobs)
        assert not long_jobs.due
        assert [long_jobs.job(key).state for key in (first, other)] == ["failed", "failed"]
        assert "make room" in long_jobs.job(first).said
        with pytest.raises(EngineError, match="make room"):
            long_jobs.resume(first)
        assert long_jobs.job(first).state == "failed"
        with pytest.raises(EngineError, match="make room"):
            long_jobs.add("tune", "Tune", TASK)
    long_jobs.resume(first)
    steps(long_jobs)
    assert (long_jobs.job(first).state, long_jobs.job(first).said) == ("done", "")
    assert drawing.log == [first] * 4
    assert len(long_jobs.jobs()) == 2


def test_a_server_that_starts_on_a_full_disk_lists_the_jobs(tmp_path: Path) -> None:
    before = long(tmp_path, Drawing())
    key = before.add("tune", "Tune", TASK)
    assert before._store is not None
    before._store._lock_file.close()  # pyright: ignore  # as the end of its process does
    with full_disk():
        assert [(job.key, job.state) for job in long(tmp_path, Drawing()).jobs()] == [(key, "interrupted")]


def test_first_come_first_served_and_each_ends_for_itself(tmp_path: Path) -> None:
    drawing = Drawing(fails_at=2)
    long_jobs = long(tmp_path, drawing)
    first, other, third = (long_jobs.add("tune", f"Tune {place}", TASK) for place in range(3))
    assert long_jobs.stop(third)
    steps(long_jobs)
    assert [long_jobs.job(key).state for key in (first, other, third)] == ["failed", "done", "stopped"]
    assert long_jobs.job(first).said == "out: the disk is full; make room."
    assert drawing.log == [first] * 2 + [other] * 4
    long_jobs.resume(first)
    long_jobs.resume(other)  # the job is done, so it cannot be resumed
    steps(long_jobs)
    assert long_jobs.job(first).state == "done"
    assert drawing.log[6:] == [first] * 2


def test_stop_ends_it_before_the_next_picture_and_keeps_what_there_is(tmp_path: Path) -> None:
    drawing = Drawing()
    long_jobs = long(tmp_path, drawing)
    key = long_jobs.add("tune", "Tune", TASK)
    steps(long_jobs, 2)
    assert long_jobs.stop(key)
    assert long_jobs.job(key).state == "stopping"
    steps(long_jobs)
    assert long_jobs.job(key).state == "stopped"
    assert len(drawing.log) == 1
    assert not long_jobs.stop(key)
    assert (tmp_path / "jobs" / key / "0").exists()
    long_jobs.remove(key)
    assert long_jobs.jobs() == []
    assert not (tmp_path / "jobs" / key).exists()


def test_a_job_on_its_way_is_not_removed(tmp_path: Path) -> None:
    long_jobs = long(tmp_path, Drawing())
    key = long_jobs.add("tune", "Tune", TASK)
    steps(long_jobs, 2)
    long_jobs.remove(key)
    assert long_jobs.job(key).state == "running"


def test_a_key_from_outside_removes_no_other_folder(tmp_path: Path) -> None:
    long_jobs = long(tmp_path / "kept", Drawing())
    long_jobs.add("tune", "Tune", TASK)
    other = tmp_path / "other"
    other.mkdir()
    for key in ("../../other", str(other), "..", ""):
        with pytest.raises(EngineError, match="no job has this key"):
            long_jobs.remove(key)
        assert long_jobs.snapshot(key) is None
    assert other.is_dir()


def test_the_time_budget_is_of_drawing_alone_and_outlives_a_restart(tmp_path: Path) -> None:
    asked: list[bool] = []

    def kind(
        task: str, folder: Path, *, stop: threading.Event, enough: Callable[[], bool]
    ) -> Generator[dict[str, Any]]:
        for place in range(3):
            asked.append(enough())
            yield {"doing": "", "made": place, "left": 0, "stage": "running"}

    store = JobStore(tmp_path)
    long_jobs = LongJobs(store, {"tune": kind})
    key = long_jobs.add("tune", "Tune", TASK, minutes=1)
    store.update(key, spent=61.0)  # as an earlier server left it
    long_jobs.stop(key)
    long_jobs.resume(key)
    steps(long_jobs)
    assert asked == [True] * 3
    assert long_jobs.job(key).spent >= 61


def test_two_servers_do_not_share_a_folder(tmp_path: Path) -> None:
    first, second = long(tmp_path, Drawing()), long(tmp_path, Drawing())
    first.add("tune", "Tune", TASK)
    with pytest.raises(EngineError, match="another CacheLens keeps its jobs"):
        second.add("tune", "Tune", TASK)


def test_looking_makes_nothing(tmp_path: Path) -> None:
    assert LongJobs(JobStore(tmp_path / "none")).jobs() == []
    assert not (tmp_path / "none").exists()


def test_where_gpus_are_lent_by_the_second_there_are_none() -> None:
    with pytest.raises(EngineError, match="long jobs do not run on a shared GPU"):
        LongJobs(None).add("tune", "Tune", TASK)


def test_a_comparison_waits_for_one_picture_and_a_tune_gets_its_turn(tmp_path: Path) -> None:
    """While comparisons arrive during a tune, the tune draws exactly one picture between two of them."""
    drawing = Drawing(count=8)
    order: list[str] = []
    handed_in = threading.Event()

    class Told(Drawing):
        def __call__(self, *given: Any, **more: Any) -> Generator[dict[str, Any]]:
            for snapshot in drawing(*given, **more):
                order.append("tune")
                if len(order) == 2:  # the comparison is in progress
                    handed_in.wait(20)
                yield snapshot

    def compared(*_: Any, **__: Any) -> Any:
        order.append("comparison")
        return pair(METHODS["dbcache"]())

    worker = Worker(compared, None, LongJobs(JobStore(tmp_path), {"tune": Told()}))
    key = worker.long.add("tune", "Tune", TASK)
    jobs = [worker.submit(REQUEST, METHODS["dbcache"]()) for _ in range(3)]
    handed_in.set()
    for job in jobs:
        for _ in worker.watch(job):
            pass
    for _ in worker.long.watch(key):
        pass
    places = [place for place, who in enumerate(order) if who == "comparison"]
    assert places[0] <= 3
    assert [later - earlier for earlier, later in itertools.pairwise(places)] == [2, 2]
    assert worker.long.job(key).state == "done"


def test_tasks_come_back_from_json_as_they_were() -> None:
    assert tune_from(json.loads(TASK.model_dump_json())) == TASK
    sweep = SweepTask(
        request=REQUEST,
        knobs={"max_warmup_steps": 2},
        axes=(("Fn_compute_blocks", "1, 2"), ("taylorseer_order", "0..1")),
    )
    assert sweep_from(json.loads(sweep.model_dump_json())) == sweep
    with pytest.raises(EngineError, match="goal: missing"):
        tune_from({"request": {"prompt": "x"}, "prompts": ["x"]})


def test_a_job_in_words() -> None:
    job = LongJob(
        "k", "tune", "Tune, 30 dB", "{}", 180.0, "running", "setting 2, prompt 1 of 8", 20, 100, 40.0, 0.0
    )
    assert seconds_left(job) == 140  # the budget ends the job earlier
    assert seconds_left(job._replace(budget=None)) == 200
    over = job._replace(spent=200.0)  # the budget is spent, and the last pictures are drawn
    assert seconds_left(over) is None
    assert jobs([over], "k")["jobs"][0]["note"] == "20 pictures in 3 min"
    row = jobs([job], "k")["jobs"][0]
    assert (row["note"], row["share"]) == ("20 pictures in 40 s · at most 2 min left", 0.222)
    assert row["acts"] == [{"act": "stop", "text": "Stop"}]
    ended = jobs([job._replace(state="interrupted")], "")["jobs"][0]
    assert [act["act"] for act in ended["acts"]] == ["resume", "remove"]
    assert "no finished picture is lost" in ended["note"]
