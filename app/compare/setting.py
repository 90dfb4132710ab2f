"""The setting of tab *Compare*: method, preset, recipe and knobs, kept in step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import gradio as gr

from cache_engine import METHODS, MODELS, EngineError, Knob, Method, format_recipe, method_from, parse_recipe

from .. import form, statuses, views
from ..components.recipe import RecipeValue
from ..components.status import StatusValue
from ..controls import Updates
from ..presets import preset_title, presets_for
from .parts import Parts


@lru_cache
def knobs_of(method: str) -> tuple[Knob, ...]:
    """A method's knobs, which take a millisecond to find out: too long for every move of a slider."""
    return METHODS[method].knobs()


def note(described: dict[str, Any], model: str, steps: Any) -> StatusValue:
    """What the method remembers, or why the model cannot take it."""
    try:
        return statuses.idle(form.method_note(described, model, steps))
    except EngineError as error:
        return statuses.failed(str(error))


class SettingFields:
    """Method, preset, recipe and knobs: four ways to say one thing, kept in step."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self.told_outputs = [parts.status, parts.recipe_text, parts.recipe, parts.method_note]
        self.bounded = [
            parts.status,
            *(part for (_, name), part in parts.knobs.items() if name in form.FOLLOWING),
        ]
        self.outputs = [
            parts.status,
            parts.method,
            parts.chosen,
            parts.method_note,
            parts.preset,
            parts.origin,
            parts.recipe_text,
            parts.recipe,
            *parts.groups.values(),
            *parts.knobs.values(),
        ]
        self.open_outputs = [
            parts.model,
            parts.size,
            parts.steps,
            parts.seed,
            parts.prompt,
            parts.guidance,
            parts.cfg,
            parts.lora,
            parts.picture,
            *parts.chips,
            *self.outputs,
        ]

    def raw_method(self, values: Updates) -> dict[str, Any]:
        """The chosen method with the values of its own knobs."""
        chosen = values[self.parts.chosen]
        return {"name": chosen} | {
            name: form.EMPTY if values[part] is None else values[part]
            for name, part in self.knobs(chosen).items()
        }

    def meant(self, values: Updates) -> dict[str, Any]:
        """The chosen setting; a recipe that was just typed goes before the knobs, which are on their way to
        it. Raises EngineError.

        Typed is what is not the text that the parts under it were drawn from: both come with one answer,
        whatever moved.
        """
        text = values[self.parts.recipe_text].strip()
        return self.raw_method(values) if text == self._told(values) else self._typed(text).to_dict()

    def is_told(self, values: Updates) -> bool:
        """Whether the recipe under the field is that of the knobs."""
        return self._known(values) == self._told(values)

    def _told(self, values: Updates) -> str:
        return json.loads(values[self.parts.recipe])["text"]

    @staticmethod
    def _typed(text: str) -> Method:
        method = parse_recipe(text)
        if method.name == "baseline":
            raise EngineError(
                f"recipe: {format_recipe(method)} is the baseline itself; type a cache's recipe."
            )
        return method

    def knobs(self, method: str) -> dict[str, Any]:
        """A method's components by their knobs' names."""
        return {name: part for (one, name), part in self.parts.knobs.items() if one == method}

    def published(self, values: Updates, ran: Mapping[str, Any]) -> dict[str, Any] | None:
        """Published figures of the preset, where the method that ran is its own."""
        preset = presets_for(values[self.parts.model]).get(values[self.parts.origin] or "")
        if preset is None or preset.published is None or preset.setting.to_dict() != ran:
            return None
        return preset.published.model_dump()

    def fill(self, model: str, steps: Any, described: dict[str, Any], origin: str) -> Updates:
        """Everything moved to one setting."""
        parts, method = self.parts, described["name"]
        facts = form.facts_for(model, steps)
        known = list(presets_for(model, method))
        updates: Updates = {
            parts.method: gr.Dropdown(form.method_choices(method not in form.FRONT), value=method),
            parts.chosen: method,
            parts.method_note: note(described, model, steps),
            parts.origin: origin,
            parts.preset: gr.Radio(known, value=origin if origin in known else None, visible=bool(known)),
        }
        try:
            updates |= {
                parts.recipe_text: self._text(described),
                parts.recipe: self._parts(described, model, origin),
            }
        except EngineError as error:  # a knob as it was left, when another method was chosen
            updates |= {parts.status: statuses.failed(str(error))}
        updates |= {group: gr.Column(visible=name == method) for name, group in parts.groups.items()}
        for knob in knobs_of(method):
            updates[parts.knobs[method, knob.name]] = form.knob_update(
                knob, facts, described, value=described.get(knob.name, knob.default)
            )
        return updates

    def open(self, model: str, request: Mapping[str, Any], method: dict[str, Any], said: str) -> Updates:
        """A whole comparison put in, where ``model`` was chosen: model, size, seed, steps, prompt, method
        and knobs.
        """
        parts, target = self.parts, request["model"]
        moved = self.for_model(target) if target != model else {}
        moved |= {
            parts.model: target,
            parts.size: form.size_text((request["width"], request["height"])),
            parts.steps: request["steps"],
            parts.seed: request["seed"],
            parts.prompt: request["prompt"],
        }
        moved |= {
            part: None
            for part, name in ((parts.lora, "loras"), (parts.picture, "image"))
            if not request[name]
        }
        moved |= {
            part: request[name]
            for part, name in ((parts.guidance, "guidance"), (parts.cfg, "true_cfg_scale"))
            if request[name] is not None
        }
        title = preset_title(target, method_from(method))
        return (
            moved | self.fill(target, request["steps"], method, title) | {parts.status: statuses.idle(said)}
        )

    def for_model(self, model: str) -> Updates:
        row, parts = MODELS[model], self.parts
        sizes = [form.size_text(size) for size in row.sizes]
        title, preset = next(iter(presets_for(model).items()), ("", None))
        described = (
            dict(preset.method) if preset else {"name": "dbcache", **METHODS["dbcache"]().model_dump()}
        )
        reason = row.unavailable()
        said = (
            statuses.failed(reason) if reason else statuses.idle(f"{row.title}: {row.licence}, {row.needs}.")
        )
        texts = [*row.examples[:4], *[""] * 4][: len(parts.chips)]
        chips = {
            chip: gr.Button(text, visible=bool(text)) for chip, text in zip(parts.chips, texts, strict=True)
        }
        return {
            parts.size: gr.Dropdown(sizes, value=sizes[0]),
            parts.steps: row.steps,
            parts.guidance: gr.Number(row.guidance, visible=row.guidance is not None),
            parts.cfg: gr.Number(row.true_cfg_scale, visible=form.takes_cfg(model)),
            parts.status: said,
            **chips,
            **self.fill(model, row.steps, described, title),
        }

    def from_preset(self, model: str, steps: Any, title: str) -> Updates:
        preset = presets_for(model).get(title)
        return (
            self.fill(model, steps, dict(preset.method), title) if preset else {self.parts.preset: gr.skip()}
        )

    def from_method(self, values: Updates) -> Updates:
        """Another method, with its knobs as they are; or the whole list of them."""
        parts, name = self.parts, values[self.parts.method]
        if name == form.MORE:
            return {parts.method: gr.Dropdown(form.method_choices(True), value=values[parts.chosen])}
        values[parts.chosen] = name
        return self.fill(values[parts.model], values[parts.steps], self.raw_method(values), "")

    def from_recipe(self, values: Updates) -> Updates:
        """A typed recipe moves the knobs; one that cannot be read changes nothing."""
        parts, text = self.parts, values[self.parts.recipe_text]
        if text.strip() == self._known(values):
            return {parts.recipe_text: gr.skip()}
        try:
            method = self._typed(text)
        except EngineError as error:
            return {parts.status: statuses.failed(str(error))}
        return {parts.status: statuses.idle()} | self.fill(
            values[parts.model], values[parts.steps], method.to_dict(), values[parts.origin] or ""
        )

    def moved(self, values: Updates) -> Updates:
        """A knob has moved: the recipe follows, and a value that does not fit is named."""
        return self.told(values, self.raw_method(values))

    def turned(self, values: Updates, changes: dict[str, Any]) -> tuple[dict[str, Any], Updates]:
        """Knobs of the chosen method moved by something else than themselves: the setting, and what becomes
        of the components.
        """
        described = self.raw_method(values) | changes
        moved: Updates = {self.parts.knobs[described["name"], name]: value for name, value in changes.items()}
        return described, self.told(values, described) | moved

    def told(self, values: Updates, described: dict[str, Any]) -> Updates:
        """Recipe of a setting, or what is wrong with it."""
        parts, model = self.parts, values[self.parts.model]
        try:
            text = self._text(described)
            form.checked(described, form.facts_for(model, values[parts.steps]))
        except EngineError as error:
            return {parts.status: statuses.failed(str(error))}
        return {
            parts.status: statuses.idle(),
            parts.recipe_text: text,
            parts.method_note: note(described, model, values[parts.steps]),
            parts.recipe: self._parts(described, model, values[parts.origin] or ""),
        }

    def bounds(self, values: Updates) -> Updates:
        """Where sliders end that follow the model, the steps or each other."""
        described = self.raw_method(values)
        facts = form.facts_for(values[self.parts.model], values[self.parts.steps])
        return {
            self.parts.knobs[described["name"], knob.name]: form.knob_update(knob, facts, described)
            for knob in knobs_of(described["name"])
            if knob.name in form.FOLLOWING
        } or {self.parts.status: gr.skip()}

    def _known(self, values: Updates) -> str | None:
        """The recipe of the knobs as they stand, where they have one."""
        try:
            return self._text(self.raw_method(values))
        except EngineError:
            return None

    def _text(self, described: dict[str, Any]) -> str:
        return form.recipe_text(described["name"], described)

    def _parts(self, described: dict[str, Any], model: str, origin: str) -> RecipeValue:
        preset = presets_for(model).get(origin)
        return views.recipe_parts(self._text(described), format_recipe(preset.setting) if preset else None)
