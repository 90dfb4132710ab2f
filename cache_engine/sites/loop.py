"""Follows the denoising loop through the pipeline's scheduler: the start of a run, its steps, and the end of
each step.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial, wraps
from typing import Any

import torch

from ..session import Session
from ..strict import Cancelled, EngineError
from .clock import Clock


def set_temporarily(exits: ExitStack, item: Any, name: str, value: Any) -> None:
    """Set an attribute of one instance until the exit stack closes. After that, the instance is as before."""
    before = vars(item).get(name)
    own = name in vars(item)
    setattr(item, name, value)
    exits.callback(lambda: setattr(item, name, before) if own else delattr(item, name))


class Loop:
    """Wraps a scheduler's ``set_timesteps`` and ``step``.

    A run is due as soon as ``set_timesteps`` returns. A run begins with the next call of the model, because
    only then has the pipeline told at which timestep the run starts. A step ends when ``step`` returns.
    """

    def __init__(self, pipe: Any, session: Session, clock: Clock, stop: threading.Event | None) -> None:
        self.pipe, self.scheduler, self.session, self.clock, self.stop = (
            pipe,
            pipe.scheduler,
            session,
            clock,
            stop,
        )
        self.due = False
        self.finite: list[tuple[int, torch.Tensor]] = []

    def attach(self, exits: ExitStack) -> None:
        for name, ours in (("set_timesteps", self.set_timesteps), ("step", self.step)):
            own = getattr(self.scheduler, name)
            set_temporarily(exits, self.scheduler, name, wraps(own)(partial(ours, own)))

    def set_timesteps(self, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self.close()
        result = original(*args, **kwargs)
        self.session.end()
        self.due = True
        return result

    def begin(self) -> None:
        """Begin a due run when the model is called."""
        if self.due:
            self.due = False
            self.finite.clear()
            steps = len(self.scheduler.timesteps) - (getattr(self.scheduler, "begin_index", None) or 0)
            # some pipelines set _num_timesteps instead of the scheduler's begin_index
            self.session.begin(min(steps, getattr(self.pipe, "_num_timesteps", steps)))

    def step(self, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        session, clock = self.session, self.clock
        result = original(*args, **kwargs)
        if session.step == 0 and session.calls_in_step:
            self.check_start()
        sample = result[0] if isinstance(result, tuple) else result.prev_sample
        self.finite.append((session.step, torch.isfinite(sample).all()))
        session.next_step()
        if session.step == session.total:
            clock.loop_ends = clock.synchronise()
        if clock.live or session.step == session.total:  # reading a value makes the host wait for the GPU
            broken = next((step for step, fine in self.finite if not clock.fetch(fine)), None)
            self.finite.clear()
            if broken is not None:
                raise EngineError(
                    f"step {broken}: the picture contains values that are not numbers; use bfloat16 or "
                    "float32 instead of float16, or another model file."
                )
        if self.stop is not None and self.stop.is_set():
            raise Cancelled
        return result

    def check_start(self) -> None:
        """After the first step, raise EngineError if timesteps were skipped without a begin_index."""
        times, current = self.scheduler.timesteps, (getattr(self.scheduler, "step_index", None) or 0) - 1
        first = getattr(self.scheduler, "begin_index", None) or 0
        if (
            first + self.session.total == len(times)
            and first < current < len(times)
            and bool(times[first] != times[current])
        ):
            raise EngineError(
                f"steps: the run begins at step {current} of {len(times)}, but the pipeline told "
                "neither its scheduler (set_begin_index) nor _num_timesteps, so its steps cannot be "
                "counted; use a strength of 1."
            )

    def close(self) -> None:
        """At the end of a run, raise EngineError if it had fewer steps than timesteps.

        The check covers schedulers without a step_index, which ``check_start`` cannot check.
        """
        session = self.session
        if session.begun and 0 < session.step < session.total and not hasattr(self.scheduler, "step_index"):
            raise EngineError(
                f"steps: the run had {session.step} steps, but its decisions assumed {session.total}; "
                "use a scheduler that knows its step_index, or a pipeline that sets _num_timesteps."
            )
