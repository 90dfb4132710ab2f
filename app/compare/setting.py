"""The setting on the tab *Compare*. Method, preset, recipe and knobs always describe the same setting."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import gradio as gr
from gradio.components import Component

from cache_engine import (
    METHODS,
    MODELS,
    EngineError,
    Method,
    Plan,
    RunRequest,
    format_recipe,
    method_from,
    parse_recipe,
)

from .. import form, statuses, views
from ..components.recipe import RecipeValue
from ..components.status import StatusValue
from ..controls import Updates
from ..presets import preset_title, presets_for
from ..words import other_size
from .parts import CompareParts

START_METHOD = "dbcache"


def start_setting(model: str) -> tuple[str, Method]:
    """Return the title and the method of the model's first preset. If the model has no preset, return "" and
    the start method.
    """
    title, preset = next(iter(presets_for(model).items()), ("", None))
    return title, preset.setting if preset else METHODS[START_METHOD]()


def note(method: Method, model: str, steps: Any) -> StatusValue:
    """Say what the method remembers, or why it does not fit the model."""
    request = form.usual_request(model, steps)
    try:
        return statuses.idle(form.method_note(method, form.plan_of(method, request), request))
    except EngineError as error:
        return statuses.failed(str(error))


class SettingFields:
    """Keeps method, preset, recipe and knobs equal: they are four ways to enter one setting."""

    def __init__(self, parts: CompareParts) -> None:
        self.parts = parts
        self.recipe_outputs: list[Component] = [
            parts.status,
            parts.recipe_text,
            parts.recipe,
            parts.method_note,
        ]
        self.bound_outputs: list[Component] = [
            parts.status,
            *(part for (_, name), part in parts.knobs.items() if name in form.FOLLOWING),
        ]
        self.outputs = [
            *self.recipe_outputs,
            parts.method,
            parts.chosen,
            parts.preset,
            parts.origin,
            *parts.groups.values(),
            *parts.knobs.values(),
        ]
        self.model_outputs = [
            parts.size,
            parts.steps,
            parts.guidance,
            parts.cfg,
            *parts.chips,
            *self.outputs,
        ]
        self.open_outputs = [
            parts.model,
            parts.seed,
            parts.prompt,
            parts.lora,
            parts.picture,
            *self.model_outputs,
        ]

    # ---- reading the fields ----
    def raw_method(self, values: Updates) -> dict[str, Any]:
        """Return the name of the chosen method and the values of its fields, unchecked."""
        chosen = values[self.parts.chosen]
        return {"name": chosen} | {
            name: form.EMPTY if values[part] is None else values[part]
            for name, part in self.knobs(chosen).items()
        }

    def method_to_run(self, values: Updates, request: RunRequest) -> Method:
        """Return the setting that Generate runs. Raises EngineError if the setting does not fit the request.

        A recipe that was just typed has priority over the knobs, which have not followed it yet. The recipe
        was typed if its text differs from the recipe in the chips, because the server always sets both
        together.
        """
        text = values[self.parts.recipe_text].strip()
        shown = text == self._chips_text(values)
        method = method_from(self.raw_method(values)) if shown else self._read_recipe(text)
        form.plan_of(method, request)
        return method

    def recipe_is_current(self, values: Updates) -> bool:
        """Return whether the chips show the recipe of the knobs."""
        return self._knobs_text(values) == self._chips_text(values)

    def knobs(self, method: str) -> dict[str, form.KnobField]:
        """Return the method's fields, each under its knob's name."""
        return {name: part for (owner, name), part in self.parts.knobs.items() if owner == method}

    def published_figures(self, values: Updates, method: Mapping[str, Any]) -> dict[str, Any] | None:
        """Return the preset's published figures, if ``method`` (which ran) is exactly the preset's method."""
        preset = presets_for(values[self.parts.model]).get(values[self.parts.origin] or "")
        if preset is None or preset.published is None or preset.setting.to_dict() != method:
            return None
        return preset.published.model_dump()

    def _chips_text(self, values: Updates) -> str:
        return json.loads(values[self.parts.recipe])["text"]

    def _knobs_text(self, values: Updates) -> str | None:
        """Return the recipe of the knobs, or None if a knob holds no valid value."""
        try:
            return format_recipe(method_from(self.raw_method(values)))
        except EngineError:
            return None

    @staticmethod
    def _read_recipe(text: str) -> Method:
        method = parse_recipe(text)
        if method.name == "baseline":
            raise EngineError(
                f"recipe: {format_recipe(method)} is the baseline itself; type the recipe of a cache."
            )
        return method

    # ---- filling the fields ----
    def fill(self, model: str, steps: Any, raw: dict[str, Any], origin: str) -> Updates:
        """Set all fields to one setting.

        raw: the method's name and its knobs. The knobs may be invalid: another method's fields are shown as
        the user left them.
        origin: title of the preset that the setting came from, or "".
        """
        parts, name = self.parts, raw["name"]
        facts, titles = form.facts_for(model, steps), list(presets_for(model, name))
        updates: Updates = {
            parts.method: gr.Dropdown(form.method_choices(name not in form.FRONT), value=name),
            parts.chosen: name,
            parts.origin: origin,
            parts.preset: gr.Radio(titles, value=origin if origin in titles else None, visible=bool(titles)),
        }
        try:
            method = method_from(raw)
            updates |= {
                parts.method_note: note(method, model, steps),
                parts.recipe_text: format_recipe(method),
                parts.recipe: self._chips(method, model, origin),
            }
        except EngineError as error:
            failure = statuses.failed(str(error))
            updates |= {parts.status: failure, parts.method_note: failure}
        updates |= {group: gr.Column(visible=owner == name) for owner, group in parts.groups.items()}
        for knob in METHODS[name].knobs():
            updates[parts.knobs[name, knob.name]] = form.knob_update(
                knob, facts, raw, value=raw.get(knob.name, knob.default)
            )
        return updates

    def open(self, model: str, request: Mapping[str, Any], method: dict[str, Any], message: str) -> Updates:
        """Put a whole comparison into the fields. ``model``: the model that is chosen at present."""
        parts, target = self.parts, request["model"]
        updates = self.for_model(target) if target != model else {}
        size = request["width"], request["height"]
        updates |= {
            parts.model: target,
            parts.size: form.size_text(MODELS[target].sizes[0] if other_size(target, *size) else size),
            parts.steps: request["steps"],
            parts.seed: request["seed"],
            parts.prompt: request["prompt"],
        }
        files = {"loras": parts.lora, "image": parts.picture}
        updates |= {part: None for name, part in files.items() if not request[name]}
        guidance = {"guidance": parts.guidance, "true_cfg_scale": parts.cfg}
        updates |= {part: request[name] for name, part in guidance.items() if request[name] is not None}
        updates |= self.fill(target, request["steps"], method, preset_title(target, method_from(method)))
        return updates | {parts.status: statuses.idle(message)}

    def for_model(self, model: str) -> Updates:
        """Fill the fields with the model's default size, steps and guidance, and choose its first preset."""
        row, parts = MODELS[model], self.parts
        sizes = [form.size_text(size) for size in row.sizes]
        title, method = start_setting(model)
        reason = row.unavailable()
        licence = f"{row.title}: {row.licence}, {row.needs}."
        examples = [*row.examples[:4], *[""] * 4][: len(parts.chips)]
        return {
            parts.size: gr.Dropdown(sizes, value=sizes[0]),
            parts.steps: row.steps,
            parts.guidance: gr.Number(row.guidance, visible=row.guidance is not None),
            parts.cfg: gr.Number(row.true_cfg_scale, visible=form.takes_cfg(model)),
            parts.status: statuses.failed(reason) if reason else statuses.idle(licence),
            **{
                chip: gr.Button(text, visible=bool(text))
                for chip, text in zip(parts.chips, examples, strict=True)
            },
            **self.fill(model, row.steps, method.to_dict(), title),
        }

    def from_preset(self, model: str, steps: Any, title: str) -> Updates:
        """Set the fields to a preset."""
        preset = presets_for(model).get(title)
        if preset is None:
            return {self.parts.preset: gr.skip()}
        return self.fill(model, steps, preset.setting.to_dict(), title)

    def from_method(self, values: Updates) -> Updates:
        """Switch to the chosen method with the present values of its fields, or list all methods."""
        parts, name = self.parts, values[self.parts.method]
        if name == form.MORE:
            return {parts.method: gr.Dropdown(form.method_choices(True), value=values[parts.chosen])}
        values[parts.chosen] = name
        return self.fill(values[parts.model], values[parts.steps], self.raw_method(values), "")

    def from_recipe(self, values: Updates) -> Updates:
        """Move the knobs to a typed recipe. If the recipe cannot be read, nothing changes."""
        parts, text = self.parts, values[self.parts.recipe_text]
        if text.strip() == self._knobs_text(values):
            return {parts.recipe_text: gr.skip()}
        try:
            method = self._read_recipe(text)
        except EngineError as error:
            return {parts.status: statuses.failed(str(error))}
        origin = values[parts.origin] or ""
        return {parts.status: statuses.idle()} | self.fill(
            values[parts.model], values[parts.steps], method.to_dict(), origin
        )

    def follow_knobs(self, values: Updates, method: Method, plan: Plan) -> Updates:
        """Make recipe and note follow knobs that have moved. ``plan``: the plan for the chosen model and
        steps.
        """
        parts, model = self.parts, values[self.parts.model]
        request = form.usual_request(model, values[parts.steps])
        return {
            parts.status: statuses.idle(),
            parts.recipe_text: format_recipe(method),
            parts.method_note: statuses.idle(form.method_note(method, plan, request)),
            parts.recipe: self._chips(method, model, values[parts.origin] or ""),
        }

    def bounds(self, values: Updates) -> Updates:
        """Move the ends of sliders whose bounds depend on the model, on the steps, or on each other."""
        raw = self.raw_method(values)
        facts = form.facts_for(values[self.parts.model], values[self.parts.steps])
        return {
            self.parts.knobs[raw["name"], knob.name]: form.knob_update(knob, facts, raw)
            for knob in METHODS[raw["name"]].knobs()
            if knob.name in form.FOLLOWING
        } or {self.parts.status: gr.skip()}

    def _chips(self, method: Method, model: str, origin: str) -> RecipeValue:
        preset = presets_for(model).get(origin)
        return views.recipe_parts(format_recipe(method), format_recipe(preset.setting) if preset else None)
