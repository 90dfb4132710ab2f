"""The board hands the unfinished rows of a benchmark to workers, and takes back the rows of a lost worker.

The board knows neither torch nor files.
"""

from __future__ import annotations

import math
from collections.abc import Collection
from typing import NamedTuple

from ..runs.row import Key
from ..runs.setting import Setting
from ..strict import EngineError
from .job import BenchmarkJob

MOST_LOSSES = 3  # if a prompt ended this many workers, the prompt is the cause


class Assignment(NamedTuple):
    """The settings of one prompt that one worker draws. ``number``: the prompt's place in the job."""

    number: int
    settings: tuple[Setting, ...]


class Board:
    """Divides the job's rows into assignments for the workers.

    Each prompt's baseline is drawn once, before the prompt's other settings. The other settings are in the
    same assignment, or wait until the baseline is drawn. At first, an assignment is a whole prompt. Towards
    the end, assignments become smaller, so that all workers end at about the same time.
    """

    def __init__(self, job: BenchmarkJob, done: Collection[Key], workers: int = 1) -> None:
        self._baseline = job.settings[0].key
        self._workers = workers
        self._left = {
            number: [setting for setting in job.settings if (number, setting.key) not in done]
            for number in job.numbers
        }
        self._made = {number for number in job.numbers if (number, self._baseline) in done}
        self._held: dict[int, Assignment] = {}
        self._losses: dict[int, int] = {}
        self._losses_in_a_row = 0  # number of workers lost since the last written row

    @property
    def finished(self) -> bool:
        return not self._held and not any(self._left.values())

    def take(self, worker: int) -> Assignment | None:
        """Return the worker's next assignment, or None while no assignment is free."""
        number = next((number for number, left in self._left.items() if left and self._may_go(number)), None)
        if number is None:
            return None
        left = self._left[number]
        most = (
            len(left)
            if self._workers == 1
            else math.ceil(sum(map(len, self._left.values())) / (2 * self._workers))
        )
        assignment = Assignment(number, tuple(left[:most]))
        self._left[number] = left[most:]
        self._held[worker] = assignment
        return assignment

    def _may_go(self, number: int) -> bool:
        return number in self._made or self._left[number][0].key == self._baseline

    def row_written(self, worker: int, key: Key) -> None:
        """Note that a row of the worker's assignment was written."""
        self._losses_in_a_row = 0
        number, settings = self._held[worker]
        if key[1] == self._baseline:
            self._made.add(number)
        self._held[worker] = Assignment(
            number, tuple(setting for setting in settings if setting.key != key[1])
        )

    def free(self, worker: int) -> None:
        """Note that the worker has finished its assignment."""
        self._held.pop(worker, None)

    def lost(self, worker: int) -> None:
        """Take back the rows that a lost worker did not draw.

        Raises EngineError if workers keep getting lost.
        """
        self._losses_in_a_row += 1
        if self._losses_in_a_row > MOST_LOSSES * self._workers:
            raise EngineError(
                f"workers: {self._losses_in_a_row} of them ended one after the other without drawing a "
                f"row; is the memory enough for {self._workers} workers?"
            )
        assignment = self._held.pop(worker, None)
        if assignment is None or not assignment.settings:
            return
        self._left[assignment.number] = [*assignment.settings, *self._left[assignment.number]]
        self._losses[assignment.number] = self._losses.get(assignment.number, 0) + 1
        if self._losses[assignment.number] >= MOST_LOSSES:
            raise EngineError(
                f"workers: the worker of prompt {assignment.number} ended {MOST_LOSSES} times at "
                f"{assignment.settings[0].key}; is the memory enough for so many workers?"
            )
