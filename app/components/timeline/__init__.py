"""The timeline has a column for every step: its decision, its cost, and how much the signal had changed.

Events: ``select {index}`` (a step was pinned), ``limit {value, top}`` (the threshold was dragged; ``top`` is
the fixed end of the axis during a drag, else None), ``paint {mask, painted}``, ``freeze {}``, ``fix {knob,
value}`` (the banner's button). During a drag of the threshold, only one event at a time is sent. In Python,
listen with ``timeline(...).select(handler, trigger_mode="multiple")``: gradio's other modes lose the last of
several quick events.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict

from ..base.drawn import drawn
from ..base.shapes import Tick

if TYPE_CHECKING:
    import gradio as gr


StepMode = Literal["computed", "forced", "cached", "partial"]
Side = Literal["baseline", "accelerated"]


class TimelineCell(TypedDict):
    """One call. In tests: ``.cl-cell[data-shade]``."""

    mode: StepMode
    change: float | None  # relative L1 change, as the schedule saw it
    y: float | None  # the change as a share of the axis; if it is above 1, the bar is cut off
    value: str | None  # the change in a few digits, shown above a bar that is cut off
    cost: float  # 0 to 1, as a share of the baseline call's cost
    sentence: str
    facts: str
    painted: NotRequired[bool]  # forced by hand: drawn with a corner mark


class TimelineRow(TypedDict):
    """The accelerated side's calls in one stream, one cell for each step. A step that has not run is None."""

    label: str
    stream: str
    cells: list[TimelineCell | None]


class ThresholdDrag(TypedDict):
    """The knob that the visitor changes by dragging the threshold line."""

    value: float
    low: float
    high: float
    step: float


class Remedy(TypedDict):
    """The banner's button, which sets one knob."""

    knob: str
    value: float
    text: str


class TimelineValue(TypedDict):
    """A complete run, or a run in progress. Places run from 0 (bottom) to 1.

    In tests: a step is ``.cl-step``, and its ``data-mode`` is the mode of its first stream; ``.cl-readout``
    is the readout; the step shown in it has ``aria-current``.
    """

    steps: int
    running: Side | None  # None: both sides are finished
    calls: int  # number of the accelerated side's calls so far
    per_step: int  # number of calls in a step
    counts: dict[str, int]  # number of calls by mode
    warmup: int  # number of warm-up steps
    baseline: list[bool]  # for each step, whether the baseline has done it
    rows: list[TimelineRow]
    signal: str  # name of the axis
    limit: Tick | None  # the threshold
    top: float  # the change at the end of the axis
    ticks: list[Tick]
    at: int  # the step that the readout shows until a visitor chooses another
    banner: str  # a sentence that replaces the readout; "" for none
    fix: Remedy | None
    drag: ThresholdDrag | None  # None: the threshold cannot be dragged
    paint: bool  # True if steps can be forced by hand
    masked: bool  # True if a mask decides now
    expected: (
        # the run from which the accelerated calls are estimated; "" if they really ran. Estimated calls are
        # drawn dashed
        str
    )


def timeline(value: TimelineValue | None = None, **options: Any) -> gr.HTML:
    """Make the timeline. With the value None, a sentence says that nothing has run."""
    return drawn("timeline", value, **options)
