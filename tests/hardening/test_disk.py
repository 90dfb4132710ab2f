"""Tests a full disk, and a table of jobs that is damaged or locked: each ends in one sentence."""

from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from app.engine.longjobs import LongJobs
from app.engine.store import JobStore
from app.history.store import HistoryStore
from cache_engine import EngineError
from tests.app.drawing import TASK, Drawing, steps
from tests.app.past import made
from tests.app.test_longjobs import full_disk
from tests.hardening.conftest import Tell, is_sentence, often

pytestmark = pytest.mark.hardening


def test_a_full_disk_loses_no_stored_run(tmp_path: Path, tell: Tell) -> None:
    history = HistoryStore(tmp_path)
    tries = often(3, 50)
    for number in range(tries):
        history.add(f"before{number}", made(1.0 + number))
        with full_disk():
            history.add(f"full{number}", made(2.0))
        assert history.last_failure == "history: the last run could not be stored (File too large)."
        history.add(f"after{number}", made(3.0 + number))
        assert history.last_failure == ""
    stored = {entry.key for entry in HistoryStore(tmp_path).entries()}
    assert stored == {f"{when}{number}" for when in ("before", "after") for number in range(tries)}
    assert {path.name for path in tmp_path.iterdir()} == stored
    tell(
        "a full disk while a run is stored",
        f"{tries} times: the run is named as not stored, none half written; {len(stored)} others kept",
    )


def test_a_damaged_table_of_jobs_is_one_sentence(tmp_path: Path, tell: Tell) -> None:
    whole, chance = tmp_path / "whole", random.Random(6)
    jobs = LongJobs(JobStore(whole), {"tune": Drawing()})
    for _ in range(5):
        jobs.add("tune", "Tune", TASK)
    content = (whole / "jobs.sqlite").read_bytes()
    tries, refused = often(20, 300), 0
    for number in range(tries):
        folder = tmp_path / str(number)
        folder.mkdir()
        data = bytearray(content)
        for _ in range(chance.choice((1, 20, 2000))):
            data[chance.randrange(len(data))] = chance.randrange(256)
        (folder / "jobs.sqlite").write_bytes(data[: chance.choice((len(data), 100, 5000))])
        try:
            damaged = LongJobs(JobStore(folder), {"tune": Drawing()})
            damaged.jobs()
            damaged.add("tune", "Tune", TASK)
            steps(damaged)
        except EngineError as error:
            is_sentence(str(error).replace(str(tmp_path), ""))  # the folder is this server's own
            refused += 1
    assert refused
    tell("a damaged table of jobs", f"{tries}: {refused} refused in one sentence, the others work")


def test_a_locked_table_of_jobs_is_one_sentence(tmp_path: Path) -> None:
    jobs = LongJobs(JobStore(tmp_path), {"tune": Drawing()})
    key = jobs.add("tune", "Tune", TASK)
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite", timeout=0)) as other:
        other.execute("BEGIN EXCLUSIVE")
        assert [job.key for job in jobs.jobs()] == [key]
    steps(jobs)
    assert jobs.job(key).state == "done"
