"""A long job that writes empty files instead of pictures, to test failures of long jobs."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

from app.engine.longjobs import LongJobs
from app.engine.store import JobStore
from cache_engine import EngineError, Goal, RunRequest, TuneTask

REQUEST = RunRequest(prompt="a fox", steps=4)
TASK = TuneTask(request=REQUEST, prompts=("a fox", "an owl"), acceptance=("a pig",), goal=Goal(value=30))


class Drawing:
    """A kind of job that writes ``count`` numbered files and skips those that exist.

    ``fails_at``: the file before which the job fails once. ``log``: gets the folder's name for each file that
    is written.
    """

    def __init__(self, count: int = 4, fails_at: int | None = None) -> None:
        self.count, self.fails_at, self.log = count, fails_at, list[str]()

    def __call__(
        self, task: str, folder: Path, *, stop: threading.Event, enough: Callable[[], bool]
    ) -> Generator[dict[str, Any]]:
        folder.mkdir(parents=True, exist_ok=True)
        made = 0
        for place in range(self.count):
            yield {"doing": f"picture {place}", "made": made, "left": self.count - place, "stage": "running"}
            if (folder / f"{place}").exists():
                continue
            if self.fails_at == place:
                self.fails_at = None
                raise EngineError("out: the disk is full; make room.")
            (folder / f"{place}").touch()
            self.log.append(folder.name)
            made += 1
        yield {"doing": "done", "made": made, "left": 0, "stage": "done"}


def long(folder: Path, drawing: Drawing) -> LongJobs:
    return LongJobs(JobStore(folder), {"tune": drawing})


def steps(jobs: LongJobs, count: int = 100) -> None:
    for _ in range(count):
        if not jobs.due:
            break
        jobs.step()
