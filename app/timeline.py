"""Makes the value of the timeline: the steps of a finished run, or of a running one up
to the present step.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from cache_engine import METHODS, Comparison, Reason, StepTrace

from .components.base.shapes import Tick
from .components.timeline import (
    Remedy,
    Side,
    StepMode,
    ThresholdDrag,
    TimelineCell,
    TimelineRow,
    TimelineValue,
)
from .words import change_text, flops_unit, is_forced, milliseconds, number, plural, sentence, significant

MODES: tuple[StepMode, ...] = ("computed", "forced", "cached", "partial")
SIGNAL = "change since last computed"
# the knobs that a visitor can change in the timeline
LIMIT, MASK = "residual_diff_threshold", "steps_computation_mask"


class RunningSide(NamedTuple):
    """The side that is running.

    ``streams``: names of the calls in a step, so that every row exists from the start.
    """

    side: Side
    streams: Sequence[str] = ()


class Marks(NamedTuple):
    """A visitor's marks in the timeline. ``top``: the end of the axis while it must not move. painted: steps
    forced by hand.
    """

    top: float | None = None
    painted: Collection[int] = ()


def timeline_of(
    comparison: Comparison, *, top: float | None = None, painted: Collection[int] = ()
) -> TimelineValue:
    """Return the timeline of a finished comparison."""
    return timeline_value(
        comparison.baseline.trace,
        comparison.accelerated.trace,
        len(comparison.accelerated.schedule),
        comparison.accelerated.method,
        marks=Marks(top, painted),
    )


def timeline_value(
    baseline: Sequence[StepTrace],
    accelerated: Sequence[StepTrace],
    steps: int,
    method: Mapping[str, Any] | None = None,
    *,
    running: RunningSide | None = None,
    expected: str = "",
    marks: Marks = Marks(),
) -> TimelineValue:
    """Return both sides' calls as columns, one column for each step.

    running: None if both sides are finished. expected: the source of accelerated calls that did not run.
    """
    knobs, streams = method or {}, running.streams if running else ()
    names = list(dict.fromkeys([*streams, *(call.stream for call in (*baseline, *accelerated))])) or ["cond"]
    full = {(call.step, call.stream): call for call in baseline}
    rows = [_row(name, len(names) > 1, steps, accelerated, full, knobs) for name in names]
    shades = [cell["mode"] for row in rows for cell in row["cells"] if cell]
    line = _limit(accelerated, knobs)
    top = marks.top or axis_top(line, [call.change for call in accelerated if call.change is not None])
    for cell in (cell for row in rows for cell in row["cells"] if cell):
        if (change := cell["change"]) is not None:
            cell["y"] = round(change / top, 4)
    for cell in (row["cells"][step] for row in rows for step in marks.painted if step < steps):
        if cell:
            cell["painted"] = True
    done = {step for step in range(steps) if all((step, name) in full for name in names)}
    warmup = knobs.get("max_warmup_steps", 0)
    whole = () if running else accelerated
    return {
        "steps": steps,
        "running": running.side if running else None,
        "calls": len(shades),
        "per_step": len(names),
        "counts": {mode: shades.count(mode) for mode in MODES},
        "warmup": min(warmup, steps) if warmup else 0,
        "baseline": [step in done for step in range(steps)],
        "rows": rows,
        "signal": SIGNAL,
        "limit": None if line is None else {"place": round(min(line / top, 1), 4), "text": number(line)},
        "top": top,
        "ticks": [Tick(place=round(tick / top, 4), text=number(tick)) for tick in _ticks(top)],
        "at": _look_at(accelerated, max(done, default=0), running is not None),
        "banner": nothing_cached(whole, steps, knobs) if whole else "",
        "fix": enough(whole, knobs) if whole else None,
        "drag": _drag(knobs, line) if whole else None,
        "paint": bool(whole) and MASK in knobs,
        "masked": bool(knobs.get(MASK)),
        "expected": expected,
    }


def _drag(knobs: Mapping[str, Any], line: float | None) -> ThresholdDrag | None:
    """Return the bounds of the threshold's knob, or None if the line cannot be dragged."""
    if line is None or LIMIT not in knobs or "name" not in knobs:
        return None
    knob = next(knob for knob in METHODS[knobs["name"]].knobs() if knob.name == LIMIT)
    if knob.low is None or knob.high is None or knob.step is None:
        return None
    return {"value": line, "low": knob.low, "high": knob.high, "step": knob.step}


def _row(
    name: str,
    several: bool,
    steps: int,
    calls: Sequence[StepTrace],
    full: Mapping[tuple[int, str], StepTrace],
    knobs: Mapping[str, Any],
) -> TimelineRow:
    cells: list[TimelineCell | None] = [None] * steps
    streak = 0
    for call in (call for call in calls if call.stream == name and call.step < steps):
        streak = streak + 1 if call.mode == "c" else streak
        cells[call.step] = _cell(call, streak, full.get((call.step, name)), knobs)
        streak = 0 if call.mode == "C" else streak
    return {"label": f"Accelerated, {name}" if several else "Accelerated", "stream": name, "cells": cells}


