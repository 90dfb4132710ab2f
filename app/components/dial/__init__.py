"""A dial for one goal, how fast or how close. The knobs follow it.

Event: ``turn {goal, value}``, with goal "speed" (value: times faster) or "likeness" (value: dB). During a
drag, only one event at a time is sent.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

from ..base.drawn import drawn
from ..base.shapes import Tick

if TYPE_CHECKING:
    import gradio as gr


class DialPoint(TypedDict):
    """The best expected likeness at one speed. ``band``: both ends of its range, or None if the range is not
    known.
    """

    x: float
    y: float
    band: list[float] | None


class DialRun(TypedDict):
    """A comparison that was run."""

    x: float
    y: float


class DialThumb(TypedDict):
    """The present setting."""

    x: float
    y: float
    speed: float  # times faster than the baseline
    db: float | None
    speed_text: str
    likeness_text: str


class DialValue(TypedDict):
    """The whole dial. Places run from 0 (left, bottom) to 1. In tests: ``.cl-dial .plot``, ``.thumb``."""

    state: Literal["none", "waiting", "ready"]
    note: str
    points: list[DialPoint]
    runs: list[DialRun]
    at: DialThumb | None
    db: list[float] | None  # both ends of the vertical axis in dB; None if no PSNR is known
    speeds: list[Tick]
    levels: list[Tick]


def dial(value: DialValue | None = None, **options: Any) -> gr.HTML:
    """Make the dial. None hides it."""
    return drawn("dial", value, **options)
