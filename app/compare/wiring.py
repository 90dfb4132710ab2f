"""What the components of tab *Compare* do together. Handlers only relay and draw; the worker's thread
computes.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import gradio as gr

from cache_engine import MODELS, Cancelled, EngineError, facts_of, repeats_of

from .. import form, statuses
from ..components.status import StatusValue
from ..controls import AT_ONCE, QUIET, Updates
from ..engine.live import LiveComparison
from ..engine.worker import Worker
from ..timeline import LIMIT, MASK
from . import files as compare_files
from .against import SecondContender
from .parts import FLIP, SIDES, Parts, buttons
from .result import ResultPanel
from .setting import SettingFields
from .sharing import Sharing
from .what_if import WhatIf

IN_TURN: dict[str, Any] = {
    "trigger_mode": "multiple",
    "concurrency_limit": 1,
    **QUIET,
}  # the last click is the last that is answered


def wire(parts: Parts, worker: Worker, page: gr.Blocks) -> Callable[[Any], None]:
    """Connect everything. What comes back has the expectation follow an event that put in another setting."""
    result = ResultPanel(parts, worker)
    setting = SettingFields(parts)
    what_if = WhatIf(parts, worker, setting, result)
    request_fields = parts.request | {parts.locked, parts.repeats}
    knobs = {parts.chosen, parts.origin, *parts.knobs.values()}
    everything = (
        request_fields
        | knobs
        | {parts.recipe_text, parts.recipe, parts.job, parts.done, parts.shown, parts.gain}
    )

    def generate(values: Updates) -> Iterator[Updates]:
        if worker.busy_with(values[parts.job]):  # Shift+Enter in the prompt comes here as well
            yield {parts.generate: gr.skip()}
            return
        if not values[parts.locked]:
            values[parts.seed] = random.randrange(2**32)
            yield {parts.seed: values[parts.seed]}
        try:
            request = compare_files.request_of(parts, values)
            method = form.method_of(setting.meant(values), request)
            live = LiveComparison(method, facts_of(method.effective(request)))
            job = worker.submit(request, method, repeats_of(values[parts.repeats]))
        except EngineError as error:
            yield {parts.status: statuses.failed(str(error))}
            return
        yield {parts.job: job.key, **buttons(parts, running=True)}
        try:
            for events in worker.watch(job):
                live.take(events)
                yield {parts.status: live.status()} | (
                    {parts.timeline: live.timeline()} if live.redraw_due() else {}
                )
        except Cancelled:
            yield result.restore_timeline(values) | {parts.status: statuses.stopped(live.progress)}
            return
        except EngineError as error:
            yield result.restore_timeline(values) | {parts.status: statuses.failed(str(error))}
            return
        done = [*values[parts.done], job.key]
        yield (
            {parts.done: done, parts.status: live.status()}
            | result.show(job.key, done, values[parts.gain], setting.published(values, method.to_dict()))
        )

    outputs = [
        parts.job,
        parts.done,
        parts.shown,
        parts.generate,
        parts.stop,
        parts.status,
        parts.seed,
        *result.outputs,
    ]
    ran = gr.on(
        [parts.generate.click, parts.prompt.submit], generate, inputs=everything, outputs=outputs, **QUIET
    )

    def ready(key: str) -> Updates:
        """The buttons once nothing is on its way. A browser drops a click on Generate until it knows that
        the last one's run is over.
        """
        return buttons(parts, running=worker.busy_with(key))

    def stop(key: str) -> Updates:
        """Where nothing is on its way any more (the connection was lost), the buttons are put right."""
        return {parts.stop: gr.skip()} if worker.cancel(key) else ready(key)

    for event, answer in ((ran.then, ready), (parts.stop.click, stop)):
        event(answer, inputs=[parts.job], outputs=[parts.generate, parts.stop], **AT_ONCE)

    def again(done: list[str], gain: float, event: gr.EventData) -> Updates:
        rows = result.runs_on_baseline(done)
        index = int(event.index)
        return result.show(rows[index][0], done, gain) if 0 <= index < len(rows) else {parts.shown: gr.skip()}

    # Queued: gradio tells of a State's change after queued events alone, and what is taken along follows the
    # shown run.
    chosen = parts.runs.choose(
        again, inputs=[parts.done, parts.gain], outputs=[parts.shown, *result.outputs], **IN_TURN
    )
    parts.gain.change(
        result.change_gain,
        inputs=[parts.shown, parts.gain],
        outputs=[parts.heat, parts.difference],
        trigger_mode="always_last",
        **AT_ONCE,
    )
    parts.reveal.input(
        lambda place: gr.ImageSlider(slider_position=place),
        inputs=[parts.reveal],
        outputs=[parts.pair],
        **AT_ONCE,
    )
    parts.view.input(views_of, inputs=[parts.view], outputs=[parts.slider_view, parts.side_view], **AT_ONCE)
    where = {
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
    judged = knobs | where

    def follow(event: Any) -> None:
        event.then(what_if.watched, inputs=judged, outputs=[parts.dial], **QUIET).then(
            what_if.again, inputs=judged, outputs=what_if.drawn_outputs, **AT_ONCE
        )

    follow(ran)
    follow(chosen)
    SecondContender(parts, worker, result).wire()
    Sharing(parts, worker, setting).wire(page)
    compare_files.wire(
        parts, worker, setting, request_fields | knobs | {parts.recipe_text, parts.recipe}, ran
    )
    _wire_fields(parts, setting, what_if, knobs, judged)
    _wire_what_if(parts, setting, what_if, where)
    return follow


def views_of(view: str) -> tuple[gr.Column, gr.Column]:
    """The columns of the pictures: Flip is the slider's, with one picture at a time."""
    return gr.Column(visible=view != SIDES, elem_classes=["cl-flip"] * (view == FLIP)), gr.Column(
        visible=view == SIDES
    )


