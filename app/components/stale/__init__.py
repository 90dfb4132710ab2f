"""The captions of the pictures, and a tag while the numbers belong to another setting. It fires no event.

While a visitor holds down the space bar, the left picture is shown in the place of the right one. In the view
Flip, holding down the mouse button on the picture does the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NotRequired, TypedDict

from ..base.drawn import drawn

if TYPE_CHECKING:
    import gradio as gr


class StaleValue(TypedDict):
    """Captions and tag. ``text``: the tag, "" for none. If ``left`` is missing, the captions stay as they
    are.
    """

    text: str
    left: NotRequired[str]
    right: NotRequired[str]


def stale(value: StaleValue | None = None, **options: Any) -> gr.HTML:
    """Make the tag. The tag belongs to the card of class cl-viewer that contains it. None draws no tag."""
    return drawn("stale", value, **options)
