"""What a crew of workers is to who drives it: shares go in, events come out. The simplest crew is this
process itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, Protocol

from ..records import Engine
from .board import Assignment
from .job import BenchmarkJob
from .work import DrawnRow, Runner


class Ready(NamedTuple):
    """The worker has its model, and waits."""

    worker: int
    engine: Engine


class Produced(NamedTuple):
    worker: int
    made: DrawnRow


class Free(NamedTuple):
    """The worker ended its share."""

    worker: int


class Lost(NamedTuple):
    """The worker is gone with its share; another of the same number will be Ready."""

    worker: int


CrewEvent = Ready | Produced | Free | Lost


class Crew(Protocol):
    size: int

    def give(self, worker: int, assignment: Assignment, baseline: bytes | None) -> None:
        """For a worker that is Ready or Free."""
        ...

    def events(self) -> Iterator[CrewEvent]:
        """As they come; the worker of a Ready or Free may be given a share before the next is asked for.
        Raises EngineError.
        """
        ...

    def close(self) -> None: ...


class Alone:
    """No worker but this process."""

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
            for made in runner.work(*given):
                yield Produced(0, made)
            yield Free(0)

    def close(self) -> None: ...
