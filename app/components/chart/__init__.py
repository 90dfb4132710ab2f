"""Marks on two axes. A visitor points at them, chooses one, and opens it.

Events: ``choose {id}`` (a click, or an arrow key along the horizontal axis), ``open {id}`` (Enter or a double
click). A mark answers within 14 pixels of the mouse and 22 of a finger; a further click on the same spot
chooses the next mark there."""

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
    "dot",  # measured
    "expected",  # dashed
    "running",  # half filled
    "edge",  # amber
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
    strong: bool  # its label is placed first, and bold
    picture: NotRequired[str]  # address of a small picture shown with ``lines``


class ChartAxis(TypedDict):
    """An axis' name and ticks."""

    name: str
    ticks: list[Tick]


class ChartLegend(TypedDict):
    """What a mark stands for."""

    mark: MarkShape
    text: str


class ChartLine(TypedDict):
    """A line through places."""

    kind: Literal["best", "expected", "plain"]  # dotted, dashed, plain
    points: list[list[float]]  # [x, y] each


class ChartLimit(TypedDict):
    """A line across the chart at one ``y``, or at one ``x``, with its text."""

    y: NotRequired[float]
    x: NotRequired[float]
    text: str


class ChartValue(TypedDict):
    """Places run from 0 (left, bottom) to 100; app/axes.py makes them. Without points, ``empty`` is shown."""

    title: str
    points: list[ChartPoint]
    empty: NotRequired[str]
    chosen: NotRequired[str | None]
    x: NotRequired[ChartAxis]
    y: NotRequired[ChartAxis]
    hint: NotRequired[str]  # after the vertical axis' name
    note: NotRequired[str]  # after the horizontal axis' name
    legend: NotRequired[list[ChartLegend]]
    lines: NotRequired[list[ChartLine]]
    cloud: NotRequired[list[list[float]]]  # small dots, [x, y] each
    band: NotRequired[list[list[float]]]  # an area, [x, low, high] each
    limit: NotRequired[ChartLimit | None]


def chart(value: ChartValue | None = None, **options: Any) -> gr.HTML:
    """Make a chart. None draws it empty."""
    return drawn("chart", value, **options)
