"""Tests the simulation against runs: equal if caching cannot move the path, and close in PSNR on a trained
model.
"""

from __future__ import annotations

import random
from functools import partial
from typing import Any

import numpy as np
import pytest
import torch

from cache_engine.comparison import run_comparison
from cache_engine.flops import costs
from cache_engine.method import METHODS, Method
from cache_engine.methods.dbcache import DBCache
from cache_engine.methods.fewer_steps import FewerSteps
from cache_engine.models.catalog import MODELS, resolve
from cache_engine.plans import Signal
from cache_engine.quality import measure, pixels
from cache_engine.records import RunRequest
from cache_engine.report import comparison_json
from cache_engine.runner import run
from cache_engine.whatif.psnr_calibration import psnr_calibration_of
from cache_engine.whatif.recording import tflops_of_blocks
from cache_engine.whatif.simulation import simulate
from cache_engine.whatif.survey import Survey
from tests.engine.facts import GUIDED, STEPS
from tests.engine.surveys import drawn, followed, letters, surveyed
from tests.parity.loop import tiny_flux


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    return tiny_flux()


@pytest.fixture(scope="module")
def survey(model: torch.nn.Module) -> Survey:
    return surveyed(model)


@pytest.fixture(scope="module")
def drawn_survey(model: torch.nn.Module) -> Survey:
    """Return the survey of a whole loop, with the effect of its later steps on errors."""
    result = drawn(model, METHODS["baseline"](), survey=True)[1]
    assert result is not None
    return result


def settings(count: int) -> list[Method]:
    draw = random.Random(5)
    return [
        DBCache(
            Fn_compute_blocks=draw.randint(1, 3),
            Bn_compute_blocks=draw.randint(0, 2),
            max_warmup_steps=draw.randint(0, 5),
            warmup_interval=draw.randint(1, 3),
            max_cached_steps=draw.choice((-1, 5)),
            taylorseer_order=draw.randint(0, 2),
            max_continuous_cached_steps=draw.choice((-1, 1, 2, 3)),
            residual_diff_threshold=draw.uniform(0.12, 0.3),
            streak_rule=draw.choice(("1.5.3", "before")),
        )
        for _ in range(count)
    ]


def same(forecast: list[tuple[str, str]], trace: list[tuple[str, str]]) -> bool:
    """Compare modes and reasons, without the last digits of the changes."""
    return [(mode, reason.split()[0]) for mode, reason in forecast] == [
        (mode, reason.split()[0]) for mode, reason in trace
    ]


@pytest.mark.parametrize("place", range(24))
def test_on_a_path_that_caching_cannot_move_it_is_the_run(
    model: torch.nn.Module, survey: Survey, place: int
) -> None:
    method = settings(24)[place]
    _, trace, _ = followed(model, method)
    forecast = simulate(survey, method)
    assert same([call[3:5] for call in forecast.trace], [call[3:5] for call in trace])
    assert [call.blocks_run for call in forecast.trace] == [call.blocks_run for call in trace]
    for mine, real in zip(forecast.trace, trace):
        assert (mine.change is None) == (real.change is None)
        assert mine.change is None or mine.change == pytest.approx(real.change, rel=3e-3)


def test_these_settings_tell_something_apart(survey: Survey) -> None:
    forecast = {simulate(survey, method).schedule for method in settings(24)}
    assert len(forecast) > 10


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_simulated_or_refused_as_a_run_would(
    model: torch.nn.Module, survey: Survey, name: str
) -> None:
    method = METHODS[name]()
    forecast = simulate(survey, method)
    if name == "fewer_steps":
        assert len(forecast.schedule) < STEPS
        assert "path" in forecast.note
        assert forecast.psnr_db is None
        return
    _, trace, _ = followed(model, method)
    assert forecast.schedules == {stream: letters(trace, stream) for stream in GUIDED}
    if METHODS[name].grain in ("module", "token", "column"):
        assert "run this setting" in forecast.note
        assert forecast.tflops is None


