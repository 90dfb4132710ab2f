"""Notes to keep in mind. Notes about the present figures are open. It fires no event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from ..base.drawn import drawn

if TYPE_CHECKING:
    import gradio as gr


class NotesItem(TypedDict):
    """One note. ``on``: True if it concerns the present figures; it is then open and marked."""

    title: str
    text: str
    on: bool


class NotesValue(TypedDict):
    """All notes. In tests: ``.cl-notes li``."""

    title: str
    notes: list[NotesItem]


def notes(value: NotesValue | None = None, **options: Any) -> gr.HTML:
    """Make the notes. None draws no note."""
    return drawn("notes", value, **options)
