"""A column for every step: the decision, its cost, and how much had changed.

Events: ``select {index}`` (a step was pinned), ``limit {value, top}`` (the threshold was dragged; ``top`` is
the axis' end while it is held, else None), ``paint {mask, painted}``, ``freeze {}``, ``fix {knob, value}``
(the banner's button). While the threshold is dragged, one event is on its way at a time. In Python listen
with ``timeline(...).select(handler, trigger_mode="multiple")``: gradio's other modes lose the last of several
quick events."""

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
    change: float | None  # relative L1, as the schedule saw it
    y: float | None  # the change as a share of the axis; above 1 the bar is cut
    value: str | None  # the change in short, shown above a bar that is cut
    cost: float  # 0 to 1, of the baseline's call
    sentence: str
    facts: str
    painted: NotRequired[bool]  # forced by hand: drawn with a corner mark


class TimelineRow(TypedDict):
    """The accelerated side's calls of one stream, a cell a step; None where a step has not run."""

    label: str
    stream: str
    cells: list[TimelineCell | None]


class ThresholdDrag(TypedDict):
    """The knob that the threshold line turns."""

    value: float
    low: float
    high: float
    step: float


class Remedy(TypedDict):
    """The banner's button: it sets one knob."""

    knob: str
    value: float
    text: str


class TimelineValue(TypedDict):
    """A run, or a running one as far as it has come. Places run from 0 (bottom) to 1.

    In tests: a step is ``.cl-step``, its ``data-mode`` is its first stream's; ``.cl-readout`` is the readout;
    the step shown there has ``aria-current``.
    """

    steps: int
    running: Side | None  # None: a finished pair
    calls: int  # of the accelerated side, so far
    per_step: int  # calls in a step
    counts: dict[str, int]  # calls by mode
    warmup: int  # steps
    baseline: list[bool]  # whether the baseline has done each step
    rows: list[TimelineRow]
    signal: str  # the axis' name
    limit: Tick | None  # the threshold
    top: float  # the change at the axis' end
    ticks: list[Tick]
    at: int  # the step in the readout until a visitor picks another
    banner: str  # a sentence in place of the readout; "" for none
    fix: Remedy | None
    drag: ThresholdDrag | None  # None: the threshold cannot be dragged
    paint: bool  # whether steps can be forced by hand
    masked: bool  # whether a mask decides now
    expected: (
        str  # what the accelerated calls are expected from; "" where they ran. Expected calls are dashed
    )


def timeline(value: TimelineValue | None = None, **options: Any) -> gr.HTML:
    """Make the timeline. None draws a sentence that nothing has run."""
    return drawn("timeline", value, **options)
