"""Which settings there are to choose from: knobs with ranges, and what is one step of one knob away."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from itertools import product
from typing import Any

from ..method import METHODS, Knob, Method, method_from
from ..methods.fewer_steps import FewerSteps
from ..records import EngineError, ModelFacts

Ranges = Mapping[str, tuple[Any, ...]]
MOST = 20_000
RANGE = re.compile(r"(?P<low>-?[\d.]+)\s*\.\.\s*(?P<high>-?[\d.]+)(?:\s*/\s*(?P<count>\d+))?")
# Of dbcache, cut to what the model and the steps allow. Bn is left out: it has never been seen to pay.
USUAL = {"Fn_compute_blocks": "1, 2, 4", "max_warmup_steps": "2, 4, 8", "max_continuous_cached_steps": "2, 3, 4, 6, 10, -1",
           "residual_diff_threshold": "0.04..0.36 /9, 0.5, 0.7, 1", "taylorseer_order": "0..2"}


def values(knob: Knob, text: str) -> tuple[Any, ...]:
    """``"0.04..0.20 /5"`` (so many, evenly), ``"2..6"`` (whole numbers), ``"1, 4, 8"``, ``"taylor, dmd"``; also mixed.

    Raises EngineError for what cannot be read or is out of the knob's bounds.
    """
    found: list[Any] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        found += _spread(knob, part) if ".." in part else [_one(knob, part)]
    for value in found:
        if isinstance(value, int | float) and not (knob.low or 0) <= value <= (value if knob.high is None else knob.high):
            raise EngineError(f"{knob.name}: {value} is out of range; choose {knob.low} to {knob.high}.")
    if not found:
        raise EngineError(f"{knob.name}: {text!r} names no value; write 1, 4, 8 or 0.04..0.20 /5.")
    return tuple(dict.fromkeys(found))


def _one(knob: Knob, text: str) -> Any:
    if knob.type not in ("int", "float"):
        if knob.choices and text not in knob.choices:
            raise EngineError(f"{knob.name}: {text!r} is not valid; choose of {', '.join(knob.choices)}.")
        return text
    try:
        return int(text) if knob.type == "int" else float(text)
    except ValueError:
        raise EngineError(f"{knob.name}: {text!r} is not a {'whole ' * (knob.type == 'int')}number; write 1, 4, 8 or "
                          "0.04..0.20 /5.") from None


def _spread(knob: Knob, text: str) -> list[Any]:
    match = RANGE.fullmatch(text)
    if match is None or knob.type not in ("int", "float"):
        raise EngineError(f"{knob.name}: {text!r} cannot be read; write a range like 0.04..0.20 /5.")
    low, high = _one(knob, match["low"]), _one(knob, match["high"])
    count = int(match["count"]) if match["count"] else high - low + 1 if knob.type == "int" else 0
    if high < low or not 2 <= count <= 200:
        raise EngineError(f"{knob.name}: {text!r} is no range; write low..high /count, with 2 to 200 values.")
    spread = [low + (high - low) * place / (count - 1) for place in range(count)]
    return [round(value) if knob.type == "int" else round(value, 4) for value in spread]


def ranges(method: str, texts: Mapping[str, str]) -> Ranges:
    """Knobs' texts as values, in the order of the method's knobs. Raises EngineError."""
    knobs = {knob.name: knob for knob in METHODS[method].knobs()}
    for name in texts:
        if name not in knobs:
            raise EngineError(f"{name}: {method} has no such knob; known are {', '.join(knobs)}.")
    return {name: values(knob, texts[name]) for name, knob in knobs.items() if name in texts}


def grid(method: str, vary: Ranges, facts: ModelFacts, fixed: Mapping[str, Any] | None = None) -> list[Method]:
    """Every combination that fits the model. ``fixed``: the other knobs. Raises EngineError where that are none, or too many."""
    count = 1
    for found in vary.values():
        count *= len(found)
    if count > MOST:
        raise EngineError(f"ranges: {count} settings are more than {MOST}; narrow a range or leave a knob out.")
    kept, reason = [], None
    for combination in product(*vary.values()):
        try:
            made = METHODS[method](**{**(fixed or {}), **dict(zip(vary, combination, strict=True))})
            made.plan(facts)
        except EngineError as error:
            reason = error
            continue
        kept.append(made)
    if not kept:
        raise reason or EngineError("ranges: no knob varies; give one a range.")
    return kept


def fewer(facts: ModelFacts) -> list[Method]:
    """The plain model with 2 steps, 3, ... to one less than the run has."""
    return [method_from({"name": "fewer_steps", "fraction": steps / facts.steps}) for steps in range(2, facts.steps)]


def neighbours(method: Method, vary: Ranges, known: Collection[Method]) -> list[Method]:
    """Those of ``known`` that are one step of one knob away (numbers in order; other kinds of knob have no next one). Of the plain
    model with fewer steps: the next one to either side."""
    if isinstance(method, FewerSteps):
        plain = sorted((one for one in known if isinstance(one, FewerSteps)), key=lambda one: one.fraction)
        place = plain.index(method)
        return [*plain[max(place - 1, 0):place], *plain[place + 1:place + 2]]
    found = []
    for name, several in vary.items():
        if any(isinstance(value, str) for value in several):
            continue
        ordered = sorted(several, key=lambda value: float("inf") if value == -1 else value)  # -1: no limit
        here = getattr(method, name)
        if here not in ordered:
            continue
        place = ordered.index(here)
        found += [method.replaced(**{name: ordered[there]}) for there in (place - 1, place + 1) if 0 <= there < len(ordered)]
    return [one for one in found if one in known]
