"""Tests each forecast against theory: where it is exact, how fast its error falls, and the equations of its
paper.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from cache_engine.plans import Predictor
from cache_engine.predictors import DMD, Chebyshev, FoCa, Hermite, Newton, Reuse, Taylor, predictor_named
from cache_engine.predictors.dmd import modes

UNEVEN = (17, 13, 12, 8, 3)  # computed steps, the newest first
Curve = Callable[[float], float]


def predicted(
    predictor: Predictor,
    curve: Curve,
    steps: tuple[int, ...],
    step: int,
    *,
    scale: float = 1.0,
    last_prediction: int | None = None,
) -> float:
    """Return the forecast of curve(scale * step) from the curve's values at ``steps``."""
    newest = steps[: predictor.keep]
    row = predictor.row(newest, step, 50, last_prediction, lambda: ())
    remembered = [*newest, *([] if last_prediction is None else [last_prediction])]
    assert len(row) <= len(remembered)
    return sum(weight * curve(scale * at) for weight, at in zip(row, remembered))


@pytest.mark.parametrize(
    "predictor", [Reuse(), Taylor(0), Taylor(1), Taylor(3), Newton(2), FoCa(), Hermite(1), DMD()]
)
def test_constants_are_predicted_exactly(predictor: Predictor) -> None:
    assert predicted(predictor, lambda _: 3.7, UNEVEN, 21) == pytest.approx(3.7)


@pytest.mark.parametrize("predictor", [Taylor(1), Newton(1), FoCa(), Hermite(1, sigma=math.sqrt(0.5)), DMD()])
def test_lines_are_predicted_exactly(predictor: Predictor) -> None:
    last_prediction = 16 if predictor.uses_last_prediction else None
    assert predicted(
        predictor, lambda at: 2 * at - 5, UNEVEN, 23, last_prediction=last_prediction
    ) == pytest.approx(41)


@pytest.mark.parametrize("degree", range(5))
def test_newton_is_exact_on_polynomials_of_its_order(degree: int) -> None:
    def curve(at: float) -> float:
        return sum((-1) ** power * (power + 1) * at**power for power in range(degree + 1))

    assert predicted(Newton(degree), curve, UNEVEN, 20) == pytest.approx(curve(20), rel=1e-9)
    if degree:
        assert predicted(Newton(degree - 1), curve, UNEVEN, 20) != pytest.approx(curve(20), rel=1e-3)


def test_taylor_and_newton_are_one_below_order_two() -> None:
    for order in (0, 1):
        steps = UNEVEN[: order + 1]
        assert Taylor(order).row(steps, 21) == pytest.approx(Newton(order).row(steps, 21))


@pytest.mark.parametrize(
    ("predictor", "order"),
    [
        (Reuse(), 1),
        (Taylor(1), 2),
        (Newton(1), 2),
        (Newton(2), 3),
        (Newton(3), 4),
        (FoCa(), 2),
        (Taylor(2), 2),  # its second difference is scaled as if all gaps were infinitely small
        (Hermite(1), 1),  # half of the slope
    ],
)
def test_the_error_falls_with_the_step_as_the_order_says(predictor: Predictor, order: int) -> None:
    """Half the distance between steps divides the error by 2 ** order."""
    last_prediction = 16 if predictor.uses_last_prediction else None

    def error(scale: float) -> float:
        result = predicted(
            predictor,
            lambda at: math.exp(at - 17 * scale),
            UNEVEN,
            20,
            scale=scale,
            last_prediction=last_prediction,
        )
        return abs(result - math.exp(3 * scale))

    coarse, fine = error(2e-3), error(1e-3)
    assert math.log2(coarse / fine) == pytest.approx(order, abs=0.05)


def test_taylor_is_the_recursion_of_its_paper() -> None:
    """Computed steps are 0, 1, 2, 6, 10. D0 = F, and D(i+1) = (D(i) - D(i) of the step before) / gap, from
    step 2 on.
    """
    values = {step: math.sin(step / 3) for step in (0, 1, 2, 6, 10)}
    ladder: list[float] = []
    previous = None
    for step, value in values.items():
        now = [value]
        if previous is not None and step >= 2:
            now += [(now[-1] - earlier) / (step - previous) for earlier in ladder[:1]]
            now += [(now[1] - earlier) / (step - previous) for earlier in ladder[1:2]]
        ladder, previous = now, step
    for step in (11, 12, 13):
        literal = sum(
            rung * (step - 10) ** power / math.factorial(power) for power, rung in enumerate(ladder)
        )
        row = Taylor(2).row((10, 6, 2), step)
        ours = sum(weight * values[at] for weight, at in zip(row, (10, 6, 2), strict=True))
        assert len(ladder) == 3
        assert ours == pytest.approx(literal, rel=1e-12)


def test_taylor_forms_no_difference_before_its_first_step() -> None:
    assert Taylor(2).row((1, 0), 2) == (1, 0)
    assert Taylor(2, first_difference=3).row((2, 1, 0), 3) == (1, 0, 0)
    assert Taylor(1).row((2, 1), 3) == (2, -1)


