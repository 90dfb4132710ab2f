"""Turns the page's fields into a checked RunRequest and a Method. A bad value becomes one sentence; it is
never clamped.

A method's knobs have labels, bounds and help texts (``METHODS[name].knobs()``). This file makes components
from the knobs, with bounds that fit the chosen model.
"""

from __future__ import annotations

import math
from abc import ABCMeta
from collections.abc import Mapping
from typing import Any, NamedTuple

import gradio as gr

from cache_engine import (
    METHODS,
    MODELS,
    EngineError,
    Knob,
    Method,
    ModelFacts,
    Plan,
    RunRequest,
    RunResult,
    cache_bytes,
    facts_of,
    method_from,
    resolve,
)

from .words import memory

# gradio checks a value against the bounds and choices that it sent last. A value that arrives while the
# bounds change would be an error of the page, so these components pass every value on: the records check it
# and report the error. A class statement is avoided, because gradio would write a stub file for each class.
AS_SENT = {"preprocess": lambda self, payload: payload, "__module__": __name__}
Slider: type[gr.Slider] = ABCMeta.__new__(type(gr.Slider), "Slider", (gr.Slider,), AS_SENT)
# For lists whose choices depend on the model.
Dropdown: type[gr.Dropdown] = ABCMeta.__new__(type(gr.Dropdown), "Dropdown", (gr.Dropdown,), AS_SENT)

KnobField = gr.Slider | gr.Checkbox | gr.Dropdown | gr.Textbox
FRONT = ("dbcache", "taylorseer", "teacache", "fora", "fewer_steps")  # methods that the list offers at first
MORE = "more"
GRAINS = {
    "none": "no cache",
    "stack": "stack grain: remembers the output of whole groups of blocks",
    "module": "module grain: remembers the output of every attention and feed-forward",
    "token": "token grain: computes some tokens of every module's output and remembers the rest",
    "column": "column grain: computes parts of attention and feed-forward and remembers the rest",
}
EMPTY = ""  # the value of an empty number field: the records refuse it with a sentence


def default_model(wanted: str = "") -> str:
    """Return the model with which the page opens.

    Raises EngineError if ``wanted`` is not a row of MODELS.
    """
    if wanted:
        return MODELS[wanted].name
    return "tiny" if "tiny" in MODELS else next(iter(MODELS))


def size_text(size: tuple[int, int]) -> str:
    """Return width and height as the size field shows them."""
    return f"{size[0]} × {size[1]}"


def size_of(text: object) -> tuple[int, int]:
    """Return ``"1024 × 768"`` as two numbers. Raises EngineError for any other form."""
    try:
        width, height = (int(part) for part in str(text).split("×"))
    except ValueError:
        raise EngineError(f"size: {str(text)[:40]!r} is not valid; choose a size from the list.") from None
    return width, height


class RequestFields(NamedTuple):
    """The page's fields as the browser sent them. ``lora`` and ``picture``: paths of uploaded files."""

    model: Any
    prompt: Any
    size: Any
    seed: Any
    steps: Any
    guidance: Any = None
    true_cfg_scale: Any = None
    lora: str | None = None
    weight: Any = 1
    picture: str | None = None


def request_from_fields(fields: RequestFields) -> RunRequest:
    """Make a resolved request from the page's fields. Fields that the model does not take are left out.

    Raises EngineError with one sentence that names field, value, bounds and remedy.
    """
    row = MODELS[fields.model]
    width, height = size_of(fields.size)
    names = ["prompt", "seed", "steps"]
    names += ["guidance"] * (row.guidance is not None) + ["true_cfg_scale"] * takes_cfg(fields.model)
    values = {name: _sent(getattr(fields, name)) for name in names}
    if fields.lora:
        values["loras"] = [{"file": fields.lora, "weight": _sent(fields.weight)}]
    if fields.picture and takes_picture(fields.model):
        values["image"] = {"file": fields.picture}
    return resolve(RunRequest(model=fields.model, width=width, height=height, **values))


def _sent(value: Any) -> Any:
    return EMPTY if value is None else value


def request_from(described: Any) -> RunRequest:
    """Make a resolved request from the ``request`` of an API call. Raises EngineError."""
    fields = _fields(described, "request")
    if "model" in fields:
        MODELS[str(fields["model"])]  # refuses a path
    for name in ("loras", "image"):
        if fields.get(name):
            raise EngineError(f"{name}: files are not accepted here; use the command line, or leave it out.")
    return resolve(RunRequest(**fields))


def method_of(described: Any, request: RunRequest) -> Method:
    """Make a method from ``{"name": ..., knobs...}``. Raises EngineError if the method does not fit the
    request.
    """
    method = method_from(_fields(described, "method"))
    plan_of(method, request)
    return method


