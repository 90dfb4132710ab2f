"""The stage of a job, shown at a fixed place of the page. It fires no event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

from ..base.drawn import drawn

if TYPE_CHECKING:
    import gradio as gr


StatusKind = Literal["idle", "queued", "running", "stopped", "error", "done"]


class StatusValue(TypedDict):
    """A job's stage. In tests: ``.cl-status[data-kind]``."""

    kind: StatusKind
    title: str
    detail: str
    share: float | None  # share of the stage that is done, 0 to 1; None if it cannot be known


def status(value: StatusValue | None = None, **options: Any) -> gr.HTML:
    """Make a status line. With the value None, the line shows the idle state."""
    return drawn("status", value, **options)
