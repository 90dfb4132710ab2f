"""One wish, how fast or how close; the knobs follow.

Event: ``turn {goal, value}``, with goal "speed" (value: times faster) or "likeness" (value: dB). While it is
dragged, one event is on its way at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

from ..base.drawn import drawn
from ..base.shapes import Tick

if TYPE_CHECKING:
    import gradio as gr


class DialPoint(TypedDict):
    """The best expected likeness at one speed. ``band``: both ends, or None where no spread is known."""

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
    speed: float  # times faster
    db: float | None
    speed_text: str
    likeness_text: str


class DialValue(TypedDict):
    """Places run from 0 (left, bottom) to 1. In tests: ``.cl-dial .plot``, ``.thumb``."""

    state: Literal["none", "waiting", "ready"]
    note: str
    points: list[DialPoint]
    runs: list[DialRun]
    at: DialThumb | None
    db: list[float] | None  # both ends of the vertical axis; None where no dB are known
    speeds: list[Tick]
    levels: list[Tick]


def dial(value: DialValue | None = None, **options: Any) -> gr.HTML:
    """Make the dial. None hides it."""
    return drawn("dial", value, **options)
