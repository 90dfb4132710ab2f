"""Rows of dots and a line for the floor: one row for the prompts, one for settings that are one step away. It
fires no event.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict

from ..base.drawn import drawn

if TYPE_CHECKING:
    import gradio as gr


class StripsDot(TypedDict):
    """One dot. In tests: ``.cl-strips .track b``."""

    at: float
    look: Literal["", "below"]  # "below": the dot is below the floor


class StripsRow(TypedDict):
    """One row of dots. ``spoken``: the row in words, for a screen reader."""

    label: str
    dots: list[StripsDot]
    text: str
    spoken: str


class StripsLine(TypedDict):
    """A line through all rows."""

    at: float
    kind: str  # "floor" or "edge"


class StripsTick(TypedDict):
    """A labelled place under the rows."""

    at: float
    text: str


class StripsValue(TypedDict):
    """All rows. Places run from 0 (left) to 100. Without rows, the component is hidden."""

    title: NotRequired[str]
    note: NotRequired[str]
    rows: list[StripsRow]
    lines: NotRequired[list[StripsLine]]
    ticks: NotRequired[list[StripsTick]]


def strips(value: StripsValue | None = None, **options: Any) -> gr.HTML:
    """Make the rows of dots. None hides them."""
    return drawn("strips", value, **options)
