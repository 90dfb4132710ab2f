"""Tests the dial's settings: no setting of the grid is both faster and closer than one of them."""

from __future__ import annotations

import pytest

from cache_engine.whatif.expected_frontier import frontier, settings
from cache_engine.whatif.psnr_calibration import PsnrCalibration
from cache_engine.whatif.simulation import simulate
from cache_engine.whatif.survey import Survey
from tests.engine.random_survey import random_survey

KNOWN = PsnrCalibration("tiny", "none", (30.0,), (3.0,), (3.0,), 0.9, 100, 5)


@pytest.fixture(scope="module")
def survey() -> Survey:
    return random_survey()


def test_nothing_of_the_grid_beats_it(survey: Survey) -> None:
    forecasts = frontier(survey)
    assert len(forecasts) > 5
    errors, speeds = (
        [forecast.error or 0.0 for forecast in forecasts],
        [forecast.speedup for forecast in forecasts],
    )
    assert speeds == sorted(speeds)
    assert errors == sorted(errors)
    assert len(set(errors)) == len(errors)
    for method in settings(survey):
        expected = simulate(survey, method)
        assert not any(
            expected.speedup > speed and (expected.error or 0.0) < error
            for speed, error in zip(speeds, errors)
        )


def test_it_begins_with_the_baselines_own_picture_and_is_made_once(survey: Survey) -> None:
    forecasts = frontier(survey, KNOWN)
    assert forecasts[0].identical
    assert forecasts[-1].psnr_db is not None
    assert frontier(survey, KNOWN) is forecasts
    assert frontier(survey) is not forecasts


def test_thresholds_are_places_of_the_slider_within_the_changes(survey: Survey) -> None:
    limits = {method.to_dict()["residual_diff_threshold"] for method in settings(survey)} - {0.0}
    assert len(limits) > 3
    assert all(abs(limit * 100 - round(limit * 100)) < 1e-9 and 0 < limit < 1 for limit in limits)
