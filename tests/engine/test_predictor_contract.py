"""Tests the contract of every named predictor. A new name in ``Forecast`` is tested here without an edit."""

from __future__ import annotations

import math
from typing import get_args

import pytest

from cache_engine.plans import Gram, Predictor
from cache_engine.predictors import PredictorName, predictor_named

NAMES = get_args(PredictorName)
TOTAL = 50
every_predictor = pytest.mark.parametrize(
    "predictor",
    [
        pytest.param(predictor_named(name, order), id=f"{name} of order {order}")
        for name in NAMES
        for order in (1, 2, 3)
    ],
)


def inner_products(*values: float) -> Gram:
    """Return the inner products of values that have one component each."""
    return lambda: tuple(tuple(first * second for second in values) for first in values)


def computed(count: int) -> tuple[int, ...]:
    """Return the steps 3, 6, 9, ...: ``count`` of them, newest first."""
    return tuple(range(3 * count, 0, -3))


@every_predictor
def test_it_gives_one_finite_weight_to_each_remembered_value(predictor: Predictor) -> None:
    for count in range(1, predictor.keep + 1):
        steps = computed(count)
        row = predictor.row(steps, steps[0] + 2, TOTAL, None, inner_products(*[1.0] * count))
        assert len(row) == count
        assert all(map(math.isfinite, row))


@every_predictor
def test_what_stands_still_is_predicted_to_stand_still(predictor: Predictor) -> None:
    """The tolerance is a tenth, because a regularised fit (Chebyshev's ridge) is a little too small by
    design.
    """
    for count in range(1, predictor.keep + 1):
        steps = computed(count)
        row = predictor.row(steps, steps[0] + 2, TOTAL, None, inner_products(*[1.0] * count))
        assert sum(row) == pytest.approx(1, abs=0.1)


@every_predictor
def test_the_same_question_has_the_same_answer(predictor: Predictor) -> None:
    """A predictor is frozen, because runs and the what-if share it."""
    steps = computed(min(predictor.keep, 4))
    gram = inner_products(*[1.1**step for step in steps])
    first, second = (predictor.row(steps, steps[0] + 1, TOTAL, None, gram) for _ in range(2))
    assert first == second
    assert hash(predictor) == hash(predictor)


@pytest.mark.parametrize("name", NAMES)
def test_order_zero_is_reuse(name: PredictorName) -> None:
    assert predictor_named(name, 0).row((9, 6, 3), 11, TOTAL, None, inner_products(3.0, 2.0, 1.0)) == (1.0,)
