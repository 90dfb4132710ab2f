"""Tests which of 50 steps each published setting computes. Settings and sources: the papers' own code, and
counts from their TFLOPs.
"""

from __future__ import annotations

from typing import Any

import pytest

from cache_engine.method import method_from
from cache_engine.models.catalog import MODELS
from cache_engine.plans import ModelFacts, Stack
from cache_engine.records import RunRequest
from cache_engine.schedules import Accumulated, Magnitude
from cache_engine.session import walk
from cache_engine.strict import EngineError

FLUX = MODELS["flux-dev"].facts(
    MODELS["flux-dev"].resolve(RunRequest(model="flux-dev", prompt="-", steps=50))
)


def computed(name: str, facts: ModelFacts = FLUX, change: float = 0.0, **knobs: Any) -> list[int]:
    session = walk(
        method_from({"name": name, **knobs}).plan(facts), facts.steps, ("cond",), lambda call: change
    )
    return [call.step for call in session.trace if call.mode == "C"]


@pytest.mark.parametrize(
    ("name", "knobs", "expected"),
    [
        ("taylorseer", {"interval": 4, "order": 2, "first": 3}, [0, 1, *range(2, 50, 4)]),
        ("taylorseer", {"interval": 7, "order": 2, "first": 3}, [0, 1, 2, 9, 16, 23, 30, 37, 44]),
        ("foca", {"interval": 5}, [0, 1, *range(2, 50, 5)]),
        ("foca", {"interval": 8}, [0, 1, 2, 10, 18, 26, 34, 42]),
        ("hicache", {"interval": 5}, [0, 1, *range(2, 50, 5)]),
        ("fora", {"interval": 3}, [*range(0, 50, 3)]),
        ("fora", {"interval": 7, "first": 3}, [0, 1, 2, 9, 16, 23, 30, 37, 44]),
        ("delta_dit", {"interval": 2}, [*range(0, 50, 2)]),
        ("delta_dit", {"interval": 3}, [*range(0, 50, 3)]),
        ("magcache", {}, [0, 1, 2, 3, 4, 6, 9, 13, 17, 20, 26, 32, 38, 44, 47]),
        ("spectrum", {"growth": 0.75}, [0, 1, 2, 3, 4, 6, 8, 11, 15, 20, 25, 31, 38, 46]),
        ("spectrum", {"growth": 3.0}, [0, 1, 2, 3, 4, 6, 11, 19, 30, 44]),
        ("fixed_mask", {"mask": "golden 9"}, [0, 1, 2, 4, 6, 13, 24, 41, 49]),
        ("fixed_mask", {"mask": "golden 9b"}, [0, 1, 2, 4, 6, 11, 21, 38, 49]),
        ("fixed_mask", {"mask": "budcache 13"}, [0, 1, 2, 3, 4, 6, 11, 15, 21, 29, 39, 45, 49]),
        ("fixed_mask", {"mask": "meancache 13"}, [0, 1, 2, 3, 4, 6, 9, 13, 18, 25, 34, 43, 49]),
        ("fixed_mask", {"steps_computation_mask": "1" + "01" * 24 + "0"}, [0, *range(2, 49, 2)]),
    ],
)
def test_published_settings_compute_the_steps_that_their_tflops_imply(
    name: str, knobs: dict[str, Any], expected: list[int]
) -> None:
    assert computed(name, **knobs) == expected


@pytest.mark.parametrize(
    ("name", "interval", "expected"),
    [
        ("toca", 12, "CC" + ("C" + 11 * "p") * 4),
        ("duca", 5, "CC" + 9 * "Ccpcp" + "Ccp"),
        ("duca", 10, "CC" + 4 * "Ccpcpcpcpc" + "Ccpcpcpc"),
        ("chipmunk", 10, "C" + 4 * ("C" + 9 * "p") + "C" + 8 * "p"),
    ],
)
def test_the_finer_grains_take_turns_as_their_tflops_imply(name: str, interval: int, expected: str) -> None:
    session = walk(
        method_from({"name": name, "interval": interval}).plan(FLUX), 50, ("cond",), lambda call: 0.0
    )
    assert "".join(call.mode for call in session.trace) == expected


def test_teacache_on_flux_is_nearly_a_fixed_interval() -> None:
    """At FLUX's small changes, its polynomial gives about 0.2 a step, so one step in seven is computed at a
    threshold of 1.2.
    """
    assert computed("teacache", change=0.05, threshold=1.2) == [0, 7, 14, 21, 28, 35, 42, 49]
    assert len(computed("teacache", change=0.4, threshold=1.2)) == 50