def guide(forecast: Any) -> float:
    """Return the error that orders settings; it is never a likeness."""
    assert forecast.psnr_db is None
    assert forecast.error is not None
    return forecast.error


def test_plain_fewer_steps_miss_what_a_held_residual_would(drawn_survey: Survey) -> None:
    """With half the steps, each answer is used for two of the baseline's steps, as with a mask that computes
    every other step.
    """
    held = simulate(drawn_survey, METHODS["fixed_mask"](steps_computation_mask="10" * (STEPS // 2), order=0))
    assert guide(simulate(drawn_survey, FewerSteps(fraction=0.5))) == pytest.approx(guide(held))


def test_a_cache_within_fewer_steps_decides_on_the_changes_between_them(drawn_survey: Survey) -> None:
    changes = drawn_survey.changes(Signal("front_residual", "computed"), 1)
    assert changes is not None
    forecast = simulate(drawn_survey, FewerSteps(fraction=0.5, cache="F1B0_W1I1M0MC0_R0.9_T0O0"))
    first = [call for call in forecast.trace if call.stream == GUIDED[0]]
    assert len(first) == STEPS // 2
    assert first[1].change == changes[0][0][2]


def test_a_cache_adds_to_what_fewer_steps_miss(drawn_survey: Survey) -> None:
    plain = guide(simulate(drawn_survey, FewerSteps(fraction=0.5)))
    none = simulate(drawn_survey, FewerSteps(fraction=0.5, cache="F1B0_W2I1M0MC0_R0_T0O0"))
    much = simulate(drawn_survey, FewerSteps(fraction=0.5, cache="F1B0_W1I1M0MC0_R1_T0O0"))
    assert guide(none) == pytest.approx(plain)
    assert guide(much) > 1.5 * plain


def test_tflops_are_those_that_a_run_counts() -> None:
    request = resolve(RunRequest(model="tiny", prompt="-"))
    full, blocks = tflops_of_blocks(partial(costs, request), MODELS["tiny"].facts(request))
    for front, back in ((1, 0), (3, 2), (5, 1)):
        plan = DBCache(Fn_compute_blocks=front, Bn_compute_blocks=back).plan(MODELS["tiny"].facts(request))
        cached = full - blocks[front : len(blocks) - back].sum()
        assert cached == pytest.approx(costs(request, plan)("c", 9), rel=2e-3)


def test_a_comparison_says_what_its_survey_expected() -> None:
    method = DBCache(max_warmup_steps=2, residual_diff_threshold=1, taylorseer_order=0)
    result = run_comparison(
        RunRequest(prompt="a small red apple on a blue background", seed=7, steps=4), method, survey=True
    )
    data = comparison_json(result)["survey"]
    assert data["sampling_error"] < 2e-3
    assert data["schedule"] == result.accelerated.schedule == "CCcc"
    assert data["tflops"] == pytest.approx(result.accelerated.tflops, rel=2e-3)
    recorded = run(result.baseline.request, METHODS["baseline"](), survey=True)
    assert recorded.survey is not None
    # the baseline recorded no survey
    assert np.array_equal(pixels(recorded.image), pixels(result.baseline.image))


def test_the_likeness_is_that_of_real_runs() -> None:
    request = RunRequest(prompt="a big panda on a pink background", seed=3, steps=12)
    baseline = run(request, METHODS["baseline"](), survey=True)
    survey = baseline.survey
    assert survey is not None
    for front, back, order in ((1, 0, 0), (4, 3, 1)):
        method = DBCache(
            Fn_compute_blocks=front,
            Bn_compute_blocks=back,
            taylorseer_order=order,
            steps_computation_mask="111101101101",
            steps_computation_policy="static",
        )
        forecast = simulate(survey, method, psnr_calibration_of(survey))
        assert forecast.psnr_db == pytest.approx(
            measure(baseline.image, run(request, method).image).psnr_db, abs=2.5
        )
