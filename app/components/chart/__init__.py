"""Marks on two axes. A visitor can point at a mark, choose it, and open it.

Events: ``choose {id}`` (a click, or an arrow key along the horizontal axis), ``open {id}`` (Enter or a double
click). A mark reacts within 14 pixels of the mouse and 22 of a finger; another click on the same spot chooses
the next mark there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict

from ..base.drawn import drawn
from ..base.shapes import Tick

if TYPE_CHECKING:
    import gradio as gr


MarkShape = Literal[
    "ring",
    "diamond",
    "triangle",
    "cross",
    "square",
    "dot",  # a measured setting
    "expected",  # drawn dashed
    "running",  # drawn half filled
    "edge",  # drawn in amber
]


class ChartPoint(TypedDict):
    """One mark. In tests: ``.cl-chart [data-id]``."""

    id: str
    x: float
    y: float
    mark: MarkShape
    name: str
    lines: list[str]  # shown beside the mark when a visitor points at it
    label: str  # always shown beside the mark; "" for none
    strong: bool  # the label is bold, and is placed before the others
    picture: NotRequired[str]  # address of a small picture shown with ``lines``


class ChartAxis(TypedDict):
    """An axis' name and ticks."""

    name: str
    ticks: list[Tick]


class ChartLegend(TypedDict):
    """A mark and its meaning."""

    mark: MarkShape
    text: str


class ChartLine(TypedDict):
    """A line through several places."""

    kind: Literal["best", "expected", "plain"]  # drawn dotted, dashed and plain
    points: list[list[float]]  # [x, y] each


class ChartLimit(TypedDict):
    """A line across the chart at one ``y`` or at one ``x``, with its text."""

    y: NotRequired[float]
    x: NotRequired[float]
    text: str


class ChartValue(TypedDict):
    """The whole chart. Places run from 0 (left, bottom) to 100; app/axes.py computes them. Without points,
    ``empty`` is shown.
    """

    title: str
    points: list[ChartPoint]
    empty: NotRequired[str]
    chosen: NotRequired[str | None]
    x: NotRequired[ChartAxis]
    y: NotRequired[ChartAxis]
    hint: NotRequired[str]  # text after the name of the vertical axis
    note: NotRequired[str]  # text after the name of the horizontal axis
    legend: NotRequired[list[ChartLegend]]
    lines: NotRequired[list[ChartLine]]
    cloud: NotRequired[list[list[float]]]  # small dots, [x, y] each
    band: NotRequired[list[list[float]]]  # an area; each item is [x, low, high]
    limit: NotRequired[ChartLimit | None]


def chart(value: ChartValue | None = None, **options: Any) -> gr.HTML:
    """Make a chart. None draws it empty."""
    return drawn("chart", value, **options)
