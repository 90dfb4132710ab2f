"""Tests the contract of every method without a model: it has its texts, and each of its knobs has an effect.

A new file in cache_engine/methods is tested here without any change; test_contract.py runs it on models.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from cache_engine.method import METHODS, Knob, Method
from cache_engine.plans import ModelFacts
from cache_engine.records import RunRequest
from cache_engine.strict import EngineError
from tests.engine.facts import STEPS, facts

FACTS = facts(("cond",))


def others(knob: Knob) -> list[Any]:
    """Return values of a knob that differ from its default."""
    if knob.type == "bool":
        return [not knob.default]
    if knob.type == "choice":
        return [choice for choice in knob.choices if choice != knob.default]
    if knob.type == "text":
        return ["F1B0_W1_R0.5_T0O0" if knob.name == "cache" else "1" * (STEPS - 1) + "0"]
    assert knob.low is not None
    assert knob.high is not None
    steps = (1, 2, 3, 4, 0.1, 0.5)
    values = [
        knob.low,
        knob.high,
        *(value for value in steps if knob.type == "float" or isinstance(value, int)),
    ]
    return [value for value in values if knob.low <= value <= knob.high and value != knob.default]


def outcome(method: Method) -> object:
    """Return everything that a setting can change: the plan and the request."""
    try:
        return method.plan(FACTS), method.effective(RunRequest(prompt="-", steps=STEPS))
    except EngineError:
        return None


@pytest.mark.parametrize(
    ("name", "knob"), [(name, knob.name) for name, method in METHODS.items() for knob in method.knobs()]
)
def test_every_knob_changes_something(name: str, knob: str) -> None:
    knobs = {declared.name: declared for declared in METHODS[name].knobs()}
    elsewhere = [{}] + [
        {other.name: value} for other in knobs.values() if other.name != knob for value in others(other)
    ]
    assert any(
        outcome(METHODS[name](**{**rest, knob: value})) not in (None, outcome(METHODS[name](**rest)))
        for rest in elsewhere
        for value in others(knobs[knob])
    )


@pytest.mark.parametrize("name", METHODS)
def test_says_what_it_is_and_refuses_what_it_cannot_take_in_one_sentence(name: str) -> None:
    method = METHODS[name]
    assert method.title
    assert method.__module__ == f"cache_engine.methods.{name}"
    sentence = refusal(method(), ModelFacts(blocks=6, steps=STEPS, sections=(6,)))
    assert not sentence or re.fullmatch(r"(\w+): (FLUX\.1|[^.])+\.", sentence)
    assert not sentence or sentence.partition(":")[0] in (name, *method.model_fields)


def refusal(method: Method, facts: ModelFacts) -> str:
    try:
        method.plan(facts)
    except EngineError as error:
        return str(error)
    return ""
