"""Tests how a skipped value is predicted: exactly where theory says so, and otherwise as accurately as theory
says.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from math import factorial

import pytest

from cache_engine.predictors import Reuse, Taylor


def value(row: tuple[float, ...], steps: tuple[int, ...], function: Callable[[float], float]) -> float:
    return sum(weight * function(step) for weight, step in zip(row, steps))


def anchors(chance: random.Random, count: int) -> tuple[int, ...]:
    """Return unevenly spaced steps, newest first, all after every first difference."""
    return tuple(sorted(chance.sample(range(4, 60), count), reverse=True))


@pytest.mark.parametrize("predictor", [Reuse(), *map(Taylor, range(4))], ids=str)
def test_constants_are_exact(predictor: Reuse | Taylor) -> None:
    chance = random.Random(0)
    for count in range(1, predictor.keep + 1):
        for _ in range(50):
            steps = anchors(chance, count)
            row = predictor.row(steps, steps[0] + chance.randint(1, 12))
            assert len(row) == count
            assert sum(row) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("order", [1, 2, 3])
def test_lines_are_exact_from_order_1_on_over_any_spacing(order: int) -> None:
    chance = random.Random(order)
    for _ in range(100):
        steps = anchors(chance, chance.randint(2, order + 1))
        step = steps[0] + chance.randint(1, 12)
        line = lambda at: 3 - 0.5 * at
        assert value(Taylor(order).row(steps, step), steps, line) == pytest.approx(line(step), abs=1e-8)


def test_reuse_is_the_last_value_to_the_bit() -> None:
    assert Reuse().row((7,), 9) == (1.0,)
    assert Taylor(0).row((7,), 9) == (1.0,)
    assert Taylor(2).row((7,), 9) == (1.0,)


def test_a_parabola_is_under_extrapolated() -> None:
    """As in the paper's code, the term k**2 / 2 does not give the parabola through three values (that is
    Newton's k (k + N) / 2).
    """
    steps, step = (12, 7, 2), 16
    assert value(Taylor(2).row(steps, step), steps, lambda at: at**2) == pytest.approx(
        12**2 + 4 * 19 + 16 / 2 * 2
    )
    assert value(Taylor(2).row((12, 7, 2), 16), steps, lambda at: at**2) < 16**2


@pytest.mark.parametrize(("order", "power"), [(0, 1), (1, 2), (2, 2), (3, 2)])
def test_order_of_convergence_on_a_smooth_function(order: int, power: int) -> None:
    """Half the spacing divides the error by 2 ** power. Backward differences are derivatives only to first
    order, so no order of the series is better than 2.
    """

    def error(spacing: float) -> float:
        steps = tuple(range(20, 20 - 5 * (order + 1), -5))
        smooth = lambda step: math.sin(1 + spacing * (step - 20))
        return abs(value(Taylor(order).row(steps, 23), steps, smooth) - smooth(23))

    ratios = [error(spacing) / error(spacing / 2) for spacing in (1e-3, 5e-4)]
    assert ratios == pytest.approx([2**power] * 2, rel=0.02)


class Ladder:
    """Keeps the differences and updates them step by step, as cache-dit does: another way to the same
    numbers.
    """

    def __init__(self, order: int, first: int) -> None:
        self.order, self.first, self.step = order, first, 0
        self.rungs: list[float] = []

    def compute(self, step: int, component: float) -> None:
        rungs = [component]
        if self.rungs and step >= self.first:
            for before in self.rungs[: self.order]:
                rungs.append((rungs[-1] - before) / (step - self.step))
        self.rungs, self.step = rungs, step

    def forecast(self, step: int) -> float:
        return sum(
            rung * (step - self.step) ** power / factorial(power) for power, rung in enumerate(self.rungs)
        )


@pytest.mark.parametrize("first", [1, 2, 3])
@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_the_row_is_the_ladder_of_differences(order: int, first: int) -> None:
    chance = random.Random(10 * order + first)
    predictor = Taylor(order, first)
    for _ in range(40):
        ladder, remembered = Ladder(order, first), []
        for step in range(30):
            if step == 0 or chance.random() < 0.5:
                remembered = [(step, chance.uniform(-1, 1)), *remembered][: predictor.keep]
                ladder.compute(*remembered[0])
            else:
                steps, values = zip(*remembered)
                row = predictor.row(steps, step)
                prediction = sum(weight * component for weight, component in zip(row, values))
                assert prediction == pytest.approx(ladder.forecast(step), rel=1e-6, abs=1e-6)


def active_orders(modes: str, predictor: Taylor) -> list[int]:
    """Return the order that is used in each cached step: one less than the number of values with a weight."""
    remembered: tuple[int, ...] = ()
    collected = []
    for step, mode in enumerate(modes):
        if mode == "C":
            remembered = (step, *remembered)[: predictor.keep]
        else:
            collected.append(sum(weight != 0 for weight in predictor.row(remembered, step)) - 1)
    return collected


@pytest.mark.parametrize(
    ("modes", "order", "cache_dit", "paper"),
    [
        ("CCcc", 1, [0, 0], [0, 0]),
        ("CCCc", 1, [0], [1]),
        ("CCCCcc", 1, [1, 1], [1, 1]),
        ("CCCCc", 2, [1], [2]),
        ("CCCCCc", 2, [2], [2]),
        ("CCCCCc", 3, [2], [3]),
        ("CCCCCCc", 3, [3], [3]),
        ("CcCcCcCcc", 1, [0, 0, 1, 1, 1], [0, 1, 1, 1, 1]),
        ("CCcCc", 1, [0, 1], [0, 1]),
    ],
)
def test_when_a_difference_first_takes_part(
    modes: str, order: int, cache_dit: list[int], paper: list[int]
) -> None:
    """cache-dit forms no difference before step 3, the paper's code none before step 2."""
    assert active_orders(modes, Taylor(order, first_difference=3)) == cache_dit
    assert active_orders(modes, Taylor(order)) == paper


def test_before_the_first_difference_it_is_reuse_to_the_bit() -> None:
    assert Taylor(2, 3).row((2, 1, 0), 3) == (1.0, 0.0, 0.0)
    assert Taylor(1, 3).row((3, 2), 4) == (2.0, -1.0)
    assert Taylor(1, 3).row((9, 4), 12) == pytest.approx((1 + 3 / 5, -3 / 5))


def test_it_keeps_one_value_more_than_its_order() -> None:
    assert Reuse().keep == Taylor(0).keep == 1
    assert [Taylor(order).keep for order in (1, 2, 3)] == [2, 3, 4]
