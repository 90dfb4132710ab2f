"""What the components of tab *Compare* do together. Handlers only relay and draw; the worker's thread computes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import gradio as gr

from cache_engine import (
    METHODS,
    MODELS,
    Cancelled,
    Comparison,
    EngineError,
    difference,
    facts_of,
    format_recipe,
    parse_recipe,
)

from .. import form, views
from ..live import Live
from ..presets import presets_for
from ..worker import Worker
from .compare_parts import VIEWS, Parts

Updates = dict[Any, Any]
QUIET: dict[str, Any] = {"show_progress": "hidden", "api_visibility": "private"}
AT_ONCE: dict[str, Any] = {"queue": False, **QUIET}


def wire(parts: Parts, worker: Worker) -> None:
    """Connect everything."""
    evidence = Evidence(parts, worker)
    setting = Setting(parts)
    request_fields = {parts.prompt, parts.model, parts.size, parts.seed, parts.steps, parts.guidance, parts.cfg, parts.locked}
    knobs = {parts.method, parts.origin, *parts.knobs.values()}
    everything = request_fields | knobs | {parts.done, parts.shown, parts.gain}

    def generate(values: Updates) -> Iterator[Updates]:
        if not values[parts.locked]:
            values[parts.seed] = random.randrange(2**32)
            yield {parts.seed: values[parts.seed]}
        try:
            request = form.request_of(
                model=values[parts.model], prompt=values[parts.prompt], size=values[parts.size], seed=values[parts.seed],
                steps=values[parts.steps], guidance=values[parts.guidance], true_cfg_scale=values[parts.cfg])
            method = form.method_of(setting.described(values), request)
            live = Live(method, facts_of(method.effective(request)))
            job = worker.submit(request, method)
        except EngineError as error:
            yield {parts.status: views.failed(str(error))}
            return
        yield {parts.job: job.key, **_buttons(parts, running=True)}
        try:
            for events in worker.watch(job):
                live.take(events)
                yield {parts.status: live.status()} | ({parts.timeline: live.timeline()} if live.due() else {})
        except Cancelled:
            yield _buttons(parts, running=False) | evidence.last(values) | {parts.status: views.stopped(live.progress)}
            return
        except EngineError as error:
            yield _buttons(parts, running=False) | evidence.last(values) | {parts.status: views.failed(str(error))}
            return
        done = [*values[parts.done], job.key]
        yield (_buttons(parts, running=False) | {parts.done: done, parts.status: live.status()}
               | evidence.of(job.key, done, values[parts.gain], setting.published(values)))

    outputs = [parts.job, parts.done, parts.shown, parts.generate, parts.stop, parts.status, parts.seed, *evidence.outputs]
    gr.on([parts.generate.click, parts.prompt.submit], generate, inputs=everything, outputs=outputs, **QUIET)
    parts.stop.click(lambda key: worker.cancel(key) and None, inputs=[parts.job], **AT_ONCE)

    def again(done: list[str], gain: float, event: gr.EventData) -> Updates:
        rows = evidence.rows(done)
        index = int(event.index)
        return evidence.of(rows[index][0], done, gain) if 0 <= index < len(rows) else {parts.shown: gr.skip()}

    parts.runs.choose(again, inputs=[parts.done, parts.gain], outputs=[parts.shown, *evidence.outputs], **AT_ONCE)
    parts.gain.change(evidence.gained, inputs=[parts.shown, parts.gain], outputs=[parts.heat, parts.difference],
                      trigger_mode="always_last", **AT_ONCE)
    parts.reveal.input(lambda place: gr.ImageSlider(slider_position=place), inputs=[parts.reveal], outputs=[parts.pair], **AT_ONCE)
    parts.view.input(lambda view: [gr.Column(visible=view == name) for name in VIEWS], inputs=[parts.view],
                     outputs=[parts.slider_view, parts.side_view], **AT_ONCE)
    _wire_fields(parts, setting, knobs)


def _wire_fields(parts: Parts, setting: Setting, knobs: set[Any]) -> None:
    """Prompt, seed, model and everything that is about the setting: answered at once, without the worker."""
    parts.dice.click(lambda: random.randrange(2**32), outputs=[parts.seed], **AT_ONCE)
    parts.lock.click(lambda locked: (not locked, gr.Button("Seed changes each time" if locked else "Seed is kept", elem_classes=[
        "cl-icon", "cl-unlocked" if locked else "cl-lock"])), inputs=[parts.locked], outputs=[parts.locked, parts.lock], **AT_ONCE)
    for chip in parts.chips:
        chip.click(lambda text: text, inputs=[chip], outputs=[parts.prompt], **AT_ONCE)
    gr.on([parts.prompt.change, parts.model.change], _unknown, inputs=[parts.model, parts.prompt], outputs=[parts.unknown],
          trigger_mode="always_last", **AT_ONCE)
    parts.model.input(setting.for_model, inputs=[parts.model], outputs=[
        parts.size, parts.steps, parts.guidance, parts.cfg, parts.status, *parts.chips, *setting.outputs], **AT_ONCE)
    parts.preset.input(setting.from_preset, inputs=[parts.model, parts.steps, parts.preset], outputs=setting.outputs, **AT_ONCE)
    parts.method.input(setting.from_method, inputs={parts.model, parts.steps, *knobs}, outputs=setting.outputs, **AT_ONCE)
    gr.on([parts.recipe_text.submit, parts.recipe_text.blur], setting.from_recipe,
          inputs={parts.model, parts.steps, parts.recipe_text, *knobs}, outputs=[parts.status, *setting.outputs], **AT_ONCE)
    changes = [knob.input for knob in parts.knobs.values()] + [parts.steps.input]
    gr.on(changes, setting.moved, inputs={parts.model, parts.steps, *knobs}, outputs=[parts.status, *setting.outputs],
          trigger_mode="always_last", **AT_ONCE)


def _buttons(parts: Parts, *, running: bool) -> Updates:
    return {parts.generate: gr.Button(interactive=not running), parts.stop: gr.Button(interactive=running)}


def _unknown(model: str, prompt: str) -> dict[str, Any]:
    words = MODELS[model].unknown_words(prompt)
    return views.idle(f"{MODELS[model].title} does not know: {', '.join(words)}" if words else "")


class Evidence:
    """The right side of the tab, for one finished comparison."""

    def __init__(self, parts: Parts, worker: Worker) -> None:
        self.parts, self.worker = parts, worker
        self.outputs = [parts.shown, parts.headline, parts.pair, parts.left, parts.right, parts.heat, parts.difference, parts.times,
                        parts.timeline, parts.runs][1:]

    def rows(self, done: list[str]) -> list[tuple[str, Comparison]]:
        """The runs on the newest run's baseline, newest first."""
        kept = [(key, found) for key in reversed(done) if (found := self.worker.kept(key))]
        return [(key, one) for key, one in kept
                if (one.baseline.request, one.baseline.engine) == (kept[0][1].baseline.request, kept[0][1].baseline.engine)]

    def of(self, key: str, done: list[str], gain: float, published: dict[str, Any] | None = None) -> Updates:
        """Everything that shows the comparison ``key``; nothing where it is not remembered any more."""
        one = self.worker.kept(key)
        if one is None:
            return {self.parts.shown: gr.skip()}
        parts, rows = self.parts, self.rows(done)
        chosen = next((index for index, (other, _) in enumerate(rows) if other == key), None)
        before, after = one.baseline.image, one.accelerated.image
        return {parts.shown: key, parts.headline: views.headline(one, published=published), parts.pair: (before, after),
                parts.left: before, parts.right: after, parts.heat: difference(before, after, gain),
                parts.difference: views.difference_facts(one.quality, gain), parts.times: views.times(one),
                parts.timeline: views.timeline_of(one), parts.runs: views.runs([found for _, found in rows], chosen)}

    def last(self, values: Updates) -> Updates:
        """The timeline back to the last whole result."""
        one = self.worker.kept(values[self.parts.shown])
        return {self.parts.timeline: views.timeline_of(one) if one else None}

    def gained(self, key: str, gain: float) -> tuple[Any, dict[str, Any]]:
        one = self.worker.kept(key)
        picture = difference(one.baseline.image, one.accelerated.image, gain) if one else gr.skip()
        return picture, views.difference_facts(one.quality if one else None, gain)


