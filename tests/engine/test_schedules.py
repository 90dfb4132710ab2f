"""Tests when steps are computed: DBCache's rule in its limiting cases, its reasons, and the schedules of the
published tables.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable
from typing import Any

import pytest

from cache_engine.methods.dbcache import DBCache
from cache_engine.plans import ModelFacts, Plan, Schedule
from cache_engine.predictors import Reuse
from cache_engine.schedules import Always, Drift, Fixed
from cache_engine.session import Call, Session, walk

FLUX = 57  # number of blocks
# TFLOPs of a full step of FLUX.1-dev at 1024 x 1024; below, of a cached step with F first blocks
STEP = 74.5375
CACHED = {1: 1.3238, 4: 5.2464, 8: 10.4766}


def walked(
    schedule: Schedule,
    total: int,
    change: Callable[[Call], float] | float = 0.5,
    streams: tuple[str, ...] = ("cond",),
) -> Session:
    plan = Plan(schedule, Reuse(), ())
    return walk(plan, total, streams, change if callable(change) else lambda call: change)


def letters(session: Session, stream: str = "cond") -> str:
    return "".join(call.mode for call in session.trace if call.stream == stream)


def reasons(session: Session) -> list[str]:
    return [call.reason for call in session.trace]


def similar(total: int, **knobs: Any) -> str:
    """Return the modes of DBCache if every change is below the threshold."""
    plan = DBCache(residual_diff_threshold=1, **knobs).plan(ModelFacts(FLUX, total))
    return letters(walk(plan, total, ("cond",), lambda call: 0.5))


def limited_by(warmup: int, interval: int, in_a_row: int) -> dict[str, int]:
    return {"max_warmup_steps": warmup, "warmup_interval": interval, "max_continuous_cached_steps": in_a_row}


def computed(modes: str) -> list[int]:
    return [step for step, mode in enumerate(modes) if mode == "C"]


# The published static schedules


@pytest.mark.parametrize(
    ("front", "knobs", "steps", "tflops"),
    [  # W, I and MC
        (1, (8, 2, 8), [0, 2, 4, 6, 15, 24, 33, 42], 651.90),
        (1, (8, 2, 10), [0, 2, 4, 6, 17, 28, 39], 578.69),
        (1, (8, 4, 10), [0, 4, 15, 26, 37, 48], 505.47),
        (1, (16, 4, 8), [0, 4, 8, 12, 21, 30, 39, 48], 651.90),
        (1, (4, 1, 2), [0, 1, 2, *range(3, 50, 3)], 1457.25),
        (8, (8, 1, 2), [*range(7), *range(7, 50, 3)], 1933.17),
        (1, (4, 1, 4), [0, 1, 2, *range(3, 50, 5)], 1017.97),
    ],
)
def test_published_schedules(
    front: int, knobs: tuple[int, int, int], steps: list[int], tflops: float
) -> None:
    assert computed(similar(50, Fn_compute_blocks=front, **limited_by(*knobs))) == steps
    assert len(steps) * STEP + (50 - len(steps)) * CACHED[front] == pytest.approx(tflops, abs=0.02)


@pytest.mark.parametrize(
    ("knobs", "steps"),
    [
        ((8, 4, 10), [0, 4, 13, 24, 35, 46]),
        ((8, 2, 8), [0, 2, 4, 6, 15, 24, 33, 42]),
        ((8, 2, 10), [0, 2, 4, 6, 17, 28, 39]),
        ((16, 4, 8), [0, 4, 8, 12, 15, 24, 33, 42]),
        ((4, 1, 2), [0, 1, 2, *range(3, 50, 3)]),
        ((4, 1, 4), [0, 1, 2, *range(3, 50, 5)]),
        ((8, 1, 2), [*range(7), *range(7, 50, 3)]),
    ],
)
def test_published_schedules_under_the_rule_they_were_made_with(
    knobs: tuple[int, int, int], steps: list[int]
) -> None:
    assert computed(similar(50, streak_rule="before", **limited_by(*knobs))) == steps


def test_the_old_rule_caches_pairs_where_the_limit_is_one() -> None:
    knobs = dict(max_warmup_steps=4, max_continuous_cached_steps=1)
    assert computed(similar(19, **knobs)) == [0, 1, 2, 3, 5, 7, 9, 11, 13, 15, 17]
    cached = [step for step in range(19) if step not in computed(similar(19, streak_rule="before", **knobs))]
    assert cached == [4, 6, 7, 9, 10, 12, 13, 15, 16, 18]


def test_the_old_rule_does_not_see_a_step_that_the_threshold_computed() -> None:
    """Steps 1 and 2 are cached, 3 is computed for its change, 4 and 5 are cached: the old rule counts 1, 2
    and 5.
    """
    change = lambda call: 0.9 if call.step == 3 else 0.1
    new, old = (
        walked(Drift(1, 1, 0.5, max_in_a_row=3, streak_rule=rule), 8, change) for rule in ("1.5.3", "before")
    )
    assert letters(new) == "CccCcccC"
    assert letters(old) == "CccCccCc"
    assert reasons(old)[6] == reasons(new)[7] == "max in a row"


# The rule in its limiting cases


@pytest.mark.parametrize(
    ("steps", "knobs", "expected"),
    [
        (8, dict(max_warmup_steps=0), "Cccccccc"),
        (8, dict(max_warmup_steps=1), "Cccccccc"),
        (8, dict(max_warmup_steps=8), "CCCCCCCC"),
        (8, dict(max_warmup_steps=7), "CCCCCCCc"),
        (1, dict(max_warmup_steps=0), "C"),
        (8, dict(max_warmup_steps=8, warmup_interval=2), "CcCcCcCc"),
        (8, dict(max_warmup_steps=7, warmup_interval=3), "CccCccCc"),
        (8, dict(max_warmup_steps=4, warmup_interval=50), "Cccccccc"),
        (8, dict(max_warmup_steps=2, max_cached_steps=1), "CCcCCCCC"),
        (8, dict(max_warmup_steps=2, max_cached_steps=3, max_continuous_cached_steps=2), "CCccCcCC"),
        (8, dict(max_warmup_steps=1, max_continuous_cached_steps=1), "CcCcCcCc"),
        (8, dict(max_warmup_steps=1, max_continuous_cached_steps=7), "Cccccccc"),
        (8, dict(max_warmup_steps=4, max_continuous_cached_steps=2), "CCCCccCc"),
        (4, dict(max_warmup_steps=2, max_continuous_cached_steps=1), "CCcC"),
    ],
)
def test_warm_up_and_limits(steps: int, knobs: dict[str, int], expected: str) -> None:
    assert similar(steps, **knobs) == expected


def test_a_change_equal_to_the_threshold_is_computed() -> None:
    assert letters(walked(Drift(1, 1, 0.25), 3, 0.25)) == "CCC"
    assert letters(walked(Drift(1, 1, 0.25), 3, 0.2499999)) == "Ccc"


def test_thresholds_0_and_1_ask_for_no_change() -> None:
    def unasked(call: Call) -> float:
        call.live = False  # on a device: the change is measured but not waited for
        return NotAsked()  # type: ignore[return-value]

    class NotAsked:
        def __float__(self) -> float:
            pytest.fail("was fetched")

    assert letters(walked_without_trace(Drift(1, 1, 0.0), unasked)) == "CCC"
    assert letters(walked_without_trace(Drift(1, 1, 1.0), unasked)) == "Ccc"
    with pytest.raises(pytest.fail.Exception):
        walked_without_trace(Drift(1, 1, 0.5), unasked)


def walked_without_trace(schedule: Schedule, change: Callable[[Call], float]) -> Session:
    session = walked(schedule, 3, change)
    for call in session.calls:
        call.measured = None
    return session


@pytest.mark.parametrize(
    ("mask", "static", "warmup", "expected"),
    [
        ("11010010", False, 8, "CCcCccCc"),  # the warm-up is limited to the leading computed steps
        ("11110000", False, 2, "CCCCcccc"),  # and never reaches beyond them
        ("01000001", False, 8, "CCcccccC"),  # step 0 has nothing to reuse
        ("11111111", False, 0, "CCCCCCCC"),
        ("10000000", True, 0, "Cccccccc"),
        ("11001001", True, 8, "CCccCccC"),
    ],
)
def test_masks(mask: str, static: bool, warmup: int, expected: str) -> None:
    assert letters(walked(Drift(warmup, 1, 1.0, mask=mask, static=static), 8)) == expected


def test_limits_and_threshold_hold_at_the_zeros_of_a_dynamic_mask_only() -> None:
    mask = "11000000"
    limited: dict[str, Any] = dict(mask=mask, max_in_a_row=2, max_cached=3)
    assert letters(walked(Drift(0, 1, 1.0, **limited), 8)) == "CCccCcCC"
    assert letters(walked(Drift(0, 1, 1.0, static=True, **limited), 8)) == "CCcccccc"
    assert letters(walked(Drift(0, 1, 0.1, mask=mask), 8)) == "CCCCCCCC"
    assert letters(walked(Drift(0, 1, 0.1, mask=mask, static=True), 8)) == "CCcccccc"


def test_mask_and_interval_together() -> None:
    """Only every second of the leading steps is a warm-up step; the mask still computes the others."""
    session = walked(Drift(8, 2, 1.0, mask="11110010"), 8)
    assert letters(session) == "CCCCccCc"
    assert reasons(session) == [
        "warm-up",
        "mask",
        "warm-up",
        "mask",
        "threshold 1",
        "threshold 1",
        "mask",
        "threshold 1",
    ]


# Reasons


def test_every_reason_is_given_where_it_decides() -> None:
    assert reasons(walked(Always(), 2)) == ["always"] * 2
    assert reasons(walked(Fixed("Cpc"), 3)) == ["fixed"] * 3
    assert reasons(walked(Drift(0, 1, 0.5), 2, 0.25)) == ["first", "change 0.25 < 0.5"]
    assert reasons(walked(Drift(1, 1, 0.5), 2, 0.75)) == ["warm-up", "change 0.75 >= 0.5"]
    assert reasons(walked(Drift(1, 1, 0.5, max_in_a_row=1), 3, 0.25)) == [
        "warm-up",
        "change 0.25 < 0.5",
        "max in a row",
    ]
    assert reasons(walked(Drift(1, 1, 0.5, max_cached=1), 3, 0.25)) == [
        "warm-up",
        "change 0.25 < 0.5",
        "max in all",
    ]
    assert reasons(walked(Drift(1, 1, 0.0), 2)) == ["warm-up", "threshold 0"]
    assert reasons(walked(Drift(1, 1, 1.0), 2)) == ["warm-up", "threshold 1"]
    assert reasons(walked(Drift(0, 1, 0.5, mask="10", static=True), 2)) == ["mask", "mask"]


def test_the_limit_is_given_with_the_reason() -> None:
    session = walked(Drift(1, 1, 0.5, max_in_a_row=1), 3, 0.25)
    assert [call.limit for call in session.trace] == [None, 0.5, None]


@pytest.mark.parametrize(
    ("change", "limit", "sentence"),
    [
        (0.0613, 0.12, "change 0.0613 < 0.12"),
        (0.12, 0.12, "change 0.12 >= 0.12"),
        (0.119999, 0.12, "change 0.119999 < 0.12"),
        (0.12000001, 0.12, "change 0.12 >= 0.12"),
        (0.2999999523162842, 0.3, "change 0.29999995 < 0.3"),
        (5e-324, 0.12, "change 4.941e-324 < 0.12"),
        (0.1234567, 0.12345678, "change 0.1234567 < 0.12345678"),
    ],
)
def test_the_sentence_about_a_change_is_true(change: float, limit: float, sentence: str) -> None:
    assert reasons(walked(Drift(1, 1, limit), 2, change))[1] == sentence
    left, sign, right = sentence.removeprefix("change ").split()
    assert (float(left) < float(right)) == (sign == "<") == (change < limit)


# Arbitrary knobs


@pytest.mark.parametrize("seed", range(200))
def test_whatever_the_knobs_every_limit_holds(seed: int) -> None:
    chance = random.Random(seed)
    total = chance.randint(1, 60)
    mask = "".join(chance.choice("01") for _ in range(total)) if chance.random() < 0.4 else ""
    rule = Drift(
        chance.randint(0, total),
        chance.randint(1, 6),
        chance.choice([0.0, 0.3, 0.6, 1.0]),
        chance.choice([-1, 1, 4, 20]),
        chance.choice([-1, 1, 2, 5]),
        mask,
        static=chance.random() < 0.3,
    )
    changes = {(stream, step): chance.random() for stream in ("cond", "uncond") for step in range(total)}
    session = walked(rule, total, lambda call: changes[call.stream, call.step], ("cond", "uncond"))
    static = bool(mask) and rule.static
    leading = len(mask) - len(mask.lstrip("1")) if mask else total
    for stream in ("cond", "uncond"):
        calls = [call for call in session.trace if call.stream == stream]
        modes = letters(session, stream)
        assert modes[0] == "C"
        assert all(call.reason for call in calls)
        assert all(modes[step] == "C" for step in range(0, min(rule.warmup, leading), rule.interval))
        assert all(mode == "C" for mode, digit in zip(modes, mask) if digit == "1")
        if static:
            assert all(mode == "c" for mode, digit in zip(modes[1:], mask[1:]) if digit == "0")
            continue
        runs = [len(list(run)) for mode, run in itertools.groupby(modes) if mode == "c"]
        assert rule.max_in_a_row == -1 or max(runs, default=0) <= rule.max_in_a_row
        assert rule.max_cached == -1 or modes.count("c") <= rule.max_cached
        alike = [
            step for step in range(1, total) if rule.threshold >= 1 or changes[stream, step] < rule.threshold
        ]
        assert all(step in alike for step, mode in enumerate(modes) if mode == "c")
        forced = range(0, min(rule.warmup, leading), rule.interval)
        for step in (step for step in alike if step not in forced and (not mask or mask[step] == "0")):
            streak = len(modes[:step]) - len(modes[:step].rstrip("c"))
            forbidden = 0 <= rule.max_in_a_row <= streak or 0 <= rule.max_cached <= modes[:step].count("c")
            assert modes[step] == ("C" if forbidden else "c")  # if no rule forbids it, the step is cached


def test_a_schedule_may_begin_many_times() -> None:
    """Its state belongs to the run: the same object makes the same decisions again."""
    rule = Drift(8, 4, 1.0, max_in_a_row=10, streak_rule="before")
    assert (
        letters(walked(rule, 50))
        == letters(walked(rule, 50))
        == letters(walked(rule, 50, streams=("a", "cond")))
    )
