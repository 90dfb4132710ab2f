"""The decisions of one run, stream by stream, and its trace. No torch: a what-if uses the same Session."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, SupportsFloat

from .plans import COMPUTE_ALWAYS, Costs, Decide, Decision, Mode, Plan, Reason, reason_text
from .records import StepTrace
from .strict import EngineError

STREAM_NAMES = ("cond", "uncond", "third", "fourth")


@dataclass(slots=True)
class Call:
    """One forward of the transformer while it runs. Schedules see the call as their probe."""

    step: int
    number: int
    stream: str
    total: int
    ready: bool
    streak: int
    cached: int
    measure: Callable[[], SupportsFloat] | None = field(default=None, init=False)
    decision: Decision | None = field(default=None, init=False)
    measured: SupportsFloat | None = field(default=None, init=False)
    blocks_run: int = field(default=0, init=False)
    # True: change and seconds can be read at once. False: they are still on the device.
    live: bool = field(default=True, init=False)
    seconds: Callable[[], float] = lambda: 0.0
    # Number of samples in the call: some pipelines put both branches of their guidance into one call.
    batch: int = field(default=1, init=False)

    def change(self) -> float:
        """Return the signal's change as a float. This synchronises the device once."""
        if self.measured is None and self.measure is not None:
            self.measured = self.measure()
        if self.measured is None:
            raise EngineError(
                f"step {self.step}: this method's schedule needs a change, but its plan measures no change."
            )
        self.measured = change = float(self.measured)
        return change if math.isfinite(change) else checked(change, self.step)


def checked(change: float, step: int) -> float:
    """Return the change. Raises EngineError if the change is not finite, because the run is then broken."""
    if not math.isfinite(change):
        raise EngineError(
            f"step {step}: the change is {change}, so the model's activations are broken; use bfloat16 "
            "or float32 instead of float16, or another model file."
        )
    return change


@dataclass(slots=True)
class _Stream:
    decide: Decide
    streak: int = 0
    cached: int = 0
    ready: bool = False


class Session:
    """Makes one decision for every call. ``begin`` starts a run; nothing of an earlier run is remembered.

    planner: a function (total steps) -> Plan.
    streams: the names of the calls within a step, or None if their number is known only during the run. With
    names, a call after the last stream begins the next step.
    stepped: True if the scheduler calls ``next_step``; then calls do not begin steps by themselves.
    """

    def __init__(
        self,
        planner: Callable[[int], Plan],
        blocks: int,
        *,
        total: int = 0,
        streams: tuple[str, ...] | None = None,
        stepped: bool = False,
        costs: Costs | None = None,
    ) -> None:
        self.planner, self.blocks, self.streams, self.stepped = planner, blocks, streams, stepped
        self.costs: Costs = costs or _no_costs
        self.plan: Plan | None = planner(total) if total else None  # knobs that do not fit are refused here
        self.total = total
        self.begun = False
        self._reset()

    def _reset(self) -> None:
        self.calls: list[Call] = []
        self.memory: dict[str, Any] = {}  # by stream, the sites' StreamTensors; cleared when the run ends
        self.step = self.calls_in_step = 0
        self._streams: dict[str, _Stream] = {}

    def begin(self, total: int | None = None) -> None:
        """Start a run of ``total`` steps; with None, of as many steps as the last run."""
        self.end()
        self.total = self.total if total is None else total
        self.plan = self.planner(self.total)
        self._reset()
        self.begun = True

    def end(self) -> None:
        """End the run, complete or not. Forget the run's remembered values, but keep its trace."""
        self.begun = False
        self.memory.clear()

    def next_step(self) -> None:
        """Begin the next step, after the scheduler has taken one."""
        if self.streams and self.calls_in_step not in (0, len(self.streams)):
            raise EngineError(
                f"step {self.step}: the model was called {self.calls_in_step} times for "
                f"{len(self.streams)} streams ({', '.join(self.streams)}); name its streams."
            )
        if self.calls_in_step:  # a scheduler may step more than once for each call
            self.step, self.calls_in_step = self.step + 1, 0

    def open(self, model: str = "") -> Call:
        """Begin a call: determine its step and its stream.

        model: the name of the pipeline's second model, or "". A second model has streams of its own, such as
        ``cond, transformer_2``.
        """
        if not self.begun or self.plan is None:
            raise EngineError("the run has not begun; call session.begin() before the model.")
        calls, names = self.calls, self.streams or STREAM_NAMES
        most, in_step = len(names), self.calls_in_step
        if in_step == most and not self.stepped:
            self.step += 1
            self.calls_in_step = in_step = 0
        if self.step >= self.total or in_step >= most:
            raise EngineError(
                f"call {len(calls) + 1} does not fit {self.total} steps of {most} calls; "
                "begin a new run, or name the streams."
            )
        name = f"{names[in_step]}, {model}" if model else names[in_step]
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = _Stream(self.plan.schedule.begin())
        call = Call(self.step, len(calls), name, self.total, stream.ready, stream.streak, stream.cached)
        calls.append(call)
        self.calls_in_step = in_step + 1
        return call

    def forget(self, call: Call) -> None:
        """Start the call's stream afresh, because its remembered values have another shape."""
        assert self.plan is not None
        self._streams[call.stream] = _Stream(self.plan.schedule.begin())
        self.memory.pop(call.stream, None)
        call.ready, call.streak, call.cached = False, 0, 0

    def decide(self, call: Call, measure: Callable[[], SupportsFloat] | None = None) -> Decision:
        """Decide whether and how the call is computed.

        measure: a function that returns the signal's change. The change may be a scalar on the device; it is
        fetched when needed.
        """
        stream = self._streams[call.stream]
        if call.ready:
            call.measure = measure
        call.decision = decision = stream.decide(call)
        if call.measure is not None:
            if call.measured is None:
                call.measured = call.measure()
            call.measure = None
        if call.live and call.measured is not None:
            checked(float(call.measured), call.step)
        if decision.mode == "C":
            stream.ready, stream.streak = True, 0
        else:
            stream.streak, stream.cached = stream.streak + 1, stream.cached + 1
        return decision

    def traced(self, call: Call, *, fetch: bool = True) -> StepTrace:
        """Return the call's trace. With ``fetch=False``, a change that is still on the device is left out."""
        decision = call.decision or COMPUTE_ALWAYS
        known = fetch or call.live
        fetched = known or decision.reason is Reason.CHANGE  # the decision already fetched the change
        change = checked(float(call.measured), call.step) if fetched and call.measured is not None else None
        tflops = call.batch * self.costs(decision.mode, call.step)
        return StepTrace(
            call.step,
            call.number,
            call.stream,
            decision.mode,
            reason_text(decision.text, decision.mode, change, decision.limit),
            change,
            decision.limit,
            call.blocks_run,
            self.blocks,
            tflops,
            call.seconds() if known else 0.0,
        )

    @property
    def trace(self) -> tuple[StepTrace, ...]:
        return tuple(self.traced(call) for call in self.calls)


def _no_costs(mode: Mode, step: int) -> float:
    return 0.0


def walk(
    plan: Plan, total: int, streams: tuple[str, ...], change: Callable[[Call], SupportsFloat]
) -> Session:
    """Decide all calls of a run without a model, from the changes that ``change`` returns."""
    session = Session(lambda _: plan, 0, streams=streams)
    session.begin(total)
    for _ in range(total * len(streams)):
        call = session.open()
        call.live = False  # a change is looked up only if a decision asks for it
        session.decide(call, lambda call=call: change(call))
    return session
