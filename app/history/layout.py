"""The components of the tab *History*. ``wiring`` answers their events."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from ..components import setting, sheet
from ..controls import DIFFERENCE_GAIN, segmented, slim_status, small_picture
from . import views as history_views
from .views import ALL, ITS_BASELINE, PINNED

PIN, UNPIN = "Pin", "Unpin"


@dataclass(frozen=True)
class ChosenRun:
    """The pictures of the chosen run, and the buttons under them. ``column`` is hidden while no run is
    chosen.
    """

    column: gr.Column
    left: gr.Image
    right: gr.Image
    difference: gr.Image
    against: gr.Dropdown
    open: gr.Button
    name: gr.Textbox
    pin: gr.Button
    remove: gr.Button


@dataclass(frozen=True)
class HistoryParts:
    """All components that an event of the tab reads or writes.

    chosen: the key of the run that the card shows.
    shown_name: the text with which the name field was filled.
    confirmed: the user's answer to the browser's question before a run is removed.
    """

    words: gr.Textbox
    which: gr.Radio
    clear: gr.Button
    status: gr.HTML
    sheet: gr.HTML
    card: gr.HTML
    run: ChosenRun
    chosen: gr.State
    shown_name: gr.State
    confirmed: gr.Checkbox


def build() -> HistoryParts:
    """Build all components, without any run."""
    with gr.Column(elem_classes="cl-tune"), gr.Row(elem_classes="cl-tuned"):
        with gr.Column(elem_classes="cl-tune-plots"):
            with gr.Row(elem_classes="cl-wish"):
                words = gr.Textbox(
                    "",
                    label="Find",
                    placeholder="words of a prompt, setting, name or model",
                    max_lines=1,
                    interactive=True,
                    elem_id="history-words",
                )
                which = segmented([ALL, PINNED], ALL, "Which", "history-which")
                clear = gr.Button("Remove all but pinned", size="md", scale=0, elem_id="history-clear")
            status = slim_status("history-status")
            rows = sheet(history_views.sheet([], 0, "", ""), elem_id="history-sheet")
        with gr.Column(elem_classes="cl-tune-beside"), gr.Column(elem_classes=["cl-card", "cl-setting-card"]):
            card = setting(history_views.card(None), elem_id="history-card")
            run = _chosen_run()
    return HistoryParts(
        words=words,
        which=which,
        clear=clear,
        status=status,
        sheet=rows,
        card=card,
        run=run,
        chosen=gr.State(""),
        shown_name=gr.State(""),
        confirmed=gr.Checkbox(visible=False),
    )


def _chosen_run() -> ChosenRun:
    with gr.Column(visible=False, elem_classes=["cl-run"]) as column:
        with gr.Row(elem_classes="cl-three"):
            left = small_picture("baseline", "history-left")
            right = small_picture("accelerated", "history-right")
            difference = small_picture(f"difference ×{DIFFERENCE_GAIN}", "history-heat")
        against = gr.Dropdown(
            [(ITS_BASELINE, "")],
            value="",
            label="Compare against",
            interactive=True,
            elem_id="history-against",
        )
        open_button = gr.Button("Open in Compare", variant="primary", elem_id="history-open")
        with gr.Row(elem_classes="cl-save"):
            name = gr.Textbox(
                "",
                label="Name",
                placeholder="My run",
                max_lines=1,
                interactive=True,
                min_width=120,
                elem_id="history-name",
            )
            pin = gr.Button(PIN, scale=0, min_width=80, elem_id="history-pin")
            remove = gr.Button("Remove", variant="stop", scale=0, min_width=90, elem_id="history-remove")
    return ChosenRun(column, left, right, difference, against, open_button, name, pin, remove)
