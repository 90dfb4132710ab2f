"""Values of components <-> a checked RunRequest and Method. Every bad value becomes one sentence; nothing is
clamped.

A method's knobs know their labels, bounds and help (``METHODS[name].knobs()``); this file only makes
components of them and narrows their bounds to the model at hand.
"""

from __future__ import annotations

import math
from abc import ABCMeta
from collections.abc import Mapping
from typing import Any

import gradio as gr
from gradio.components import Component

from cache_engine import (
    METHODS,
    MODELS,
    EngineError,
    Knob,
    Method,
    ModelFacts,
    RunRequest,
    cache_bytes,
    facts_of,
    format_recipe,
    method_from,
    resolve,
)

from .words import memory

# gradio's own bounds and choices are those of the last answer: a value on its way while they move would be an
# error of the page. Whatever a slider sends is checked by the records, which say what is wrong. Not by a
# class statement: gradio would write a stub file for it.
AS_SENT = {"preprocess": lambda self, payload: payload, "__module__": __name__}
Slider: type[gr.Slider] = ABCMeta.__new__(type(gr.Slider), "Slider", (gr.Slider,), AS_SENT)
Dropdown: type[gr.Dropdown] = ABCMeta.__new__(
    type(gr.Dropdown), "Dropdown", (gr.Dropdown,), AS_SENT
)  # that change with the model

FRONT = ("dbcache", "taylorseer", "teacache", "fora", "fewer_steps")  # methods that are offered at first
MORE = "more"
GRAINS = {
    "none": "no cache",
    "stack": "stack grain: what a run of blocks adds together is remembered",
    "module": "module grain: every attention's and feed-forward's output is remembered",
    "token": "token grain: parts of every module's output are computed, the rest is remembered",
    "column": "column grain: parts of attention and feed-forward are computed, the rest is remembered",
}
EMPTY = ""  # what an empty number field hands on: refused by the strict records, with their sentence


def default_model(wanted: str = "") -> str:
    """The model that the page opens with. Raises EngineError where ``wanted`` is not a row of MODELS."""
    if wanted:
        return MODELS[wanted].name
    return "tiny" if "tiny" in MODELS else next(iter(MODELS))


def size_text(size: tuple[int, int]) -> str:
    return f"{size[0]} × {size[1]}"


def size_of(text: object) -> tuple[int, int]:
    """``"1024 × 768"`` as two numbers."""
    try:
        width, height = (int(part) for part in str(text).split("×"))
    except ValueError:
        raise EngineError(f"size: {str(text)[:40]!r} is not valid; choose one of the list.") from None
    return width, height


def request_of(
    *,
    model: Any,
    prompt: Any,
    size: Any,
    seed: Any,
    steps: Any,
    guidance: Any = None,
    true_cfg_scale: Any = None,
    lora: str | None = None,
    weight: Any = 1,
    picture: str | None = None,
) -> RunRequest:
    """The page's fields as a resolved request; fields that the model's row does not take are left out.

    lora, picture: files that were uploaded.

    Raises EngineError: one sentence with field, value, bounds and remedy.
    """
    row = MODELS[model]
    width, height = size_of(size)
    taken = {"guidance": guidance} if row.guidance is not None else {}
    taken |= {"true_cfg_scale": true_cfg_scale} if takes_cfg(model) else {}
    fields: dict[str, Any] = {"prompt": prompt, "seed": seed, "steps": steps} | taken
    given: dict[str, Any] = {name: EMPTY if value is None else value for name, value in fields.items()}
    if lora:
        given["loras"] = [{"file": lora, "weight": EMPTY if weight is None else weight}]
    if picture and row.image != "none":
        given["image"] = {"file": picture}
    return resolve(RunRequest(model=model, width=width, height=height, **given))


def request_from(described: Any) -> RunRequest:
    """The ``request`` of an API call as a resolved request. Raises EngineError."""
    fields = _fields(described, "request")
    if "model" in fields:
        MODELS[str(fields["model"])]  # a name, never a path
    for name in ("loras", "image"):  # nor another file's
        if fields.get(name):
            raise EngineError(f"{name}: files are not taken here; use the command line, or leave it out.")
    return resolve(RunRequest(**fields))


def method_of(described: Any, request: RunRequest) -> Method:
    """``{"name": ..., knobs...}`` as a method that fits the request's model and steps. Raises EngineError."""
    method = method_from(_fields(described, "method"))
    method.plan(facts_of(request))
    return method


def _fields(described: Any, name: str) -> dict[str, Any]:
    if not isinstance(described, Mapping) or not all(isinstance(key, str) for key in described):
        raise EngineError(
            f"{name}: {type(described).__name__} is not valid; give an object with the fields of a {name}."
        )
    return dict(described)


