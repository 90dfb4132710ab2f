"""The list of long jobs: how far each job is, and what a visitor can do with it.

Events: ``choose {key}``, ``act {key, act}``, and ``look {}`` when a job has changed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from ..base.drawn import drawn

if TYPE_CHECKING:
    import gradio as gr


class JobAct(TypedDict):
    """A button of one job."""

    act: str  # stop, resume or remove
    text: str


class JobsRow(TypedDict):
    """One job. In tests: ``.cl-jobs [data-key]``."""

    key: str
    title: str
    stage: str
    note: str
    share: float  # share that is done, 0 to 1
    state: str
    acts: list[JobAct]
    chosen: bool


class JobsValue(TypedDict):
    """The jobs, the newest first. ``empty`` is shown if there is no job."""

    jobs: list[JobsRow]
    empty: str


def jobs(value: JobsValue | None = None, **options: Any) -> gr.HTML:
    """Make the list of jobs. None draws it empty."""
    return drawn("jobs", value, **options)
