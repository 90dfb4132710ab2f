"""Tests that a server that is killed at any moment loses nothing that it told, and that its jobs go on."""

from __future__ import annotations

import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from gradio_client import Client

from app.engine.longjobs import LongJobs
from app.engine.store import ON_ITS_WAY, JobStore
from app.history.store import HistoryStore
from tests.e2e.conftest import Server
from tests.hardening.conftest import SETTING, Tell, often

pytestmark = pytest.mark.hardening

TUNE = {
    "request": {"seed": 7, "steps": 6},
    "prompts": ["a small red apple on a blue background", "a fox on a red background"],
    "goal": {"kind": "close", "value": 25.0},
    "most": 3,
    "vary": {"dbcache": {"max_continuous_cached_steps": "1, 2, 3", "residual_diff_threshold": "0.3, 0.6, 1"}},
}


class Visitor(threading.Thread):
    """Starts a tune, then makes comparisons until the server is gone. ``told``: keys of those whose end it
    heard.
    """

    def __init__(self, address: str, first: int) -> None:
        super().__init__(daemon=True)
        self.address, self.first, self.told, self.jobs = address, first, list[str](), list[str]()

    def run(self) -> None:
        try:
            client: Any = Client(self.address, verbose=False)
            tune = client.submit(TUNE, api_name="/tune")
            self.jobs.append(next(iter(tune))["job"])
            for seed in range(self.first, self.first + 1000):
                asked = {"model": "tiny", "prompt": "a fox", "seed": seed, "steps": 3, "true_cfg_scale": 1}
                key, events = (
                    "",
                    client.submit({"request": asked, "method": SETTING.to_dict()}, api_name="/compare"),
                )
                for event in events:
                    if event["event"] == "job":
                        key = event["job"]
                    elif event["event"] == "comparison":
                        self.told.append(key)
        except Exception:  # the server was killed
            return


def test_nothing_that_was_told_is_lost(tmp_path: Path, tell: Tell) -> None:
    kills, chance = often(2, 50), random.Random(5)
    told, jobs, in_a_tune = list[str](), list[str](), 0
    server = Server(tmp_path)
    for number in range(kills):
        server.start()
        visitor = Visitor(server.address, 1000 * number)
        visitor.start()
        until = time.monotonic() + 60
        while not visitor.told and time.monotonic() < until:
            time.sleep(0.01)
        time.sleep(chance.uniform(0, 1.5))
        heard, started = list(visitor.told), list(visitor.jobs)
        server.kill()
        assert heard
        assert started
        told += heard
        jobs += started
        history = HistoryStore(tmp_path / "kept" / "history")
        newest = {entry.key for entry in history.entries()}
        assert set(heard) <= newest, "a comparison was told and is not in History"
        assert history.comparison(heard[-1]) is not None
        store = JobStore(tmp_path / "kept")
        states = {job.key: job.state for job in store.jobs()}
        assert not set(states.values()) & set(ON_ITS_WAY)
        in_a_tune += sum(states[key] == "interrupted" for key in started)
        assert store._lock_file is not None
        store._lock_file.close()
    long_jobs = LongJobs(JobStore(tmp_path / "kept"))
    assert {job.key for job in long_jobs.jobs()} == set(jobs)
    resumed = [job.key for job in long_jobs.jobs() if job.state == "interrupted"][: often(1, 5)]
    for key in resumed:
        long_jobs.resume(key)
        while long_jobs.due:
            long_jobs.step()
        assert long_jobs.job(key).state == "done", long_jobs.job(key).said
    tell(
        "SIGKILL while comparisons are stored and a tune runs",
        f"{kills} kills, {in_a_tune} of them in a tune; {len(told)} comparisons told before them, 0 lost; "
        f"{len(jobs)} jobs listed, {len(resumed)} of {len(resumed)} resumed ones done",
    )
