"""The space of settings: ranges of knobs, all their combinations, and the neighbours of a setting."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import product
from math import prod
from typing import Any, NamedTuple

from ..method import METHODS, Knob, Method
from ..methods.fewer_steps import FewerSteps
from ..plans import ModelFacts
from ..recipe import format_recipe
from ..strict import EngineError, short_repr

Ranges = Mapping[str, tuple[Any, ...]]
FRACTION = "fraction"  # the share of the steps: it can vary together with DBCache's own knobs
MOST = 20_000
LONGEST = 60  # characters of a number or a range: longer numbers would be too large to compute with
LONGEST_TEXT = 400  # characters of a value that is a text: a recipe or a mask
LONGEST_LIST = 4_000  # characters of all values of a knob
LONGEST_RANGES = 64_000  # characters of all ranges of a task
# DBCache's ranges. Values that the model or the steps do not allow are left out. Bn does not vary, because it
# was never worth its cost in our runs.
USUAL_RANGES = {
    "Fn_compute_blocks": "1, 2, 4",
    "max_warmup_steps": "2, 4, 8",
    "max_continuous_cached_steps": "2, 3, 4, 6, 10, -1",
    "residual_diff_threshold": "0.04..0.36 /9, 0.5, 0.7, 1",
    "taylorseer_order": "0..2",
    FRACTION: "0.5, 0.75, 1",
}


class SettingParts(NamedTuple):
    """A setting in two parts: a method, and the share of the steps in which it runs.

    The plain model with fewer steps counts as one method with a share of 1.
    """

    method: Method
    fraction: float = 1.0

    @property
    def joined(self) -> Method:
        """Return the setting as one method. (A recipe holds every knob of DBCache.)"""
        return (
            self.method
            if self.fraction == 1
            else FewerSteps(fraction=self.fraction, cache=format_recipe(self.method))
        )

    @property
    def knobs(self) -> dict[str, Any]:
        return {FRACTION: self.fraction, **self.method.model_dump()}

    def replaced(self, knob: str, value: Any) -> SettingParts:
        """Return the parts with one knob changed."""
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


def parse_values(knob: Knob, text: str) -> tuple[Any, ...]:
    """Read the values of a knob.

    ``"0.04..0.20 /5"`` means 5 values with even gaps, and ``"2..6"`` means whole numbers; ``"1, 4, 8"`` and
    ``"taylor, dmd"`` are lists. A list may contain ranges. Raises EngineError for a text that cannot be read,
    or for a value outside the knob's bounds.
    """
    read: list[Any] = []
    longest = LONGEST if knob.type in ("int", "float") else LONGEST_TEXT
    parts = filter(None, (part.strip() for part in text.split(","))) if len(text) <= LONGEST_LIST else [text]
    for part in parts:
        if len(part) > longest:
            raise EngineError(f"{knob.name}: {short_repr(part)} is too long; write 1, 4, 8 or 0.04..0.20 /5.")
        read += _parse_range(knob, part) if ".." in part else [_parse_value(knob, part)]
    for value in read:
        if isinstance(value, int | float) and not (knob.low or 0) <= value <= (
            value if knob.high is None else knob.high
        ):
            raise EngineError(f"{knob.name}: {value} is out of range; choose {knob.low} to {knob.high}.")
    if not read:
        raise EngineError(f"{knob.name}: {short_repr(text)} names no value; write 1, 4, 8 or 0.04..0.20 /5.")
    return tuple(dict.fromkeys(read))


def _parse_value(knob: Knob, text: str) -> Any:
    if knob.type not in ("int", "float"):
        if knob.choices and text not in knob.choices:
            raise EngineError(
                f"{knob.name}: {short_repr(text)} is not valid; choose among {', '.join(knob.choices)}."
            )
        return text
    try:
        return int(text) if knob.type == "int" else float(text)
    except ValueError:
        raise EngineError(
            f"{knob.name}: {short_repr(text)} is not a {'whole ' * (knob.type == 'int')}number; write "
            "1, 4, 8 or 0.04..0.20 /5."
        ) from None


def _parse_range(knob: Knob, text: str) -> list[Any]:
    first, _, rest = text.partition("..")
    last, slash, number = (part.strip() for part in rest.partition("/"))
    if knob.type not in ("int", "float") or not first or not last or (slash and not number.isdecimal()):
        raise EngineError(
            f"{knob.name}: {short_repr(text)} cannot be read; write a range like 0.04..0.20 /5."
        )
    low, high = _parse_value(knob, first.strip()), _parse_value(knob, last)
    count = int(number) if slash else high - low + 1 if knob.type == "int" else 0
    if high < low or not 2 <= count <= 200:
        raise EngineError(
            f"{knob.name}: {short_repr(text)} is not a range; write low..high /count, with 2 to 200 values."
        )
    spread = [low + (high - low) * place / (count - 1) for place in range(count)]
    return [round(value) if knob.type == "int" else round(value, 4) for value in spread]


def tunable_knobs(method: str) -> dict[str, Knob]:
    """Return the knobs of a method that may vary, by name."""
    return {knob.name: knob for knob in (*METHODS[method].knobs(), *(WITHIN if method == "dbcache" else ()))}


def parse_ranges(method: str, texts: Mapping[str, str]) -> Ranges:
    """Read the ranges of knobs. Return the ranges in the order of the method's knobs. Raises EngineError."""
    knobs = tunable_knobs(method)
    for name in texts:
        if name not in knobs:
            raise EngineError(f"{name}: {method} has no such knob; its knobs are {', '.join(knobs)}.")
    return {name: parse_values(knob, texts[name]) for name, knob in knobs.items() if name in texts}


