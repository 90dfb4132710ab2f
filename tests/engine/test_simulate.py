"""Tests the simulation on a survey: correct in limiting cases, and without an estimate where the survey does
not allow one.

test_simulated_runs.py compares it with real runs.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from cache_engine.__main__ import main
from cache_engine.methods.dbcache import DBCache
from cache_engine.methods.teacache import TeaCache
from cache_engine.plans import ModelFacts
from cache_engine.strict import EngineError
from cache_engine.whatif.psnr_calibration import psnr_calibration_of
from cache_engine.whatif.simulation import simulate
from cache_engine.whatif.survey import Survey
from tests.engine.facts import BLOCKS, STEPS
from tests.engine.random_survey import random_survey


@pytest.fixture(scope="module")
def survey() -> Survey:
    return random_survey()


@pytest.mark.parametrize("knobs", [{"residual_diff_threshold": 0}, {"max_warmup_steps": STEPS}])
def test_where_all_is_computed_it_is_the_baseline(survey: Survey, knobs: dict) -> None:
    forecast = simulate(survey, DBCache(**knobs))
    assert forecast.identical
    assert forecast.psnr_db is None
    assert forecast.schedule == "C" * STEPS
    assert forecast.seconds == pytest.approx(survey.loop_seconds)
    assert forecast.tflops == pytest.approx(forecast.baseline_tflops)


def test_a_static_mask_is_followed_to_the_letter(survey: Survey) -> None:
    mask = "110010001011"
    forecast = simulate(
        survey, DBCache(steps_computation_mask=mask, steps_computation_policy="static", max_warmup_steps=0)
    )
    assert forecast.schedule == mask.replace("1", "C").replace("0", "c")


def test_a_knob_that_does_not_fit_is_refused(survey: Survey) -> None:
    with pytest.raises(EngineError, match="Fn_compute_blocks"):
        simulate(survey, DBCache(Fn_compute_blocks=BLOCKS))


def test_a_signal_that_was_not_recorded_is_not_made_up(survey: Survey) -> None:
    without = Survey(**vars(survey) | {"modulated": np.zeros(0, np.float16), "memo": {}})
    with pytest.raises(EngineError, match="change"):
        simulate(without, TeaCache())


def test_other_weights_than_the_calibrated_get_no_estimate(survey: Survey) -> None:
    assert psnr_calibration_of(survey) is None  # the survey's engine has the revision "none"
    forecast = simulate(survey, DBCache(residual_diff_threshold=1))
    assert forecast.psnr_db is None
    assert forecast.note


def test_a_stall_in_one_call_is_no_part_of_what_a_cache_saves(survey: Survey) -> None:
    """All calls take 1 s, half of it in the blocks, but one call is delayed: still half of the skipped time
    is saved.
    """
    calls, blocks = np.ones((2, STEPS)), np.full((BLOCKS, 2, STEPS), 0.5 / BLOCKS)
    calls[0, 3] = 25.0
    timed = Survey(
        **vars(survey)
        | {"call_seconds": calls, "block_seconds": blocks, "loop_seconds": float(calls.sum()), "memo": {}}
    )
    forecast = simulate(timed, DBCache(residual_diff_threshold=1, max_warmup_steps=4))
    saved = 0.5 * (BLOCKS - 1) / BLOCKS * (STEPS - 4) / STEPS
    assert forecast.seconds == pytest.approx(timed.loop_seconds * (1 - saved), rel=0.03)


def test_the_command_says_what_the_library_says(
    survey: Survey, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    survey.save(tmp_path / "survey.npz")
    assert (
        main(
            [
                "simulate",
                "--survey",
                str(tmp_path / "survey.npz"),
                "--set",
                "residual_diff_threshold=0.2",
                "--json",
            ]
        )
        == 0
    )
    data = json.loads(capsys.readouterr().out.splitlines()[-1])
    forecast = simulate(survey, DBCache(residual_diff_threshold=0.2))
    assert data["schedules"] == forecast.schedules
    assert data["tflops"] == pytest.approx(forecast.tflops)
    assert main(["simulate", "--survey", str(tmp_path / "none.npz")]) == 2


def test_facts_survive_the_file(survey: Survey) -> None:
    assert isinstance(survey.facts, ModelFacts)
