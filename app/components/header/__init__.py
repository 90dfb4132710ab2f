"""The page's header: name, engine badge, dark switch, and the list of keys. It fires no event.

The badge follows the stream of ``app/engine/state_stream.py``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, TypedDict

from ..base.drawn import drawn

if TYPE_CHECKING:
    import gradio as gr


EngineState = Literal["idle", "busy", "loading", "recording", "error"]


class HeaderValue(TypedDict):
    """The value of the engine badge. In tests: ``.cl-engine[data-state]``."""

    engine: str  # such as "tiny FLUX · float32 · cpu · idle"
    state: EngineState


def header(value: HeaderValue | None = None, **options: Any) -> gr.HTML:
    """Make the page's head. None hides the badge."""
    return drawn("header", value, **options)
