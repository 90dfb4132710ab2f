"""The pictures' captions, and a tag while the numbers belong to another setting. It fires no event.

While a visitor holds Space, or the picture in the view Flip, the left picture takes the right one's place.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from ..base.drawn import drawn

if TYPE_CHECKING:
    import gradio as gr


class StaleValue(TypedDict):
    """``text``: the tag, "" for none. The captions stay as they are where ``left`` is absent."""

    text: str
    left: NotRequired[str]
    right: NotRequired[str]


def stale(value: StaleValue | None = None, **options: Any) -> gr.HTML:
    """Make the tag. It acts on the card of class cl-viewer that holds it."""
    return drawn("stale", value, **options)