def _cell(call: StepTrace, streak: int, full: StepTrace | None, knobs: Mapping[str, Any]) -> TimelineCell:
    modes: dict[str, StepMode] = {
        "C": "forced" if is_forced(call) else "computed",
        "c": "cached",
        "p": "partial",
    }
    whole = full.tflops if full and full.tflops else 0
    ran = call.tflops / whole if whole and call.tflops else call.blocks_run / max(call.blocks, 1)
    facts = [f"{call.blocks_run} of {plural(call.blocks, 'block')}"]
    if whole and call.tflops:
        factor, unit = flops_unit(whole)
        facts.append(f"{significant(call.tflops * factor)} of {significant(whole * factor)} {unit}")
    if full and full.seconds:
        facts.append(f"{milliseconds(call.seconds).removesuffix(' ms')} of {milliseconds(full.seconds)}")
    elif call.seconds:
        facts.append(milliseconds(call.seconds))
    return {
        "mode": modes[call.mode],
        "change": call.change,
        "y": None,
        "cost": round(min(ran, 1), 4),
        "value": _short(call.change),
        "sentence": sentence(call, streak, knobs),
        "facts": " · ".join(facts),
    }


def _short(change: float | None) -> str | None:
    """Return a change as a short text that fits above its bar."""
    return None if change is None else significant(change, 3 if change >= 1 else 2)


def _limit(calls: Sequence[StepTrace], knobs: Mapping[str, Any]) -> float | None:
    """Return a run's threshold. Return None if the run has no threshold, if the threshold changes during the
    run, or if a mask decides alone.
    """
    if knobs.get(MASK) and knobs.get("steps_computation_policy") == "static":
        return None
    limits = {call.limit for call in calls if call.limit is not None} or {knobs.get(LIMIT)}
    only = limits.pop() if len(limits) == 1 else None
    return float(only) if isinstance(only, (int, float)) else None


def _nice(value: float) -> float:
    """Round up to 1, 2, 2.5 or 5 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(round(lead * power, 12) for lead in (1, 2, 2.5, 5, 10) if lead * power >= value * (1 - 1e-9))


def axis_top(limit: float | None, changes: Sequence[float]) -> float:
    """Return the change at the end of the axis: near twice the threshold, so that the axis stays the same
    during a run.

    Longer bars are cut off. Without a threshold, the largest change determines the end.
    """
    if limit:
        return _nice(limit * (2 if limit < 0.5 else 1.2))
    return _nice(max(changes, default=0) or 0.1)


def _ticks(top: float) -> list[float]:
    step = _nice(top / 2.5)
    return [step * count for count in range(1, math.floor(top / step + 1e-9) + 1)]


def _look_at(calls: Sequence[StepTrace], baseline_at: int, running: bool) -> int:
    """Return the step that the readout shows until a visitor chooses another."""
    if running:
        return calls[-1].step if calls else baseline_at
    cached = [call.step for call in calls if call.mode != "C"]
    return cached[len(cached) // 2] if cached else calls[-1].step if calls else 0


def nothing_cached(calls: Sequence[StepTrace], steps: int, knobs: Mapping[str, Any]) -> str:
    """Return why no call was cached, and which change of the setting would help. Return "" if a call was
    cached.
    """
    if any(call.mode != "C" for call in calls):
        return ""
    why = [call.reason for call in calls]
    nothing = f"0 of {plural(steps, 'step')} cached"
    least, line = _least(calls), _limit(calls, knobs)
    if least is not None and line is not None:
        return (
            f"{nothing}: every change after the warm-up is {change_text(least, line)} or more and the "
            f"threshold is {number(line)}. A threshold of {number(_above(least))} would cache "
            "the first step."
        )
    if Reason.THRESHOLD_0 in why:
        return f"{nothing}: threshold 0 caches no step. This setting proves that the two pictures are equal."
    if Reason.ALWAYS in why:
        return f"{nothing}: this method computes every step."
    if Reason.MASK in why:
        return f"{nothing}: mask and warm-up compute every step. Put zeros into the mask."
    return (
        f"{nothing}: the warm-up covers all steps (max_warmup_steps "
        f"{knobs.get('max_warmup_steps', steps)}). Choose a shorter warm-up, or more steps."
    )


def _least(calls: Sequence[StepTrace]) -> float | None:
    """Return the smallest change that was compared with the threshold."""
    return min(
        (call.change for call in calls if call.reason.startswith(Reason.CHANGE) and call.change is not None),
        default=None,
    )


def _above(change: float) -> float:
    """Round up to the next hundredth."""
    return math.floor(change * 100 + 1) / 100


def enough(calls: Sequence[StepTrace], knobs: Mapping[str, Any]) -> Remedy | None:
    """Return the button for the smallest threshold that would cache a step, if no step is cached and a
    threshold decides.
    """
    least = _least(calls)
    if (
        least is None
        or _above(least) >= 1
        or _limit(calls, knobs) is None
        or any(call.mode != "C" for call in calls)
    ):
        return None
    return remedy(LIMIT, _above(least))


def remedy(knob: str, value: float) -> Remedy:
    """Return the banner's button, which sets this knob to this value."""
    return {"knob": knob, "value": value, "text": f"Set {number(value)}"}