def takes_cfg(model: str) -> bool:
    """Whether the model's row guides by a second call per step."""
    return MODELS[model].true_cfg_scale > 1


def facts_for(model: str, steps: Any) -> ModelFacts:
    """What the knobs' bounds follow, also while the steps field holds nonsense (then: the model's usual
    steps).
    """
    row = MODELS[model]
    usable = isinstance(steps, int | float) and math.isfinite(steps) and 1 <= steps <= 200
    return row.facts(
        row.resolve(RunRequest(model=row.name, prompt="-", steps=int(steps) if usable else row.steps))
    )


STEP_KNOBS = ("max_warmup_steps", "warmup_interval", "max_cached_steps", "max_continuous_cached_steps")
OPPOSITE = {"Fn_compute_blocks": "Bn_compute_blocks", "Bn_compute_blocks": "Fn_compute_blocks"}
FOLLOWING = (*STEP_KNOBS, *OPPOSITE)  # knobs whose bounds follow the model, the steps or each other


def limits(knob: Knob, facts: ModelFacts, knobs: Mapping[str, Any]) -> tuple[float, float]:
    """Where a knob's slider begins and ends for this model: Fn + Bn stay below the blocks, step counts within
    the steps.

    A value that no longer fits keeps its place (the slider is widened to it): it is refused with a sentence,
    not moved.
    """
    low, high = knob.low or 0, knob.high if knob.high is not None else 1
    if knob.name in OPPOSITE:
        high = min(high, facts.blocks - 1 - _number(knobs.get(OPPOSITE[knob.name]), 0))
    elif knob.name in STEP_KNOBS:
        high = min(high, facts.steps)
    return low, max(
        high, low + (knob.step or 1), _number(knobs.get(knob.name), low)
    )  # a slider has to have a way to go


def _number(value: Any, otherwise: float) -> float:
    return value if isinstance(value, int | float) and math.isfinite(value) else otherwise


def checked(described: Mapping[str, Any], facts: ModelFacts) -> None:
    """Raises EngineError where the setting does not fit a model with these facts."""
    method_from(described).plan(facts)


def recipe_text(method: str, knobs: Mapping[str, Any]) -> str:
    """The recipe of a setting. Raises EngineError."""
    return format_recipe(method_from({"name": method} | dict(knobs)))


def method_choices(everything: bool) -> list[tuple[str, str]]:
    """(title, name) of the methods in front, and a line that leads to the others; with ``everything`` they
    stand under it.

    The line stays: a click sends its event twice, and MORE has to be an answer of the new list too.
    """
    rest = [name for name in METHODS if name not in (*FRONT, "baseline")] if everything else []
    return [
        *((METHODS[name].title, name) for name in FRONT),
        ("More methods …", MORE),
        *((METHODS[name].title, name) for name in rest),
    ]


def method_note(described: Mapping[str, Any], model: str, steps: Any) -> str:
    """What a setting remembers, how much that will be, and where it comes from. Raises EngineError where it
    does not fit.
    """
    method = method_from(described)
    request = method.effective(
        resolve(RunRequest(model=model, prompt="-", steps=facts_for(model, steps).steps))
    )
    held = cache_bytes(request, method.plan(facts_of(request)), element=2)
    grain = GRAINS[method.grain]
    size = f"at most {memory(held)}, twice that in float32" if held else ""
    return "; ".join(part for part in (grain[0].upper() + grain[1:], size, method.paper) if part) + "."


def knob_component(method: str, knob: Knob, facts: ModelFacts, knobs: Mapping[str, Any]) -> Component:
    """A slider, list or text field for one knob; its ``elem_id`` is ``knob-``, the method's and the field's
    own name.
    """
    common: dict[str, Any] = {
        "value": knobs.get(knob.name, knob.default),
        "label": f"{knob.label} · {knob.name}",
        "info": knob.help,
        "elem_id": f"knob-{method}-{knob.name}",
        "elem_classes": ["cl-knob"],
        "interactive": True,
        "container": True,
    }
    if knob.type == "bool":
        return gr.Checkbox(**common)
    if knob.type == "choice":
        return gr.Dropdown(list(knob.choices), **common)
    if knob.type == "text":
        return gr.Textbox(placeholder="none", max_lines=1, **common)
    low, high = limits(knob, facts, knobs)
    return Slider(low, high, step=knob.step, buttons=[], **common)


def knob_update(knob: Knob, facts: ModelFacts, knobs: Mapping[str, Any], **changes: Any) -> Any:
    """New bounds for a knob's slider, and ``value=`` if it is to move. Other kinds of knob have no bounds."""
    if knob.type in ("int", "float"):
        low, high = limits(knob, facts, knobs)
        return gr.update(minimum=low, maximum=high, **changes)
    return gr.update(**changes)
