"""The second contender in words: what stands against the accelerated side, and how both compare to the one
baseline. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cache_engine import METHODS, Comparison, Method, cache_bytes, facts_of, method_from

from ..components.stale import StaleValue
from ..words import decibels, memory, plural


def same_compute(one: Comparison) -> Method:
    """The plain model with as many whole steps as the accelerated side's compute pays for."""
    steps = one.baseline.request.steps or 1
    paid = max(1, round(steps * one.accelerated.tflops / one.baseline.tflops))
    return method_from({"name": "fewer_steps", "fraction": float(f"{max(0.01, min(1.0, paid / steps)):.4g}")})


def title(method: Mapping[str, Any]) -> str:
    """A method as a caption names it."""
    return METHODS[method["name"]].title


def captions(left: str, right: str, text: str = "") -> StaleValue:
    return {"left": left, "right": right, "text": text}


def planned(one: Comparison, method: Method) -> str:
    """What the contender will be, before it runs: its grain and what its cache will hold."""
    request = method.effective(one.baseline.request)
    size = 4 if one.baseline.engine.dtype == "float32" else 2
    held = cache_bytes(request, method.plan(facts_of(request)), element=size)
    keeps = f"{method.grain} grain, at most {memory(held)}" if held else "no cache"
    steps = f", {plural(request.steps or 0, 'step')}" if request.steps != one.baseline.request.steps else ""
    return f"{method.title}{steps}: {keeps}. Runs on the same baseline."


def figures(run: Comparison) -> str:
    """How a run compares to its baseline."""
    return f"{run.speedup:.2f}×, {decibels(run.quality.psnr_db)}"


def sentence(one: Comparison, other: Comparison | None) -> str:
    """Both against the one baseline; nothing where the baseline itself stands there."""
    if other is None:
        return ""
    steps = other.accelerated.effective.steps or 0
    what = (
        plural(steps, "plain step")
        if other.accelerated.method["name"] == "fewer_steps"
        else title(other.accelerated.method)
    )
    return f"To the same baseline: {what} {figures(other)}; {title(one.accelerated.method)} {figures(one)}."


def equal(one: Comparison, other: Comparison | None) -> str:
    """The row of the plain model at the same compute: how many steps, and what they gave once they were
    run.
    """
    steps = same_compute(one).effective(one.baseline.request).steps or 0
    if other is None or other.accelerated.effective.steps != steps:
        return f"Same compute, no cache: {plural(steps, 'plain step')}."
    return (
        f"Same compute, no cache: {plural(steps, 'plain step')} give{'s' if steps == 1 else ''} "
        f"{figures(other)}."
    )
