"""The colour scale and the figures of the difference picture. It fires no event."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypedDict

from ..base.drawn import drawn
from ..base.shapes import NamedText

if TYPE_CHECKING:
    import gradio as gr


class DifferenceValue(TypedDict):
    """The figures of the difference picture. In tests: ``.cl-difference dd``."""

    rows: list[NamedText]
    top: str  # the difference that is drawn white, such as "32 and more"


def difference(value: DifferenceValue | None = None, **options: Any) -> gr.HTML:
    """Make the colour scale. With the value None, the scale has no figures."""
    return drawn("difference", value, **options)
