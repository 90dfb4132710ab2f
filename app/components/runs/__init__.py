"""The table of all runs on the present baseline. Event: ``choose {index}``, where index is the run's place in
the list.

In Python, listen with ``runs(...).choose(handler)``; the handler's ``event: gr.EventData`` has
``event.index``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from ..base.drawn import drawn

if TYPE_CHECKING:
    import gradio as gr


class RunRow(TypedDict):
    """One run. In tests: ``.cl-runs [data-index]``."""

    index: int | None  # None for the baseline
    recipe: str
    modes: str  # the run's schedule, such as "CCCcccC"
    faster: str
    flops: str
    psnr: str
    word: str  # the likeness in words
    when: str


class RunsValue(TypedDict):
    """The runs in the order of the table, and their baseline."""

    steps: int
    unit: str  # unit of ``flops``
    chosen: int | None
    rows: list[RunRow]
    baseline: RunRow | None


def runs(value: RunsValue | None = None, **options: Any) -> gr.HTML:
    """Make the table of runs. With the value None, the table is empty."""
    return drawn("runs", value, **options)
