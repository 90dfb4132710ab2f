"""The crew: the workers as the driver sees them. The driver gives assignments to the crew and reads its
events.

The simplest crew is the driver's own process.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from ..records import Engine
from .board import Assignment
from .job import BenchmarkJob
from .work import DrawnRow, Runner


class Ready(NamedTuple):
    """The worker has loaded its model and waits for an assignment."""

    worker: int
    engine: Engine


class Produced(NamedTuple):
    """The worker has drawn a row."""

    worker: int
    row: DrawnRow


class Free(NamedTuple):
    """The worker has finished its assignment."""

    worker: int


class Lost(NamedTuple):
    """The worker and its assignment are lost. A new worker of the same number will send Ready."""

    worker: int


CrewEvent = Ready | Produced | Free | Lost


class Crew(Protocol):
    size: int

    def give(self, worker: int, assignment: Assignment, baseline: bytes | None) -> None:
        """Give an assignment to a worker that is Ready or Free.

        baseline: the PNG file of the prompt's baseline run, as bytes. None if that run is the first of the
        assignment, so that the worker makes it.
        """
        ...

    def events(self) -> Iterator[CrewEvent]:
        """Yield the workers' events in the order in which they arrive. Raises EngineError.

        After a Ready or Free event, the driver may give that worker an assignment before it takes the next
        event.
        """
        ...

    def close(self) -> None: ...


class SingleProcess:
    """The crew of one worker: this process."""

    size = 1

    def __init__(self, job: BenchmarkJob, threads: int | None = None) -> None:
        if threads is not None:
            import torch

            torch.set_num_threads(threads)
        self._job = job
        self._given: tuple[Assignment, bytes | None] | None = None

    def give(self, worker: int, assignment: Assignment, baseline: bytes | None) -> None:
        self._given = assignment, baseline

    def events(self) -> Iterator[CrewEvent]:
        runner = Runner(self._job)
        yield Ready(0, runner.engine)
        while self._given:
            given, self._given = self._given, None
            for row in runner.work(*given):
                yield Produced(0, row)
            yield Free(0)

    def close(self) -> None: ...