def test_foca_is_the_literal_recursion_of_its_equations() -> None:
    """Eq. 6 to 8 on a random history: three computed steps with predictions in between, values in use
    throughout.
    """
    rng = np.random.default_rng(0)
    used: dict[int, float] = {0: rng.normal(), 1: rng.normal(), 2: rng.normal()}
    computed = [2, 1]
    for newest in (7, 12, 13):  # the last of these follows a computed step directly
        for step in range(computed[0] + 1, newest):
            used[step] = literal_foca(used, computed, step)
        for step in range(computed[0] + 1, newest):
            before = computed[0] - 1 if computed[0] - 1 not in computed else None
            row = FoCa().row((computed[0], computed[1]), step, 50, before)
            remembered = [*computed, *([] if before is None else [before])]
            assert sum(w * used[at] for w, at in zip(row, remembered, strict=True)) == pytest.approx(
                used[step], abs=1e-12
            )
        used[newest] = rng.normal()
        computed = [newest, computed[0]]


def literal_foca(used: dict[int, float], computed: list[int], step: int) -> float:
    """Compute equations 6 to 8 with unit steps: 6 is the slope by BDF2, 7 its prediction, 8 the mean of the
    computed steps' slope and the predicted slope.
    """
    newest, older = computed
    now, before = used[step - 1], used[step - 2]
    predicted_value = 4 / 3 * now - 1 / 3 * before + 2 / 3 * (now - before)
    slope = (3 * predicted_value - 4 * now + before) / 2
    return now + 0.5 * ((used[newest] - used[older]) / (newest - older) + slope)


@pytest.mark.parametrize("power", range(5))
def test_hermite_uses_the_physicists_polynomials(power: int) -> None:
    hermite = (
        lambda x: 1,
        lambda x: 2 * x,
        lambda x: 4 * x**2 - 2,
        lambda x: 8 * x**3 - 12 * x,
        lambda x: 16 * x**4 - 48 * x**2 + 12,
    )[power]
    assert Hermite(power, sigma=0.5)._term(power, 3) == pytest.approx(0.5**power * hermite(1.5))


def test_hermite_looks_ahead_and_halves_the_slope() -> None:
    assert Hermite(1, sigma=0.5).row((10, 6), 12) == pytest.approx((1 + 2 / 4 / 2, -2 / 4 / 2))


def test_chebyshev_is_the_ridge_fit() -> None:
    steps, step, total = (26, 20, 15, 11, 8, 6, 4, 3, 2, 1, 0), 30, 50

    def basis(at: int) -> np.ndarray:
        return np.polynomial.chebyshev.chebvander(np.array([2 * at / total - 1]), 4)[0]

    design = np.array([basis(at) for at in steps])
    fit = basis(step) @ np.linalg.solve(design.T @ design + 0.1 * np.eye(5), design.T)
    line = np.zeros(len(steps))
    line[:2] = 1 + 4 / 6, -4 / 6
    assert Chebyshev().row(steps, step, total) == pytest.approx(0.5 * fit + 0.5 * line)


def test_chebyshev_without_ridge_is_exact_on_its_degree() -> None:
    curve = [0.3, -1, 2, 0.5, -0.7]
    steps = (20, 15, 11, 8, 6, 4, 2, 0)
    row = Chebyshev(ridge=1e-12, blend=1).row(steps, 24, 50)
    assert sum(w * np.polyval(curve, at / 50) for w, at in zip(row, steps, strict=True)) == pytest.approx(
        np.polyval(curve, 24 / 50), rel=1e-6
    )


def grams(values: np.ndarray) -> list[tuple[float, ...]]:
    return [tuple(row) for row in values @ values.T]


@pytest.mark.parametrize("ahead", [0.25, 1, 1.75])
def test_dmd_is_exact_on_turning_and_decaying_modes(ahead: float) -> None:
    """The values contain two real modes and one complex pair, in five evenly spaced vectors of 40 numbers:
    everything that a linear map can do.
    """
    rng = np.random.default_rng(3)
    shapes = rng.normal(size=(4, 40))

    def state(at: float) -> np.ndarray:
        turn = 0.9**at * np.exp(0.5j * at)
        return 0.8**at * shapes[0] + 1.02**at * shapes[1] + (turn * (shapes[2] + 1j * shapes[3])).real

    newest_first = np.array([state(at) for at in (5, 4, 3, 2, 1, 0)])
    result = np.array(modes(grams(newest_first), ahead)) @ newest_first
    assert result == pytest.approx(state(5 + ahead), abs=1e-6)


def test_dmd_falls_back_where_it_cannot_fit() -> None:
    uneven = (20, 16, 12, 3, 2, 1)
    assert DMD().row(uneven, 22) == (*Taylor(1, first_difference=3).row((20, 16), 22), 0, 0, 0, 0)
    assert modes(grams(np.zeros((4, 3))), 1.0) == (1, 0, 0, 0)


def test_dmd_looks_at_the_evenly_spaced_end_of_its_history() -> None:
    rng = np.random.default_rng(1)
    values = rng.normal(size=(6, 30))
    row = DMD().row((20, 16, 12, 8, 3, 2), 22, 50, None, lambda: tuple(grams(values)))
    assert row == (*modes([line[:4] for line in grams(values)[:4]], 0.5), 0, 0)
    assert row[3:] == (0, 0, 0)


def test_an_order_of_zero_is_reuse_whatever_the_name() -> None:
    for name in ("taylor", "newton", "foca", "hermite", "chebyshev", "dmd"):
        assert predictor_named(name, 0) == Reuse()
        assert predictor_named(name, 1) != Reuse()
