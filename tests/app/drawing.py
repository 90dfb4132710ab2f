"""A long job that draws nothing but files, so that what may go wrong around it can be tried."""

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
    """A kind of job that draws numbered pictures: each is a file, and none is drawn that is there. ``log``:
    whose turn it was.
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