def _wire_what_if(parts: Parts, setting: SettingFields, what_if: WhatIf, where: set[Any]) -> None:
    """Whatever moves the setting is answered from the record.

    A method's events carry its own knobs alone, and write to nothing that they cannot change: each component
    costs the browser and the server a part of the time in which the timeline should have followed.
    """
    told = [*dict.fromkeys([*setting.told_outputs, *what_if.drawn_outputs])]
    for method in parts.groups:
        knobs = setting.knobs(method)
        inputs = {*where, *knobs.values()}
        # A text's input event is of letters, not of deleting.
        typed = [knob.change for knob in knobs.values() if isinstance(knob, gr.Textbox)]
        moved = [knob.input for knob in knobs.values() if not isinstance(knob, gr.Textbox)]
        gr.on(moved, what_if.moved, inputs=inputs, outputs=told, trigger_mode="always_last", **AT_ONCE)
        if typed:
            gr.on(
                typed,
                partial(what_if.typed, method),
                inputs={*inputs, parts.recipe},
                outputs=told,
                trigger_mode="always_last",
                **AT_ONCE,
            )
        coupled = [knobs[name].input for name in form.OPPOSITE if name in knobs]
        if coupled:
            gr.on(
                coupled,
                setting.bounds,
                inputs=inputs,
                outputs=setting.bounded,
                trigger_mode="always_last",
                **AT_ONCE,
            )
    everything = {"inputs": {*where, *parts.knobs.values()}, **AT_ONCE}
    parts.steps.change(setting.bounds, outputs=setting.bounded, trigger_mode="always_last", **everything)
    kept = (parts.recipe_text, parts.recipe)
    parts.steps.input(
        what_if.stepped,
        outputs=[part for part in told if part not in kept],
        trigger_mode="always_last",
        **everything,
    )
    parts.steps.change(
        what_if.again, outputs=what_if.drawn_outputs, trigger_mode="always_last", **everything
    )  # put in, not typed
    masks = [part for (_, name), part in parts.knobs.items() if name in (MASK, "steps_computation_policy")]
    own = [parts.knobs["dbcache", LIMIT], parts.knobs["dbcache", "max_warmup_steps"]]
    events: dict[str, Any] = {
        "trigger_mode": "multiple",
        **everything,
    }  # the component itself asks one at a time
    parts.timeline.limit(what_if.limited, outputs=[*told, *own], **events)
    parts.timeline.fix(what_if.fixed, outputs=[*told, *own], **events)
    parts.timeline.paint(what_if.painted, outputs=[*told, *masks, parts.painted], **events)
    parts.timeline.freeze(what_if.frozen, outputs=[*told, *masks, parts.painted], **events)
    parts.dial.turn(what_if.turn, outputs=[*dict.fromkeys([*setting.outputs, *told])], **events)


def _wire_fields(
    parts: Parts, setting: SettingFields, what_if: WhatIf, knobs: set[Any], judged: set[Any]
) -> None:
    """Prompt, seed, model and everything that is about the setting: answered at once, without the worker."""
    parts.dice.click(lambda: random.randrange(2**32), outputs=[parts.seed], **AT_ONCE)
    parts.lock.click(
        lambda locked: (
            not locked,
            gr.Button(
                "Seed changes each time" if locked else "Seed is kept",
                elem_classes=["cl-icon", "cl-unlocked" if locked else "cl-lock"],
            ),
        ),
        inputs=[parts.locked],
        outputs=[parts.locked, parts.lock],
        **AT_ONCE,
    )
    for chip in parts.chips:
        chip.click(lambda text: text, inputs=[chip], outputs=[parts.prompt], **AT_ONCE)
    gr.on(
        [parts.prompt.change, parts.model.change],
        _unknown,
        inputs=[parts.model, parts.prompt],
        outputs=[parts.unknown],
        trigger_mode="always_last",
        **AT_ONCE,
    )
    parts.model.input(
        setting.for_model,
        inputs=[parts.model],
        outputs=[parts.size, parts.steps, parts.guidance, parts.cfg, *parts.chips, *setting.outputs],
        **AT_ONCE,
    )
    leaps = (
        parts.preset.input(
            setting.from_preset,
            inputs=[parts.model, parts.steps, parts.preset],
            outputs=setting.outputs,
            **AT_ONCE,
        ),
        parts.method.input(
            setting.from_method,
            inputs={parts.method, parts.model, parts.steps, *knobs},
            outputs=setting.outputs,
            **AT_ONCE,
        ),
        gr.on(
            [parts.recipe_text.submit, parts.recipe_text.blur],
            setting.from_recipe,
            inputs={parts.model, parts.steps, parts.recipe_text, *knobs},
            outputs=setting.outputs,
            **AT_ONCE,
        ),
    )
    for leap in leaps[:2]:
        leap.then(what_if.again, inputs=judged, outputs=what_if.drawn_outputs, **AT_ONCE)
    leaps[2].then(
        what_if.again, inputs={*judged, parts.recipe_text}, outputs=what_if.drawn_outputs, **AT_ONCE
    )


def _unknown(model: str, prompt: str) -> StatusValue:
    words = MODELS[model].unknown_words(prompt)
    return statuses.idle(f"{MODELS[model].title} does not know: {', '.join(words)}" if words else "")
