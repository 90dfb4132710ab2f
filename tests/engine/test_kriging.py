"""Tests the calibrated forecast: it has the smallest error on its calibration data, and corrects the errors
of earlier forecasts.
"""

from __future__ import annotations

import numpy as np
import pytest

from cache_engine.calibration import calibrate
from cache_engine.methods.kriging import Kriging as Method
from cache_engine.models.catalog import MODELS
from cache_engine.plans import ModelFacts
from cache_engine.predictors.kriging import Kriging
from cache_engine.records import RunRequest
from cache_engine.schedules import Interval, Mask
from cache_engine.strict import EngineError
from tests.parity.loop import denoise, tiny_flux

TIMES = 20
Runs = np.ndarray  # shape (times, values)


def runs(shapes: int, seed: int = 0) -> Runs:
    """Return values that move along random sums of this many smooth functions of time."""
    chance, at = np.random.default_rng(seed), np.linspace(0, 1, TIMES)
    curves = np.stack(
        [np.exp(-at), np.sin(3 * at), at**2, np.cos(5 * at), np.sin(9 * at), at**5][:shapes], axis=1
    )
    return curves @ chance.normal(size=(shapes, 400))


def kriging(values: Runs, settle: float = 0.0) -> Kriging:
    return Kriging(tuple(map(tuple, (values @ values.T / values.shape[1]).tolist())), settle)


def test_three_values_foretell_whatever_moves_in_three_ways() -> None:
    steps, unseen = (11, 7, 2), runs(3, seed=1)
    row = kriging(runs(3)).row(steps, 16, TIMES)
    missed = np.array(row) @ unseen[list(steps)] - unseen[16]
    assert np.linalg.norm(missed) < 1e-3 * np.linalg.norm(unseen[16])


def test_no_other_weights_miss_less_on_the_calibration() -> None:
    steps, values, chance = (11, 7, 2), runs(6), np.random.default_rng(2)
    row = np.array(kriging(values).row(steps, 14, TIMES))

    def missed(weights: np.ndarray) -> float:
        return float(np.mean((weights @ values[list(steps)] - values[14]) ** 2))

    assert all(missed(row) < missed(row + chance.normal(scale=0.05, size=3)) for _ in range(50))
    assert missed(row) < 0.5 * missed(np.array([1.0, 0.0, 0.0]))


def test_older_values_than_three_have_no_weight_without_settling() -> None:
    assert kriging(runs(6)).row((11, 7, 2, 1, 0), 14, TIMES)[3:] == (0, 0)


def test_between_the_measured_times_the_line_is_straight() -> None:
    """With twice as many steps, a step between two measured times takes their mean."""
    values = runs(6)
    fine = np.zeros((2 * TIMES, 400))
    fine[::2], fine[1:-1:2] = values, (values[:-1] + values[1:]) / 2
    fine[-1] = 1.5 * values[-1] - 0.5 * values[-2]
    for step in (25, 26, 39):
        result = kriging(values).row((23, 14, 5), step, 2 * TIMES)
        assert result == pytest.approx(kriging(fine).row((23, 14, 5), step, 2 * TIMES), rel=1e-6)


def test_settling_brings_the_sum_to_what_is_known_now() -> None:
    """With full settling, the values used since step 7 and in the first step after 11 add up to the forecasts
    from step 11.
    """
    values = runs(6, seed=3)
    plain, settling = kriging(values), kriging(values, settle=1.0)

    def forecast(predictor: Kriging, steps: tuple[int, ...], step: int) -> np.ndarray:
        return np.array(predictor.row(steps, step, TIMES)) @ values[list(steps)]

    handed = sum(forecast(plain, (7, 4, 1), step) for step in (8, 9, 10)) + forecast(
        settling, (11, 7, 4, 1), 12
    )
    known_now = sum(forecast(plain, (11, 7, 4, 1), step) for step in (8, 9, 10, 12))
    assert handed == pytest.approx(known_now, abs=1e-9)
    # the correction is made once
    assert settling.row((11, 7, 4, 1), 13, TIMES) == plain.row((11, 7, 4, 1), 13, TIMES)
    assert settling.row((2, 1, 0), 3, TIMES) == plain.row((2, 1, 0), 3, TIMES)  # no step was skipped
    half = np.array(kriging(values, settle=0.5).row((11, 7, 4, 1), 12, TIMES))
    both = np.array([forecaster.row((11, 7, 4, 1), 12, TIMES) for forecaster in (plain, settling)])
    assert half == pytest.approx(both.mean(axis=0))


def test_a_gap_behind_neighbours_is_settled_too() -> None:
    values = runs(6, seed=3)
    plain, settling = kriging(values), kriging(values, settle=1.0)
    assert settling.row((12, 11, 7, 4, 1), 13, TIMES) != plain.row((12, 11, 7, 4, 1), 13, TIMES)


def test_a_calibration_measures_it() -> None:
    """The calibration is symmetric with mean 1, and its values for neighbouring steps agree with MagCache's
    ratio of sizes.
    """
    model = tiny_flux()
    calibration = calibrate(model, [lambda: denoise(model, 9)], steps=9)
    alike, ratios = np.array(calibration.alike), np.array(calibration.ratios)
    assert alike.shape == (9, 9)
    assert alike == pytest.approx(alike.T)
    assert np.diag(alike).mean() == pytest.approx(1, abs=1e-5)
    assert np.linalg.eigvalsh(alike).min() > -1e-5
    assert np.sqrt(alike.diagonal()[1:] / alike.diagonal()[:-1]) == pytest.approx(ratios[1:], rel=0.02)


def test_it_runs_on_the_embedded_model_and_refuses_where_nothing_was_measured() -> None:
    row = MODELS["tiny"]
    facts = row.facts(row.resolve(RunRequest(model="tiny", prompt="-", steps=12)))
    assert isinstance(Method(interval=4).plan(facts).schedule, Interval)
    assert Method(steps_computation_mask="100010001000").plan(facts).schedule == Mask("100010001000")
    with pytest.raises(EngineError, match="starts with 0"):
        Method(steps_computation_mask="010010001000").plan(facts)
    with pytest.raises(EngineError, match="has no calibration of how alike its steps are"):
        Method().plan(ModelFacts(12, 12))