def plan_of(method: Method, request: RunRequest) -> Plan:
    """Return the method's plan for a resolved request. Raises EngineError if the method does not fit it."""
    return method.plan(facts_of(method.effective(request)))


def _fields(described: Any, name: str) -> dict[str, Any]:
    if not isinstance(described, Mapping) or not all(isinstance(key, str) for key in described):
        raise EngineError(
            f"{name}: {type(described).__name__} is not valid; give an object with the fields of a {name}."
        )
    return dict(described)


def takes_cfg(model: str) -> bool:
    """Return whether guidance costs a second call in every step of this model."""
    return MODELS[model].true_cfg_scale > 1


def takes_picture(model: str) -> bool:
    """Return whether the model can edit an input picture."""
    return MODELS[model].image != "none"


def usual_request(model: str, steps: Any) -> RunRequest:
    """Return a resolved request with these steps, or with the model's usual steps if ``steps`` is not a
    number of steps.
    """
    row = MODELS[model]
    usable = isinstance(steps, int | float) and math.isfinite(steps) and 1 <= steps <= 200
    return row.resolve(RunRequest(model=row.name, prompt="-", steps=int(steps) if usable else row.steps))


def facts_for(model: str, steps: Any) -> ModelFacts:
    """Return the facts that limit the knobs, even while the steps field holds no valid number."""
    return MODELS[model].facts(usual_request(model, steps))


STEP_KNOBS = ("max_warmup_steps", "warmup_interval", "max_cached_steps", "max_continuous_cached_steps")
OPPOSITE = {"Fn_compute_blocks": "Bn_compute_blocks", "Bn_compute_blocks": "Fn_compute_blocks"}
FOLLOWING = (*STEP_KNOBS, *OPPOSITE)  # knobs whose bounds depend on the model, on the steps, or on each other


def limits(knob: Knob, facts: ModelFacts, knobs: Mapping[str, Any]) -> tuple[float, float]:
    """Return both ends of a knob's slider: Fn + Bn stay below the number of blocks, step counts within the
    steps.

    A value that no longer fits stays, and the slider is widened to include it. The check then reports such a
    value as an error.
    """
    low, high = knob.low or 0, knob.high if knob.high is not None else 1
    if knob.name in OPPOSITE:
        high = min(high, facts.blocks - 1 - _number(knobs.get(OPPOSITE[knob.name]), 0))
    elif knob.name in STEP_KNOBS:
        high = min(high, facts.steps)
    return low, max(
        high, low + (knob.step or 1), _number(knobs.get(knob.name), low)
    )  # a slider needs some room to move


def _number(value: Any, otherwise: float) -> float:
    return value if isinstance(value, int | float) and math.isfinite(value) else otherwise


def method_choices(everything: bool) -> list[tuple[str, str]]:
    """Return (title, name) of the first methods, and a line that shows the others.

    everything: list the other methods too. The line that shows them stays in the list: a click sends its
    event twice, and gradio would refuse the second event if the list lacked its value.
    """
    rest = [name for name in METHODS if name not in (*FRONT, "baseline")] if everything else []
    return [
        *((METHODS[name].title, name) for name in FRONT),
        ("More methods …", MORE),
        *((METHODS[name].title, name) for name in rest),
    ]


def method_note(method: Method, plan: Plan, request: RunRequest) -> str:
    """Name what a method remembers, the memory of its cache, and its source.

    plan: the method's plan for ``request``, which is resolved.
    """
    held = cache_bytes(method.effective(request), plan)
    grain = GRAINS[method.grain]
    size = f"at most {memory(held)}, twice that in float32" if held else ""
    return "; ".join(part for part in (grain[0].upper() + grain[1:], size, method.paper) if part) + "."


def cache_size(baseline: RunResult, method: Method, plan: Plan, computed: int | None = None) -> int:
    """Return the most bytes that the method's cache takes, next to this baseline.

    computed: number of computed steps; None: all steps.
    """
    return cache_bytes(
        method.effective(baseline.request), plan, computed=computed, dtype=baseline.engine.dtype
    )


def knob_component(method: str, knob: Knob, facts: ModelFacts, knobs: Mapping[str, Any]) -> KnobField:
    """Build a slider, list or text field for one knob. Its ``elem_id`` is ``knob-METHOD-KNOB``."""
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
    """Return new bounds for a knob's slider, and other changes such as ``value=``.

    Knobs without a slider have no bounds.
    """
    if knob.type in ("int", "float"):
        low, high = limits(knob, facts, knobs)
        return gr.update(minimum=low, maximum=high, **changes)
    return gr.update(**changes)
