"""The next run on the tab *Compare*: its request, whether it needs a new baseline, and
the cost of a click.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Any

import gradio as gr
from gradio.components import Component

from cache_engine import EngineError, RunRequest

from .. import form, statuses
from ..components.status import StatusValue
from ..controls import AT_ONCE, Updates
from ..engine.worker import Worker
from .parts import CompareParts
from .setting import SettingFields

OTHER_FIELDS = (
    "Prompt, seed or another field changed. Generate will run both sides; estimates still use the old "
    "baseline."
)
REPEATED = "Generate runs both sides in turn; the median run of each counts."


def request_from_parts(parts: CompareParts, values: Updates) -> RunRequest:
    """Make a resolved request from the tab's fields. Raises EngineError if a field is not valid."""
    return form.request_from_fields(
        form.RequestFields(
            model=values[parts.model],
            prompt=values[parts.prompt],
            size=values[parts.size],
            seed=values[parts.seed],
            steps=values[parts.steps],
            guidance=values[parts.guidance],
            true_cfg_scale=values[parts.cfg],
            lora=values[parts.lora],
            weight=values[parts.weight],
            picture=values[parts.picture],
        )
    )


def wire(
    parts: CompareParts, worker: Worker, setting: SettingFields, fields: Set[Component], ran: Any
) -> None:
    """Connect the notes about the next run.

    fields: all components of a request and a method. ran: the event of a finished comparison.
    """
    _wire_baseline_note(parts, worker)
    parts.model.input(
        lambda model: gr.Image(visible=form.takes_picture(model)),
        inputs=[parts.model],
        outputs=[parts.picture],
        **AT_ONCE,
    )
    if parts.cost is None:
        return

    def cost(values: Updates) -> StatusValue:
        try:
            request = request_from_parts(parts, values)
            return statuses.idle(worker.cost_note(request, setting.method_to_run(values, request)))
        except EngineError:  # Generate will report this error
            return statuses.idle()

    everything = {"inputs": {*fields}, "outputs": [parts.cost], **AT_ONCE}
    gr.on(None, cost, trigger_mode="always_last", **everything)  # when the page opens, and after every change
    ran.then(cost, **everything)


def _wire_baseline_note(parts: CompareParts, worker: Worker) -> None:
    """Tell when the baseline of the shown comparison is not enough for the next run."""

    def both_sides(values: Updates) -> str:
        """Return why the next run needs both sides. Return "" if one side is enough, or if no comparison is
        shown.
        """
        comparison = worker.comparison(values[parts.shown])
        if comparison is None:
            return ""
        try:
            if request_from_parts(parts, values) != comparison.baseline.request:
                return OTHER_FIELDS
        except EngineError:  # Generate will report this error
            return OTHER_FIELDS
        return "" if values[parts.repeats] == 1 else REPEATED

    def field_changed(values: Updates) -> Updates:
        """Update the note when the answer changes while no run is in progress."""
        reason = both_sides(values)
        if reason == values[parts.both] or worker.busy_with(values[parts.job]):
            return {parts.both: reason}
        return {parts.both: reason, parts.status: statuses.idle(reason)}

    fields = parts.request | {parts.repeats}
    inputs = {*fields, parts.shown, parts.both, parts.job}
    gr.on(
        [field.change for field in fields],
        field_changed,
        inputs=inputs,
        outputs=[parts.both, parts.status],
        trigger_mode="always_last",
        **AT_ONCE,
    )
    parts.shown.change(both_sides, inputs=inputs, outputs=[parts.both], **AT_ONCE)
