"""Connects the components of the tab *Compare*. Handlers only relay and draw; the
worker's thread computes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Set
from functools import partial
from typing import Any

import gradio as gr
from gradio.components import Component

from cache_engine import MODELS, Cancelled, EngineError, facts_of, repeats_of

from .. import form, statuses
from ..components.status import StatusValue
from ..controls import AT_ONCE, QUIET, Updates
from ..engine.live import LiveComparison
from ..engine.worker import Worker
from ..timeline import LIMIT, MASK
from . import next_run
from .against import SecondContender
from .parts import FLIP, SIDE_BY_SIDE, CompareParts, PromptParts, buttons
from .result import ResultPanel
from .setting import SettingFields
from .sharing import Sharing
from .what_if import POLICY, WhatIf

# of several quick events, only the last is answered
NEWEST: dict[str, Any] = {"trigger_mode": "always_last", **AT_ONCE}
# events are answered one after the other
EACH: dict[str, Any] = {"trigger_mode": "multiple", "concurrency_limit": 1, **QUIET}


def wire(parts: CompareParts, worker: Worker, page: gr.Blocks) -> Callable[[Any], None]:
    """Connect all components.

    Returns a function follow(event). The function refreshes the what-if after an event that changed the
    setting.
    """
    result = ResultPanel(parts, worker)
    setting = SettingFields(parts)
    what_if = WhatIf(parts, worker, setting, result)
    recipe = {parts.recipe_text, parts.recipe}
    fields = parts.request | {parts.locked, parts.repeats} | parts.method_fields | recipe
    judged = parts.method_fields | _place(parts)

    def follow(event: Any) -> None:
        event.then(what_if.watch, inputs=judged, outputs=[parts.dial], **QUIET).then(
            what_if.again, inputs=judged, outputs=what_if.outputs, **AT_ONCE
        )

    ran = _wire_run(parts, worker, setting, result, fields)
    follow(ran)
    follow(_wire_result(parts, result))
    SecondContender(parts, worker, result).wire()
    Sharing(parts, worker, setting).wire(page)
    next_run.wire(parts, worker, setting, fields, ran)
    _wire_request(parts, setting)
    _wire_setting(parts, setting, what_if)
    _wire_knobs(parts, setting, what_if)
    _wire_steps(parts, setting, what_if)
    _wire_timeline(parts, setting, what_if)
    return follow


def _place(parts: CompareParts) -> set[Component]:
    """Return the components that a what-if handler reads besides the knobs."""
    return {
        parts.chosen,
        parts.origin,
        parts.model,
        parts.steps,
        parts.job,
        parts.done,
        parts.shown,
        parts.painted,
        parts.locked,
        parts.both,
    }


# ---- a run and its result ----


def _wire_run(
    parts: CompareParts,
    worker: Worker,
    setting: SettingFields,
    result: ResultPanel,
    fields: Set[Component],
) -> Any:
    """Connect Generate and Stop. Return the event of a finished comparison."""

    def generate(values: Updates) -> Iterator[Updates]:
        if worker.busy_with(values[parts.job]):  # Shift+Enter in the prompt leads here as well
            yield {parts.generate: gr.skip()}
            return
        if not values[parts.locked]:
            values[parts.seed] = random.randrange(2**32)
            yield {parts.seed: values[parts.seed]}
        try:
            request = next_run.request_from_parts(parts, values)
            method = setting.method_to_run(values, request)
            live = LiveComparison(method, facts_of(method.effective(request)))
            job = worker.submit(request, method, repeats_of(values[parts.repeats]))
        except EngineError as error:
            yield {parts.status: statuses.failed(str(error))}
            return
        yield {parts.job: job.key, **buttons(parts, running=True)}
        try:
            for events in worker.watch(job):
                live.take(events)
                drawn: Updates = {parts.timeline: live.timeline()} if live.redraw_due() else {}
                yield {parts.status: live.status()} | drawn
        except (Cancelled, EngineError) as error:
            stopped = isinstance(error, Cancelled)
            status = statuses.stopped(live.progress) if stopped else statuses.failed(str(error))
            yield result.restore_timeline(values) | {parts.status: status}
            return
        done = [*values[parts.done], job.key]
        figures = setting.published_figures(values, method.to_dict())
        yield {parts.done: done, parts.status: live.status()} | result.show(
            job.key, done, values[parts.gain], figures
        )

    ran = gr.on(
        [parts.generate.click, parts.prompt.submit],
        generate,
        inputs={*fields, parts.job, parts.done, parts.shown, parts.gain},
        outputs=[
            parts.job,
            parts.done,
            parts.shown,
            parts.generate,
            parts.stop,
            parts.status,
            parts.seed,
            *result.outputs,
        ],
        **QUIET,
    )
    _wire_buttons(parts, parts.job, worker, ran)
    return ran


def _wire_buttons(parts: PromptParts, job: gr.State, worker: Worker, ran: Any) -> None:
    def settle(key: str) -> Updates:
        """Set the buttons when no run is in progress any more.

        The browser drops a click on Generate until it learns that the previous run has ended.
        """
        return buttons(parts, running=worker.busy_with(key))

    def stop(key: str) -> Updates:
        """Stop the run. If no run is in progress (the connection was lost), set the buttons right."""
        return {parts.stop: gr.skip()} if worker.cancel(key) else settle(key)

    for event, handler in ((ran.then, settle), (parts.stop.click, stop)):
        event(handler, inputs=[job], outputs=[parts.generate, parts.stop], **AT_ONCE)


def _wire_result(parts: CompareParts, result: ResultPanel) -> Any:
    """Connect the pictures and the table of runs. Return the event of a run that was chosen in the table."""

    def choose(done: list[str], gain: float, event: gr.EventData) -> Updates:
        rows = result.runs_on_baseline(done)
        index = int(event.index)
        if not 0 <= index < len(rows):
            return {parts.shown: gr.skip()}
        return result.show(rows[index][0], done, gain)

    parts.gain.change(
        result.change_gain,
        inputs=[parts.shown, parts.gain],
        outputs=[parts.heat, parts.difference],
        **NEWEST,
    )
    parts.reveal.input(
        lambda place: gr.ImageSlider(slider_position=place),
        inputs=[parts.reveal],
        outputs=[parts.pair],
        **AT_ONCE,
    )
    parts.view.input(
        view_columns, inputs=[parts.view], outputs=[parts.slider_view, parts.side_view], **AT_ONCE
    )
    # This event is queued: gradio fires a State's change only after queued events, and the exports follow
    # ``shown``.
    return parts.runs.choose(
        choose, inputs=[parts.done, parts.gain], outputs=[parts.shown, *result.outputs], **EACH
    )


def view_columns(view: str) -> tuple[gr.Column, gr.Column]:
    """Return the slider's column and the column of both pictures. The view Flip shows one picture in the
    slider's column.
    """
    return gr.Column(visible=view != SIDE_BY_SIDE, elem_classes=["cl-flip"] * (view == FLIP)), gr.Column(
        visible=view == SIDE_BY_SIDE
    )


# ---- the fields: answered at once, without the worker ----


def _wire_request(parts: CompareParts, setting: SettingFields) -> None:
    parts.dice.click(lambda: random.randrange(2**32), outputs=[parts.seed], **AT_ONCE)
    parts.lock.click(toggle_lock, inputs=[parts.locked], outputs=[parts.locked, parts.lock], **AT_ONCE)
    for chip in parts.chips:
        chip.click(lambda text: text, inputs=[chip], outputs=[parts.prompt], **AT_ONCE)
    gr.on(
        [parts.prompt.change, parts.model.change],
        unknown_words,
        inputs=[parts.model, parts.prompt],
        outputs=[parts.unknown],
        **NEWEST,
    )
    parts.model.input(setting.for_model, inputs=[parts.model], outputs=setting.model_outputs, **AT_ONCE)


def toggle_lock(locked: bool) -> tuple[bool, gr.Button]:
    """Keep the seed, or change it with every run."""
    label, look = ("Seed changes each time", "cl-unlocked") if locked else ("Seed is kept", "cl-lock")
    return not locked, gr.Button(label, elem_classes=["cl-icon", look])


def unknown_words(model: str, prompt: str) -> StatusValue:
    """Name the words of the prompt that the model does not know, and say if its end is not read."""
    row = MODELS[model]
    words = row.unknown_words(prompt)
    unknown = f"{row.title} does not know: {', '.join(words)}" if words else ""
    try:
        unread = row.unread_note(form.usual_request(model, row.steps).replaced(prompt=prompt))
    except EngineError:  # an empty prompt: Generate names the reason
        unread = ""
    return statuses.idle(". ".join(part for part in (unknown, unread) if part))


def _wire_setting(parts: CompareParts, setting: SettingFields, what_if: WhatIf) -> None:
    """Connect preset, method and a typed recipe: each sets the other two and the knobs, then the what-if
    follows.
    """
    judged = parts.method_fields | _place(parts)
    preset = parts.preset.input(
        setting.from_preset,
        inputs=[parts.model, parts.steps, parts.preset],
        outputs=setting.outputs,
        **AT_ONCE,
    )
    method = parts.method.input(
        setting.from_method,
        inputs={parts.method, parts.model, parts.steps, *parts.method_fields},
        outputs=setting.outputs,
        **AT_ONCE,
    )
    recipe = gr.on(
        [parts.recipe_text.submit, parts.recipe_text.blur],
        setting.from_recipe,
        inputs={parts.model, parts.steps, parts.recipe_text, *parts.method_fields},
        outputs=setting.outputs,
        **AT_ONCE,
    )
    for event in (preset, method):
        event.then(what_if.again, inputs=judged, outputs=what_if.outputs, **AT_ONCE)
    recipe.then(what_if.again, inputs={*judged, parts.recipe_text}, outputs=what_if.outputs, **AT_ONCE)


# ---- the what-if ----


def _follow_outputs(setting: SettingFields, what_if: WhatIf) -> list[Component]:
    """Return the components that a moved knob changes, besides other knobs."""
    return [*dict.fromkeys([*setting.recipe_outputs, *what_if.outputs])]


def _wire_knobs(parts: CompareParts, setting: SettingFields, what_if: WhatIf) -> None:
    """Make recipe and numbers follow a moved knob.

    Each event reads only its own method's knobs and writes only to components that it can change: every
    component costs browser and server some time, and the timeline must follow quickly.
    """
    outputs = _follow_outputs(setting, what_if)
    for method in parts.groups:
        knobs = setting.knobs(method)
        inputs = {*_place(parts), *knobs.values()}
        moved = [knob.input for knob in knobs.values() if not isinstance(knob, gr.Textbox)]
        # gradio fires a text's input event for typed letters, but not for deleted text.
        typed = [knob.change for knob in knobs.values() if isinstance(knob, gr.Textbox)]
        coupled = [knobs[name].input for name in form.OPPOSITE if name in knobs]
        gr.on(moved, what_if.on_knob, inputs=inputs, outputs=outputs, **NEWEST)
        if typed:
            gr.on(
                typed,
                partial(what_if.on_text_knob, method),
                inputs={*inputs, parts.recipe},
                outputs=outputs,
                **NEWEST,
            )
        if coupled:
            gr.on(coupled, setting.bounds, inputs=inputs, outputs=setting.bound_outputs, **NEWEST)


def _wire_steps(parts: CompareParts, setting: SettingFields, what_if: WhatIf) -> None:
    inputs = {*_place(parts), *parts.knobs.values()}
    recipe = (parts.recipe_text, parts.recipe)
    outputs = [part for part in _follow_outputs(setting, what_if) if part not in recipe]
    parts.steps.change(setting.bounds, inputs=inputs, outputs=setting.bound_outputs, **NEWEST)
    parts.steps.input(what_if.on_steps, inputs=inputs, outputs=outputs, **NEWEST)
    # The server may set the steps too, so typing is not the only cause.
    parts.steps.change(what_if.again, inputs=inputs, outputs=what_if.outputs, **NEWEST)


def _wire_timeline(parts: CompareParts, setting: SettingFields, what_if: WhatIf) -> None:
    """Connect the events of timeline and dial. Each of these two components sends one event at a time."""
    outputs = _follow_outputs(setting, what_if)
    masks = [part for (_, name), part in parts.knobs.items() if name in (MASK, POLICY)]
    numbers = [*outputs, parts.knobs["dbcache", LIMIT], parts.knobs["dbcache", "max_warmup_steps"]]
    events: dict[str, Any] = {
        "trigger_mode": "multiple",
        "inputs": {*_place(parts), *parts.knobs.values()},
        **AT_ONCE,
    }
    parts.timeline.limit(what_if.on_limit, outputs=numbers, **events)
    parts.timeline.fix(what_if.on_fix, outputs=numbers, **events)
    parts.timeline.paint(what_if.on_paint, outputs=[*outputs, *masks, parts.painted], **events)
    parts.timeline.freeze(what_if.on_freeze, outputs=[*outputs, *masks, parts.painted], **events)
    parts.dial.turn(what_if.on_turn, outputs=[*dict.fromkeys([*setting.outputs, *outputs])], **events)
