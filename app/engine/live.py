"""A running comparison: its events become the values of status line and timeline."""

from __future__ import annotations

import time
from collections.abc import Sequence

from cache_engine import Comparison, Event, Method, ModelFacts, Progress, SideDone, StepTrace

from .. import statuses
from ..components.status import StatusValue
from ..components.timeline import TimelineValue
from ..timeline import RunningSide, timeline_of, timeline_value
from .compare_job import JobStatus

DRAWING = 0.3  # seconds between two drawings of a timeline of the usual length
USUAL = 56  # number of cells: 28 steps with two calls each


class LiveComparison:
    """Collects the events of one comparison."""

    def __init__(self, method: Method, facts: ModelFacts) -> None:
        self.method, self.facts = method, facts
        self.calls: dict[str, list[StepTrace]] = {"baseline": [], "accelerated": []}
        self.progress: Progress | None = None
        self.waiting: JobStatus | None = None
        self.reused = ""  # the time at which a reused baseline was made
        self.result: Comparison | None = None
        self._drawn = 0.0

    def redraw_due(self) -> bool:
        """Return whether the timeline must be drawn again. If so, note that it was drawn.

        A long timeline is drawn less often, because drawing keeps the browser busy and Stop would react late.
        """
        now, cells = time.monotonic(), self.facts.steps * len(self.facts.streams)
        if now - self._drawn < DRAWING * max(1, cells / USUAL) ** 2:
            return False
        self._drawn = now
        return True

    def take(self, events: Sequence[Event | JobStatus]) -> None:
        """Add the newest events."""
        for event in events:
            if isinstance(event, Progress):
                self.progress = event
                if event.call:
                    self.calls[event.side].append(event.call)
            elif isinstance(event, SideDone):
                self.calls[event.side] = list(event.result.trace)
                self.reused = event.result.clock if event.reused else self.reused
            elif isinstance(event, Comparison):
                self.result = event
            else:
                self.waiting = event

    def status(self) -> StatusValue:
        """Return the value of the status line."""
        if self.result:
            return statuses.finished(self.result)
        if self.waiting and not self.waiting.running:
            return statuses.queued(self.waiting.ahead)
        if self.waiting and self.waiting.loading:
            return statuses.starting(self.waiting.seconds)
        if self.waiting and self.waiting.stopping:
            return statuses.stopping()
        if self.progress is None:
            return statuses.queued(0)
        return statuses.status(self.progress, self.calls[self.progress.side], self.reused)

    def timeline(self) -> TimelineValue:
        """Return the value of the timeline up to the present step."""
        if self.result:
            return timeline_of(self.result)
        side = self.progress.side if self.progress else "baseline"
        return timeline_value(
            self.calls["baseline"],
            self.calls["accelerated"],
            self.facts.steps,
            self.method.to_dict(),
            running=RunningSide(side, self.facts.streams),
        )