class Setting:
    """Method, preset, recipe and knobs: four ways to say one thing, kept in step."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.outputs = [parts.method, parts.preset, parts.origin, parts.recipe_text, parts.recipe, *parts.groups.values(),
                        *parts.knobs.values()]

    def described(self, values: Updates) -> dict[str, Any]:
        """The chosen method with the values of its own knobs."""
        chosen = values[self.parts.method]
        return {"name": chosen} | {name: form.EMPTY if values[part] is None else values[part]
                                   for (method, name), part in self.parts.knobs.items() if method == chosen}

    def published(self, values: Updates) -> dict[str, Any] | None:
        """Published figures of the preset, as long as the knobs are its own."""
        preset = presets_for(values[self.parts.model]).get(values[self.parts.origin] or "")
        if preset is None or preset.published is None or self._text(preset.method) != self._text(self.described(values)):
            return None
        return preset.published.model_dump()

    def to(self, model: str, steps: Any, described: dict[str, Any], origin: str) -> Updates:
        """Everything moved to one setting."""
        parts, method = self.parts, described["name"]
        facts = form.facts_for(model, steps)
        updates: Updates = {parts.method: method, parts.preset: gr.Radio(list(presets_for(model)), value=origin or None),
                            parts.origin: origin, parts.recipe_text: self._text(described),
                            parts.recipe: self._parts(described, model, origin)}
        updates |= {group: gr.Column(visible=name == method) for name, group in parts.groups.items()}
        for knob in METHODS[method].knobs():
            updates[parts.knobs[method, knob.name]] = form.knob_update(
                knob, facts, described, value=described.get(knob.name, knob.default))
        return updates

    def for_model(self, model: str) -> Updates:
        row, parts = MODELS[model], self.parts
        sizes = [form.size_text(size) for size in row.sizes]
        title, preset = next(iter(presets_for(model).items()), ("", None))
        described = dict(preset.method) if preset else {"name": "dbcache", **METHODS["dbcache"]().model_dump()}
        reason = row.unavailable()
        note = views.failed(reason) if reason else views.idle(f"{row.title}: {row.licence}, {row.needs}.")
        texts = [*row.examples[:4], *[""] * 4][: len(parts.chips)]
        chips = {chip: gr.Button(text, visible=bool(text)) for chip, text in zip(parts.chips, texts, strict=True)}
        return {parts.size: gr.Dropdown(sizes, value=sizes[0]), parts.steps: row.steps,
                parts.guidance: gr.Number(row.guidance, visible=row.guidance is not None),
                parts.cfg: gr.Number(row.true_cfg_scale, visible=form.takes_cfg(model)), parts.status: note, **chips,
                **self.to(model, row.steps, described, title)}

    def from_preset(self, model: str, steps: Any, title: str) -> Updates:
        preset = presets_for(model).get(title)
        return self.to(model, steps, dict(preset.method), title) if preset else {self.parts.preset: gr.skip()}

    def from_method(self, values: Updates) -> Updates:
        return self.to(values[self.parts.model], values[self.parts.steps], self.described(values), "")

    def from_recipe(self, values: Updates) -> Updates:
        """A typed recipe moves the knobs; one that cannot be read changes nothing."""
        parts, text = self.parts, values[self.parts.recipe_text]
        try:
            if text.strip() == self._text(self.described(values)):
                return {parts.recipe_text: gr.skip()}
            method = parse_recipe(text)
        except EngineError as error:
            return {parts.status: views.failed(str(error))}
        if method.name not in dict(parts.method.choices).values():
            return {parts.status: views.failed(f"recipe: {format_recipe(method)} is the baseline itself; type a cache's recipe.")}
        return {parts.status: views.idle()} | self.to(values[parts.model], values[parts.steps], method.described(),
                                                      values[parts.origin] or "")

    def moved(self, values: Updates) -> Updates:
        """A knob has moved: the recipe follows, bounds follow each other, and a value that does not fit is named."""
        parts, model, steps = self.parts, values[self.parts.model], values[self.parts.steps]
        described, method = self.described(values), values[self.parts.method]
        facts = form.facts_for(model, steps)
        bounds = {parts.knobs[method, knob.name]: form.knob_update(knob, facts, described)
                  for knob in METHODS[method].knobs() if knob.name in form.FOLLOWING}
        try:
            text = self._text(described)
            form.checked(described, facts)
        except EngineError as error:
            return bounds | {parts.status: views.failed(str(error))}
        return bounds | {parts.status: views.idle(), parts.recipe_text: text,
                         parts.recipe: self._parts(described, model, values[parts.origin] or "")}

    def _text(self, described: dict[str, Any]) -> str:
        return form.recipe_text(described["name"], described)

    def _parts(self, described: dict[str, Any], model: str, origin: str) -> dict[str, Any]:
        preset = presets_for(model).get(origin)
        return views.recipe_parts(self._text(described), self._text(preset.method) if preset else None)
