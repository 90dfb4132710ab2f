"""A comparison while it runs: events are folded into what the page draws. Pure, like the views it uses."""

from __future__ import annotations

import time
from collections.abc import Sequence

from cache_engine import Comparison, Event, Method, ModelFacts, Progress, SideDone, StepTrace

from .. import statuses
from ..components.status import StatusValue
from ..components.timeline import TimelineValue
from ..timeline import timeline_of, timeline_value
from .compare_job import JobStatus

DRAWING = 0.3  # seconds between two drawings of a usual timeline
USUAL = 56  # cells: 28 steps, two calls each


class LiveComparison:
    """What is known so far of one comparison."""

    def __init__(self, method: Method, facts: ModelFacts) -> None:
        self.method, self.facts = method, facts
        self.calls: dict[str, list[StepTrace]] = {"baseline": [], "accelerated": []}
        self.progress: Progress | None = None
        self.waiting: JobStatus | None = None
        self.kept = ""  # the clock of a baseline that is reused
        self.result: Comparison | None = None
        self._drawn = 0.0

    def redraw_due(self) -> bool:
        """Whether the timeline is to be drawn again. A long one keeps a browser busy, so that Stop would
        answer late.
        """
        now, cells = time.monotonic(), self.facts.steps * len(self.facts.streams)
        if now - self._drawn < DRAWING * max(1, cells / USUAL) ** 2:
            return False
        self._drawn = now
        return True

    def take(self, events: Sequence[Event | JobStatus]) -> None:
        for event in events:
            if isinstance(event, Progress):
                self.progress = event
                if event.call:
                    self.calls[event.side].append(event.call)
            elif isinstance(event, SideDone):
                self.calls[event.side] = list(event.result.trace)
                self.kept = event.result.clock if event.reused else self.kept
            elif isinstance(event, Comparison):
                self.result = event
            else:
                self.waiting = event

    def status(self) -> StatusValue:
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
        return statuses.status(self.progress, self.calls[self.progress.side], self.kept)

    def timeline(self) -> TimelineValue:
        if self.result:
            return timeline_of(self.result)
        side = self.progress.side if self.progress else "baseline"
        return timeline_value(
            self.calls["baseline"],
            self.calls["accelerated"],
            self.facts.steps,
            self.method.to_dict(),
            running=side,
            streams=self.facts.streams,
        )
