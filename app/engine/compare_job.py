"""One comparison in the engine's queue: its request, its events so far, and its status for its watcher."""

from __future__ import annotations

import queue
import secrets
import threading
import time
from contextvars import Context, copy_context
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol, runtime_checkable

from cache_engine import Baselines, Comparison, Event, Method, RunRequest

PACE = 0.15  # seconds in which events are gathered: a browser draws no faster
HEARTBEAT = 0.25  # seconds between two statuses at most; gradio can close a generator only when it yields


class JobStatus(NamedTuple):
    """A job's place in the queue.

    ``ahead``: jobs before it, 0 once it runs. seconds: since it was submitted.
    """

    job: str
    ahead: int
    running: bool
    loading: bool  # torch and diffusers are being imported
    stopping: bool
    seconds: float


@dataclass(eq=False)
class ComparisonJob:
    """One comparison that waits or runs.

    key: cannot be guessed. Everybody who knows it may cancel the job and see its result.
    """

    request: RunRequest
    method: Method
    repeats: int = 1  # timed runs of each side
    key: str = field(default_factory=lambda: secrets.token_urlsafe(12))
    stop: threading.Event = field(default_factory=threading.Event)
    events: queue.SimpleQueue[Event | Exception] = field(default_factory=queue.SimpleQueue)
    since: float = field(default_factory=time.monotonic)
    # Of the visitor's web request: a Space charges its GPU time to that visitor.
    context: Context = field(default_factory=copy_context)

    def next_events(self) -> tuple[list[Event], Exception | None]:
        """Wait for events.

        Returns those within PACE of the first, none after HEARTBEAT, and the job's error.
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
    """Runs comparisons at the cost of a visitor's quota, and says beforehand how much one will use."""

    def cost_note(self, request: RunRequest, method: Method, baselines: Baselines) -> str: ...
