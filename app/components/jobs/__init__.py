"""Long jobs: how far each has come, and what a visitor can do with it.

Events: ``choose {key}``, ``act {key, act}``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from ..base.drawn import drawn

if TYPE_CHECKING:
    import gradio as gr


class JobAct(TypedDict):
    """A button of a job."""

    act: str  # stop, resume, remove
    text: str


class JobsRow(TypedDict):
    """One job. In tests: ``.cl-jobs [data-key]``."""

    key: str
    title: str
    stage: str
    note: str
    share: float  # that is done, 0 to 1
    state: str
    acts: list[JobAct]
    chosen: bool


class JobsValue(TypedDict):
    """The jobs, newest first; ``empty`` is shown where there is none."""

    jobs: list[JobsRow]
    empty: str


def jobs(value: JobsValue | None = None, **options: Any) -> gr.HTML:
    """Make the list of jobs. None draws it empty."""
    return drawn("jobs", value, **options)
