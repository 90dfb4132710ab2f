"""What a comparison on the page may take beside its fields, behind a fold: a LoRA, a picture to edit. And
what a click will cost.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from cache_engine import MODELS, EngineError, RunRequest

from .. import form, statuses
from ..components import status
from ..components.status import StatusValue
from ..controls import AT_ONCE, Updates
from ..engine.worker import Worker
from .parts import Parts
from .setting import SettingFields

ANOTHER = (
    "Another picture than the one shown: Generate runs both sides; what is expected is of the baseline shown."
)
IN_TURN = "Generate times both sides in turn; the middle run of each counts."


def build(parts: Parts, model: str) -> None:
    with gr.Accordion("LoRA, input picture", open=False, elem_id="files"):
        parts.lora = gr.File(
            label="LoRA · .safetensors",
            file_types=[".safetensors"],
            type="filepath",
            height=132,
            interactive=True,
            elem_id="lora",
        )
        parts.weight = gr.Number(1, label="Weight of the LoRA", step=0.1, interactive=True, elem_id="weight")
        parts.picture = gr.Image(
            label="Input picture",
            type="filepath",
            sources=["upload", "clipboard"],
            format="png",
            height=180,
            interactive=True,
            visible=takes_picture(model),
            elem_id="picture",
        )


def takes_picture(model: str) -> bool:
    return MODELS[model].image != "none"


def request_of(parts: Parts, values: Updates) -> RunRequest:
    """All fields as a resolved request. Raises EngineError."""
    return form.request_of(
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


def cost(parts: Parts, worker: Worker) -> None:
    """Where a click costs a visitor's quota, a line for how much; elsewhere nothing."""
    parts.cost = status(statuses.idle(), elem_id="cost", elem_classes="cl-slim") if worker.metered else None


def wire(parts: Parts, worker: Worker, setting: SettingFields, fields: set[Any], ran: Any) -> None:
    """``fields``: all that a request and a method are made of.  ran: the event of a finished comparison."""
    _wire_both(parts, worker)
    parts.model.input(
        lambda model: gr.Image(visible=takes_picture(model)),
        inputs=[parts.model],
        outputs=[parts.picture],
        **AT_ONCE,
    )
    if parts.cost is None:
        return

    def told(values: Updates) -> StatusValue:
        try:
            request = request_of(parts, values)
            return statuses.idle(worker.cost_note(request, form.method_of(setting.meant(values), request)))
        except EngineError:  # said where it is looked for, when Generate is clicked
            return statuses.idle()

    gr.on(
        None, told, inputs=fields, outputs=[parts.cost], trigger_mode="always_last", **AT_ONCE
    )  # on load, and on every change
    ran.then(told, inputs=fields, outputs=[parts.cost], **AT_ONCE)


def _wire_both(parts: Parts, worker: Worker) -> None:
    """Whether the shown comparison's baseline will do for the next run, or why not."""

    def both(values: Updates) -> str:
        one = worker.comparison(values[parts.shown])
        if one is None:
            return ""
        try:
            if request_of(parts, values) != one.baseline.request:
                return ANOTHER
        except EngineError:  # said when it is run
            return ANOTHER
        return "" if values[parts.repeats] == 1 else IN_TURN

    def asked(values: Updates) -> Updates:
        """A field changed. Said when the answer changes and nothing runs."""
        now = both(values)
        if now == values[parts.both] or worker.busy_with(values[parts.job]):
            return {parts.both: now}
        return {parts.both: now, parts.status: statuses.idle(now)}

    fields = parts.request | {parts.repeats}
    inputs = {*fields, parts.shown, parts.both, parts.job}
    gr.on(
        [field.change for field in fields],
        asked,
        inputs=inputs,
        outputs=[parts.both, parts.status],
        trigger_mode="always_last",
        **AT_ONCE,
    )
    parts.shown.change(both, inputs=inputs, outputs=[parts.both], **AT_ONCE)
