"""A Method is a published way of caching, written as a frozen record of knobs. METHODS lists all methods."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar, Literal, NamedTuple

from pydantic import Field

from .plans import ModelFacts, Plan
from .records import RunRequest
from .registry import Registry, subclasses
from .strict import DIGITS, EngineError, Strict

Kind = Literal["int", "float", "text", "choice", "bool"]
Grain = Literal["none", "stack", "module", "token", "column"]


class Knob(NamedTuple):
    """One parameter of a method. Sliders, command line, presets and docs are made from the knobs."""

    name: str
    label: str
    type: Kind
    default: Any
    low: float | None
    high: float | None
    step: float | None
    choices: tuple[str, ...]
    help: str


def knob(
    default: Any,
    label: str,
    help: str,
    *,
    low: float | None = None,
    high: float | None = None,
    step: float | None = None,
    **more: Any,
) -> Any:
    """Declare a knob: its default, bounds, slider step and one line of help."""
    return Field(
        default, title=label, description=help, ge=low, le=high, json_schema_extra={"step": step}, **more
    )


def interval_knob(default: int) -> Any:
    return knob(
        default,
        "Interval",
        "One step in this many is computed; the others are predicted. 1: every step is computed (exact).",
        low=1,
        high=50,
        step=1,
    )


def first_knob(default: int) -> Any:
    return knob(default, "First steps", "This many steps at the start are computed.", low=1, high=200, step=1)


def order_knob(default: int, *, high: int = 3) -> Any:
    return knob(
        default,
        "Order",
        "Degree in time of the prediction for a skipped step. 0: the last value is repeated.",
        low=0,
        high=high,
        step=1,
    )


def mask_knob() -> Any:
    return Field(
        "",
        title="Mask",
        max_length=200,
        pattern=DIGITS,
        description="A 1 or 0 for each step: steps with 1 are computed. Empty: no mask.",
    )


def fits_steps(name: str, value: int, facts: ModelFacts, *, low: int = 1) -> None:
    """Raise EngineError if a knob asks for more steps than the run has, or for fewer than ``low``."""
    if value > facts.steps:
        raise EngineError(
            f"{name}: {value} is more than the {facts.steps} steps of the run; choose {low} to {facts.steps}."
        )


def fits_mask(name: str, mask: str, facts: ModelFacts) -> None:
    """Raise EngineError if the mask's length is not the run's number of steps."""
    if mask and len(mask) != facts.steps:
        raise EngineError(
            f"{name}: the mask has {len(mask)} digits for {facts.steps} steps; give one digit for each step."
        )


def has_modules(method: str, facts: ModelFacts) -> None:
    """Raise EngineError if the modules in the model's blocks are not described."""
    if not facts.modules:
        raise EngineError(
            f"{method}: the attention and feed-forward modules of this model's blocks are not described, "
            "so their outputs cannot be cached; choose a method that skips whole blocks, such as dbcache."
        )


def has_attention(method: str, facts: ModelFacts) -> None:
    """Raise EngineError if the attention modules in the model's blocks are not described."""
    if not facts.attention:
        raise EngineError(
            f"{method}: the attention modules in this model's blocks are not described, so parts of a "
            "block cannot run alone; choose a method that skips whole blocks, such as dbcache."
        )


class Method(Strict):
    """One published method. A subclass declares its knobs as fields and turns them into a plan.

    grain: the values that the cache remembers: the residual of a stack of blocks, module outputs, tokens, or
    columns.
    always: the knobs with which every step is computed; the picture then equals the baseline's, bit for bit.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    paper: ClassVar[str]
    grain: ClassVar[Grain]
    always: ClassVar[dict[str, Any]]

    def effective(self, request: RunRequest) -> RunRequest:
        """Return the request as this method runs it. ``request`` is resolved."""
        return request

    def plan(self, facts: ModelFacts) -> Plan:
        """Return the plan: when, how and where to skip.

        Raises EngineError if the knobs do not fit the model or the steps.
        """
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """Return ``{"name": ..., knobs...}``, the form that result files, presets and the API use."""
        return {"name": self.name, **self.model_dump()}

    @classmethod
    @cache
    def knobs(cls) -> tuple[Knob, ...]:
        """Return the method's knobs, in the order of its fields."""
        kinds: dict[str, Kind] = {"integer": "int", "number": "float", "string": "text", "boolean": "bool"}
        knobs = []
        for name, facts in cls.model_json_schema()["properties"].items():
            choices = tuple(facts.get("enum", ()))
            knobs.append(
                Knob(
                    name,
                    facts["title"],
                    "choice" if choices else kinds[facts["type"]],
                    facts["default"],
                    facts.get("minimum"),
                    facts.get("maximum"),
                    facts.get("step"),
                    choices,
                    facts["description"],
                )
            )
        return tuple(knobs)


# Maps a method's name to its class.
METHODS: Registry[type[Method]] = Registry(lambda: subclasses("cache_engine.methods", Method), "method")


def method_from(fields: Mapping[str, Any]) -> Method:
    """Return the method of ``{"name": ..., knobs...}``, the inverse of ``to_dict``. Raises EngineError."""
    knobs = {name: value for name, value in fields.items() if name != "name"}
    return METHODS[str(fields.get("name", ""))](**knobs)
