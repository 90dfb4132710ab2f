"""Which settings there are to choose from: knobs with ranges, and what is one step of one knob away."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from itertools import product
from typing import Any, NamedTuple

from ..method import METHODS, Knob, Method
from ..methods.fewer_steps import FewerSteps
from ..plans import ModelFacts
from ..recipe import format_recipe
from ..strict import EngineError, short_repr

Ranges = Mapping[str, tuple[Any, ...]]
FRACTION = "fraction"  # of the steps: may vary beside DBCache's own knobs
MOST = 20_000
LONGEST = 60  # characters of a number or a range of numbers: none is too large to count with
RANGE = re.compile(r"(?P<low>-?[\d.]+)\s*\.\.\s*(?P<high>-?[\d.]+)(?:\s*/\s*(?P<count>\d+))?")
# Of dbcache, cut to what the model and the steps allow. Bn is left out: it has never been seen to pay.
USUAL_RANGES = {
    "Fn_compute_blocks": "1, 2, 4",
    "max_warmup_steps": "2, 4, 8",
    "max_continuous_cached_steps": "2, 3, 4, 6, 10, -1",
    "residual_diff_threshold": "0.04..0.36 /9, 0.5, 0.7, 1",
    "taylorseer_order": "0..2",
    FRACTION: "0.5, 0.75, 1",
}


class SettingParts(NamedTuple):
    """A setting taken apart: ``method``, within so many of the steps. Plain fewer steps are a method of
    their own.
    """

    method: Method
    fraction: float = 1.0

    @property
    def closed(self) -> Method:
        """As one method. A recipe carries every knob of DBCache."""
        return (
            self.method
            if self.fraction == 1
            else FewerSteps(fraction=self.fraction, cache=format_recipe(self.method))
        )

    @property
    def knobs(self) -> dict[str, Any]:
        return {FRACTION: self.fraction, **self.method.model_dump()}

    def replaced(self, knob: str, value: Any) -> SettingParts:
        """With another value of one of ``knobs``."""
        own = knob in type(self.method).model_fields
        return (
            self._replace(method=self.method.replaced(**{knob: value}))
            if own
            else self._replace(fraction=value)
        )


def parts_of(method: Method) -> SettingParts:
    if isinstance(method, FewerSteps) and method.within is not None:
        return SettingParts(method.within, method.fraction)
    return SettingParts(method)


WITHIN = tuple(knob for knob in FewerSteps.knobs() if knob.name == FRACTION)


def values(knob: Knob, text: str) -> tuple[Any, ...]:
    """``"0.04..0.20 /5"`` (so many, evenly), ``"2..6"`` (whole numbers), ``"1, 4, 8"``, ``"taylor, dmd"``;
    also mixed.

    Raises EngineError for what cannot be read or is out of the knob's bounds.
    """
    found: list[Any] = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        if len(part) > LONGEST and knob.type in ("int", "float"):
            raise EngineError(f"{knob.name}: {short_repr(part)} is too long; write 1, 4, 8 or 0.04..0.20 /5.")
        found += _spread(knob, part) if ".." in part else [_one(knob, part)]
    for value in found:
        if isinstance(value, int | float) and not (knob.low or 0) <= value <= (
            value if knob.high is None else knob.high
        ):
            raise EngineError(f"{knob.name}: {value} is out of range; choose {knob.low} to {knob.high}.")
    if not found:
        raise EngineError(f"{knob.name}: {short_repr(text)} names no value; write 1, 4, 8 or 0.04..0.20 /5.")
    return tuple(dict.fromkeys(found))


def _one(knob: Knob, text: str) -> Any:
    if knob.type not in ("int", "float"):
        if knob.choices and text not in knob.choices:
            raise EngineError(
                f"{knob.name}: {short_repr(text)} is not valid; choose of {', '.join(knob.choices)}."
            )
        return text
    try:
        return int(text) if knob.type == "int" else float(text)
    except ValueError:
        raise EngineError(
            f"{knob.name}: {text!r} is not a {'whole ' * (knob.type == 'int')}number; write 1, 4, 8 or "
            "0.04..0.20 /5."
        ) from None


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


def tunable_knobs(method: str) -> dict[str, Knob]:
    """What may vary of a method's settings, by name."""
    return {knob.name: knob for knob in (*METHODS[method].knobs(), *(WITHIN if method == "dbcache" else ()))}


def ranges(method: str, texts: Mapping[str, str]) -> Ranges:
    """Knobs' texts as values, in the order of the method's knobs. Raises EngineError."""
    knobs = tunable_knobs(method)
    for name in texts:
        if name not in knobs:
            raise EngineError(f"{name}: {method} has no such knob; known are {', '.join(knobs)}.")
    return {name: values(knob, texts[name]) for name, knob in knobs.items() if name in texts}


def grid(
    method: str, vary: Ranges, facts: ModelFacts, fixed: Mapping[str, Any] | None = None
) -> list[Method]:
    """Every combination that fits the model. ``fixed``: the other knobs. Raises EngineError where that are
    none, or too many.
    """
    count = 1
    for found in vary.values():
        count *= len(found)
    if count > MOST:
        raise EngineError(
            f"ranges: {count} settings are more than {MOST}; narrow a range or leave a knob out."
        )
    kept, reason = [], None
    for combination in product(*vary.values()):
        try:
            kept.append(
                setting(method, {**(fixed or {}), **dict(zip(vary, combination, strict=True))}, facts)
            )
        except EngineError as error:
            reason = error
    if not kept:
        raise reason or EngineError("ranges: no knob varies; give one a range.")
    return kept


def setting(method: str, knobs: Mapping[str, Any], facts: ModelFacts) -> Method:
    """Raises EngineError where the knobs do not fit the method or the model."""
    own = {name: value for name, value in knobs.items() if name != FRACTION or method != "dbcache"}
    made = SettingParts(METHODS[method](**own), knobs[FRACTION] if len(own) < len(knobs) else 1.0).closed
    made.plan(facts._replace(steps=made.of(facts.steps)) if isinstance(made, FewerSteps) else facts)
    return made


def fewer_steps_methods(facts: ModelFacts) -> Sequence[Method]:
    """The plain model with 2 steps, 3, ... to one less than the run has. Shares are rounded, to be read and
    typed by people.
    """
    return [FewerSteps(fraction=float(f"{steps / facts.steps:.4g}")) for steps in range(2, facts.steps)]


def neighbours(method: Method, vary: Ranges, known: Collection[Method]) -> list[Method]:
    """Those of ``known`` that are one step of one knob away (numbers in order; other kinds of knob have no
    next one). Of the plain model with fewer steps: the next one to either side. A share of the steps has no
    next one: a quarter more is no margin.
    """
    here = parts_of(method)
    if isinstance(here.method, FewerSteps):
        plain = sorted(
            (one for one in known if isinstance(one, FewerSteps) and one.within is None),
            key=lambda one: one.fraction,
        )
        place = plain.index(here.method)
        return [*plain[max(place - 1, 0) : place], *plain[place + 1 : place + 2]]
    found = []
    for name, several in vary.items():
        if name == FRACTION or any(isinstance(value, str) for value in several):
            continue
        ordered = sorted(several, key=lambda value: float("inf") if value == -1 else value)  # -1: no limit
        if name not in here.knobs or here.knobs[name] not in ordered:
            continue
        place = ordered.index(here.knobs[name])
        found += [
            here.replaced(name, ordered[there]).closed
            for there in (place - 1, place + 1)
            if 0 <= there < len(ordered)
        ]
    return [one for one in found if one in known]