def grid(
    method: str, vary: Ranges, facts: ModelFacts, fixed: Mapping[str, Any] | None = None
) -> list[Method]:
    """Return every combination of the ranges that fits the model.

    fixed: values of the other knobs. Raises EngineError if no combination fits, or if there are more than
    MOST.
    """
    refuse_too_many([vary])
    methods, reason = [], None
    for combination in product(*vary.values()):
        try:
            methods.append(
                method_with(method, {**(fixed or {}), **dict(zip(vary, combination, strict=True))}, facts)
            )
        except EngineError as error:
            reason = error
    if not methods:
        raise reason or EngineError("ranges: no knob varies; give a knob a range.")
    return methods


def refuse_too_long(vary: Mapping[str, Mapping[str, str]]) -> None:
    """Raise EngineError if the ranges of a task are longer than any that people write."""
    size = sum(len(text) for method, texts in vary.items() for text in (method, *texts, *texts.values()))
    if size > LONGEST_RANGES:
        raise EngineError(
            f"vary: {size:,} characters are more than {LONGEST_RANGES:,}; write ranges such as 0.04..0.20 /5."
        )


def refuse_too_many(several: Iterable[Ranges]) -> None:
    """Raise EngineError if the combinations of several methods' ranges are more than MOST together."""
    count = sum(prod(len(values) for values in vary.values()) for vary in several)
    if count > MOST:
        raise EngineError(
            f"ranges: {count} settings are more than {MOST}; narrow a range, or leave a knob out."
        )


def method_with(method: str, knobs: Mapping[str, Any], facts: ModelFacts) -> Method:
    """Make a method with these knobs. Raises EngineError if the knobs do not fit the method or the model."""
    own = {name: value for name, value in knobs.items() if name != FRACTION or method != "dbcache"}
    made = SettingParts(METHODS[method](**own), knobs[FRACTION] if len(own) < len(knobs) else 1.0).joined
    made.plan(facts._replace(steps=made.of(facts.steps)) if isinstance(made, FewerSteps) else facts)
    return made


def fewer_steps_methods(facts: ModelFacts) -> Sequence[Method]:
    """Return the plain model with 2 steps, with 3 steps, and so on up to one step less than the run has.

    The shares of the steps are rounded, so that people can read and type them.
    """
    return [FewerSteps(fraction=float(f"{steps / facts.steps:.4g}")) for steps in range(2, facts.steps)]


def neighbours(method: Method, vary: Ranges, methods: Collection[Method]) -> list[Method]:
    """Return the settings among ``methods`` that differ from this one by one step of one knob.

    Numbers of a knob are neighbours in their order; values of other kinds have no neighbours. For the plain
    model with fewer steps, the neighbours are the next numbers of steps. ``fraction`` is skipped: its next
    value is 25 % away, too far to tell whether the setting is on an edge.
    """
    here = parts_of(method)
    if isinstance(here.method, FewerSteps):
        plain = sorted(
            (method for method in methods if isinstance(method, FewerSteps) and method.within is None),
            key=lambda method: method.fraction,
        )
        place = plain.index(here.method)
        return [*plain[max(place - 1, 0) : place], *plain[place + 1 : place + 2]]
    near = []
    for name, several in vary.items():
        if name == FRACTION or any(isinstance(value, str) for value in several):
            continue
        # -1 means no limit
        ordered = sorted(several, key=lambda value: float("inf") if value == -1 else value)
        if name not in here.knobs or here.knobs[name] not in ordered:
            continue
        place = ordered.index(here.knobs[name])
        near += [
            here.replaced(name, ordered[there]).joined
            for there in (place - 1, place + 1)
            if 0 <= there < len(ordered)
        ]
    return [method for method in near if method in methods]
