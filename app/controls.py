"""Parts that the layouts and handlers of several tabs share: options of events, and
controls that look alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr
from gradio.blocks import Block

from cache_engine import EngineError

from . import statuses
from .components import status
from .components.status import StatusValue

# maps a component to its new value, or to a new component with the changed properties
Updates = dict[Block, Any]
# components of an event; gradio's own type hints for events and for gr.on contradict each other
Inputs = set[Any]
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
AT_ONCE: dict[str, Any] = {"queue": False, **QUIET}
DIFFERENCE_GAIN = 8  # brightness of a difference picture: every difference is multiplied by this


def segmented(choices: Sequence[str | tuple[str, Any]], value: Any, label: str, elem_id: str) -> gr.Radio:
    """Build a radio group that looks like one bar of buttons. Only screen readers get the label."""
    return gr.Radio(
        choices,
        value=value,
        label=label,
        show_label=False,
        container=False,
        interactive=True,
        elem_classes="cl-seg",
        elem_id=elem_id,
    )


def small_picture(label: str, elem_id: str) -> gr.Image:
    """Build a picture for a row of three, without an upload field."""
    return gr.Image(
        None,
        label=label,
        format="png",
        interactive=False,
        buttons=["fullscreen"],
        elem_classes=["cl-fit"],
        min_width=80,
        elem_id=elem_id,
    )


def slim_status(elem_id: str) -> gr.HTML:
    """Build a status line that takes no room while it is empty."""
    return status(statuses.idle(), elem_id=elem_id, elem_classes="cl-slim")


def error_line(error: EngineError | str) -> StatusValue:
    """Return an error for a slim status line: the sentence without further text."""
    value = statuses.failed(str(error))
    value["detail"] = ""
    return value
