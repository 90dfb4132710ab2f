"""Describes a second contender in words: its figures beside the accelerated side's, both against the same
baseline.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cache_engine import METHODS, Comparison, Method, method_from

from .. import form
from ..components.stale import StaleValue
from ..words import decibels, memory, plural


def same_compute(comparison: Comparison) -> Method:
    """Return the plain model with as many whole steps as the accelerated side's compute allows."""
    steps = comparison.baseline.request.steps or 1
    paid = max(1, round(steps * comparison.accelerated.tflops / comparison.baseline.tflops))
    share = max(0.01, min(1.0, paid / steps))
    return method_from({"name": "fewer_steps", "fraction": float(f"{share:.4g}")})


def title(method: Mapping[str, Any]) -> str:
    """Return a method's name for a caption."""
    return METHODS[method["name"]].title


def captions(left: str, right: str, text: str = "") -> StaleValue:
    """Return the captions of both pictures, and a tag."""
    return {"left": left, "right": right, "text": text}


def planned(comparison: Comparison, method: Method) -> str:
    """Describe, before a contender runs, what it remembers and how much memory its cache takes."""
    request = comparison.baseline.request
    held = form.cache_size(comparison.baseline, method, form.plan_of(method, request))
    keeps = f"{method.grain} grain, at most {memory(held)}" if held else "no cache"
    own = method.effective(request).steps
    steps = f", {plural(own or 0, 'step')}" if own != request.steps else ""
    return f"{method.title}{steps}: {keeps}. Runs on the same baseline."


def figures(comparison: Comparison) -> str:
    """Return speed and PSNR against the baseline."""
    return f"{comparison.speedup:.2f}×, {decibels(comparison.quality.psnr_db)}"


def sentence(comparison: Comparison, other: Comparison | None) -> str:
    """Compare both contenders with their common baseline. Return "" if the baseline itself is the left
    picture.
    """
    if other is None:
        return ""
    name = title(other.accelerated.method)
    if other.accelerated.method["name"] == "fewer_steps":
        name = plural(other.accelerated.effective.steps or 0, "plain step")
    accelerated = title(comparison.accelerated.method)
    return f"To the same baseline: {name} {figures(other)}; {accelerated} {figures(comparison)}."


def equal(comparison: Comparison, other: Comparison | None) -> str:
    """Name the number of plain steps with the same compute. Add the figures of ``other`` if it is a run with
    this number of steps.
    """
    steps = same_compute(comparison).effective(comparison.baseline.request).steps or 0
    count = plural(steps, "plain step")
    if other is None or other.accelerated.effective.steps != steps:
        return f"Same compute, no cache: {count}."
    return f"Same compute, no cache: {count} give{'s' if steps == 1 else ''} {figures(other)}."
