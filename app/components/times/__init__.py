"""Encoding, denoising and decoding times of both sides on one axis. It fires no event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from ..base.drawn import drawn
from ..base.shapes import NamedText

if TYPE_CHECKING:
    import gradio as gr


class TimesPart(TypedDict):
    """One stage of a side. ``share``: its part of the slower side's total time, 0 to 1."""

    name: str  # encode, denoise or decode
    share: float
    text: str


class TimesRow(TypedDict):
    """One side. In tests: ``.cl-times [data-side]``."""

    side: str  # baseline or accelerated
    label: str
    parts: list[TimesPart]
    total: str


class TimesValue(TypedDict):
    """Both sides' times."""

    rows: list[TimesRow]
    legend: list[NamedText]  # the parts' names and their labels
    note: str


def times(value: TimesValue | None = None, **options: Any) -> gr.HTML:
    """Make the time bars. With the value None, a sentence says that nothing has run."""
    return drawn("times", value, **options)
