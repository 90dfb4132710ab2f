"""One comparison in the engine's queue: its request, its events so far, and its status for the page."""

from __future__ import annotations

import queue
import secrets
import threading
import time
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

from cache_engine import Baselines, Comparison, Event, Method, RunRequest

PACE = 0.15  # seconds over which events are collected: a browser draws no faster
# longest time in seconds between two statuses; gradio can close a generator only when the generator yields
HEARTBEAT = 0.25


class JobStatus(NamedTuple):
    """A job's place in the queue.

    ``ahead``: number of jobs before this one; 0 once it runs. seconds: time since the job was submitted.
    """

    job: str
    ahead: int
    running: bool
    loading: bool  # True while torch and diffusers are imported
    stopping: bool
    seconds: float


@dataclass(eq=False)
class ComparisonJob:
    """One comparison that waits or runs.

    key: it cannot be guessed. Everybody who knows the key may cancel the job and see its result.
    """

    request: RunRequest
    method: Method
    repeats: int = 1  # number of timed runs of each side
    key: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    stop: threading.Event = field(default_factory=threading.Event)
    events: queue.SimpleQueue[Event | Exception] = field(default_factory=queue.SimpleQueue)
    since: float = field(default_factory=time.monotonic)
    # Headers of the visitor's web request: a Space charges the GPU time to that visitor.
    context: Context = field(default_factory=copy_context)

    def next_events(self) -> tuple[list[Event], Exception | None]:
        """Wait for events.

        Returns the events within PACE seconds after the first one, or none after HEARTBEAT seconds, and the
        job's error.
        """
        events: list[Event] = []
        begun, left = 0.0, HEARTBEAT
        try:
            while not events or not isinstance(events[-1], Comparison):
                event = self.events.get(timeout=max(left, 0))
                if isinstance(event, Exception):
                    return events, event
                begun = begun if events else time.monotonic()
                events.append(event)
                left = begun + PACE - time.monotonic()
        except queue.Empty:
            pass
        return events, None


@runtime_checkable
class MeteredRunner(Protocol):
    """Runs comparisons at the cost of a visitor's quota, and tells beforehand how much of it a comparison
    uses.
    """

    def cost_note(self, request: RunRequest, method: Method, baselines: Baselines) -> str: ...