def test_teacache_rescales_by_its_polynomial() -> None:
    assert FLUX.polynomial is not None
    rescaled = Accumulated(1.0, FLUX.polynomial).rescaled
    assert [rescaled(at) for at in (0, 0.053, 0.2, 0.3, 0.4)] == pytest.approx(
        [0.264, 0.180, 0.262, 0.52, 2.3], rel=0.02
    )


def test_teacache_adds_up_since_the_last_computed_step() -> None:
    rule = method_from({"name": "teacache"}).plan(FLUX)._replace(schedule=Accumulated(1.0, (2.0, 0.0)))
    changes = dict(enumerate([0, 0.1, 0.2, 0.1, 0.15, 0.3, 0.1, 0.1]))
    session = walk(rule, 8, ("cond",), lambda call: changes[call.step])
    assert [call.mode for call in session.trace] == list("CcccCccC")
    assert session.trace[4].reason == "sum 1.1 >= 1"
    assert session.trace[7].reason == "last"


def test_magcache_entries_are_spread_over_the_run() -> None:
    rule = Magnitude((1.0, 1.0, 2.0), threshold=0.5, longest=10, start=0, landmark=-1)
    session = walk(
        method_from({"name": "magcache"}).plan(FLUX)._replace(schedule=rule), 7, ("cond",), lambda call: 0
    )
    assert [call.mode for call in session.trace] == list("CccccCC")  # entries 0 0 1 1 1 2 2


def test_fewer_steps_is_a_run_of_fewer_steps() -> None:
    shares = {0.6: 30, 0.34: 17, 0.22: 11, 0.01: 1}
    for share, steps in shares.items():
        request = RunRequest(model="flux-dev", prompt="-", steps=50)
        assert method_from({"name": "fewer_steps", "fraction": share}).effective(request).steps == steps


def test_a_staged_delta_dit_changes_sides_once_with_a_computed_step() -> None:
    plan = method_from({"name": "delta_dit", "rule": "staged", "fraction": 0.5}).plan(FLUX)
    assert plan.sites == (Stack(19, 57, steps=(0, 25)), Stack(0, 38, steps=(25, 50)))


@pytest.mark.parametrize(
    ("name", "knobs", "facts", "expected"),
    [
        (
            "teacache",
            {},
            FLUX._replace(polynomial=None),
            "teacache: its polynomial has not been fitted to this model; ",
        ),
        (
            "magcache",
            {},
            FLUX._replace(ratios=None),
            "magcache: its ratios have not been measured on this model; ",
        ),
        (
            "fora",
            {},
            FLUX._replace(modules=False),
            "fora: the attention and feed-forward modules of this model's blocks are ",
        ),
        ("taylorseer", {}, FLUX._replace(modules=False), "taylorseer: the attention and "),
        (
            "toca",
            {},
            FLUX._replace(attention=False),
            "toca: the attention modules in this model's blocks are not described, ",
        ),
        (
            "chipmunk",
            {"dense_blocks": 57},
            FLUX,
            "dense_blocks: 57 leaves none of 57 blocks to run in part; choose 56 or less.",
        ),
        ("duca", {"first": 51}, FLUX, "first: 51 is more than the 50 steps of the run; choose 1 to 50."),
        ("fixed_mask", {"site": "modules"}, FLUX._replace(modules=False), "fixed_mask: the attention and "),
        ("delta_dit", {}, FLUX._replace(sections=(57,)), "rule: this model has only one list of blocks, "),
        (
            "taylorseer",
            {"first": 51},
            FLUX,
            "first: 51 is more than the 50 steps of the run; choose 1 to 50.",
        ),
        (
            "fixed_mask",
            {"steps_computation_mask": "101"},
            FLUX,
            "steps_computation_mask: the mask has 3 digits for 50 steps; ",
        ),
        (
            "fixed_mask",
            {"steps_computation_mask": "0" * 50},
            FLUX,
            "steps_computation_mask: the mask starts with 0, ",
        ),
    ],
)
def test_what_does_not_fit_is_refused_with_its_reason(
    name: str, knobs: dict[str, Any], facts: ModelFacts, expected: str
) -> None:
    with pytest.raises(EngineError) as refusal:
        method_from({"name": name, **knobs}).plan(facts)
    assert str(refusal.value).startswith(expected)


def test_lite_and_stack_grain_need_no_description_of_modules() -> None:
    bare = FLUX._replace(modules=False)
    assert computed("taylorseer", bare, site="stack", interval=7) == [0, 1, 2, 9, 16, 23, 30, 37, 44]
    assert computed("fixed_mask", bare)
