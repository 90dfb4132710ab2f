"""Follows the denoising loop through the pipeline's scheduler: the start of a run, its steps, and the end of
each step.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial, wraps
from inspect import signature
from typing import Any

import torch

from ..session import Session
from ..strict import Cancelled, EngineError
from .clock import Clock
from .refusals import refuse_attached


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

    def __init__(
        self, pipe: Any, session: Session, clock: Clock, stop: threading.Event | None, exits: ExitStack
    ) -> None:
        self.pipe, self.session, self.clock, self.stop, self.exits = pipe, session, clock, stop, exits
        self.due = False
        self.finite: list[tuple[int, torch.Tensor]] = []
        self.follow(pipe.scheduler)

    def follow(self, scheduler: Any) -> None:
        """Wrap the pipeline's scheduler until the engine leaves the model."""
        refuse_attached(scheduler)
        self.scheduler = scheduler
        set_temporarily(self.exits, scheduler, "_cachelens", self)
        for name, ours in (("set_timesteps", self.set_timesteps), ("step", self.step)):
            own = getattr(scheduler, name)
            set_temporarily(self.exits, scheduler, name, wraps(own)(partial(ours, own)))

    def set_timesteps(self, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        result = original(*args, **kwargs)
        self.session.end()
        self.due = True
        return result

    def begin(self) -> None:
        """Begin a due run when the model is called.

        If the pipeline got another scheduler since the last run, that scheduler's timesteps were set before
        it could be wrapped.
        """
        scheduler = self.pipe.scheduler
        if vars(scheduler).get("_cachelens") is self:
            self.scheduler = scheduler
        else:
            self.follow(scheduler)
            self.due = True
        if self.due:
            self.due = False
            self.finite.clear()
            steps = len(self.scheduler.timesteps) - (getattr(self.scheduler, "begin_index", None) or 0)
            # some pipelines set _num_timesteps instead of the scheduler's begin_index
            self.session.begin(min(steps, getattr(self.pipe, "_num_timesteps", steps)))

    def step(self, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        session, clock = self.session, self.clock
        if self.due:
            raise EngineError(
                "the pipeline does not call the transformer that the method was attached to; leave the "
                "`with`, and attach after the pipeline got its transformer."
            )
        result = original(*args, **kwargs)
        if session.step == 0 and session.calls_in_step:
            self.check_start(signature(original).bind(*args, **kwargs).arguments.get("timestep"))
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

    def check_start(self, time: Any) -> None:
        """After the first step, raise EngineError if timesteps were skipped without a begin_index.

        time: the timestep of the step. The timestep also reveals the start for schedulers without a
        step_index.
        """
        times, first = self.scheduler.timesteps, getattr(self.scheduler, "begin_index", None) or 0
        if first + self.session.total != len(times):
            return
        if hasattr(self.scheduler, "step_index"):
            current = (self.scheduler.step_index or 0) - 1
            late = first < current < len(times) and bool(times[first] != times[current])
        else:
            listed = torch.as_tensor(times).tolist()
            current = listed.index(float(time)) if time is not None and float(time) in listed else first
            late = current > first
        if late:
            raise EngineError(
                f"steps: the run begins at step {current} of {len(times)}, but the pipeline told "
                "neither its scheduler (set_begin_index) nor _num_timesteps, so its steps cannot be "
                "counted; use a strength of 1."
            )
