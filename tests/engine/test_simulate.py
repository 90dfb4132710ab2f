"""The simulation: equal to a run wherever caching cannot move the path, sound at its borders, honest where
it cannot judge.
"""

from __future__ import annotations

import json
import random
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from cache_engine.__main__ import main
from cache_engine.comparison import run_comparison
from cache_engine.flops import costs
from cache_engine.method import METHODS, Method
from cache_engine.methods.dbcache import DBCache
from cache_engine.methods.fewer_steps import FewerSteps
from cache_engine.methods.teacache import TeaCache
from cache_engine.models.catalog import MODELS, resolve
from cache_engine.plans import ModelFacts, Signal
from cache_engine.quality import measure, pixels
from cache_engine.records import RunRequest
from cache_engine.report import comparison_json
from cache_engine.runner import run
from cache_engine.strict import EngineError
from cache_engine.whatif.psnr_calibration import psnr_calibration_of
from cache_engine.whatif.recording import tflops_of_blocks
from cache_engine.whatif.simulation import simulate
from cache_engine.whatif.survey import Survey
from tests.engine.surveys import BLOCKS, GUIDED, STEPS, drawn, followed, letters, surveyed
from tests.parity.loop import tiny_flux


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    return tiny_flux()


@pytest.fixture(scope="module")
def survey(model: torch.nn.Module) -> Survey:
    return surveyed(model)


@pytest.fixture(scope="module")
def drawn_survey(model: torch.nn.Module) -> Survey:
    """Of a whole loop, with what its later steps make of errors."""
    found = drawn(model, METHODS["baseline"](), survey=True)[1]
    assert found is not None
    return found


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
    """Modes and reasons, which end in the same words whatever the last digit of a change."""
    return [(mode, reason.split()[0]) for mode, reason in forecast] == [
        (mode, reason.split()[0]) for mode, reason in trace
    ]


@pytest.mark.parametrize("place", range(24))
def test_on_a_path_that_caching_cannot_move_it_is_the_run(
    model: torch.nn.Module, survey: Survey, place: int
) -> None:
    method = settings(24)[place]
    _, trace, _ = followed(model, method)
    found = simulate(survey, method)
    assert same([call[3:5] for call in found.trace], [call[3:5] for call in trace])
    assert [call.blocks_run for call in found.trace] == [call.blocks_run for call in trace]
    for mine, real in zip(found.trace, trace):
        assert (mine.change is None) == (real.change is None)
        assert mine.change is None or mine.change == pytest.approx(real.change, rel=3e-3)


def test_these_settings_tell_something_apart(survey: Survey) -> None:
    found = {simulate(survey, method).schedule for method in settings(24)}
    assert len(found) > 10


@pytest.mark.parametrize("name", METHODS)
def test_every_method_is_simulated_or_refused_as_a_run_would(
    model: torch.nn.Module, survey: Survey, name: str
) -> None:
    method = METHODS[name]()
    found = simulate(survey, method)
    if name == "fewer_steps":
        assert len(found.schedule) < STEPS
        assert "path" in found.note
        assert found.psnr_db is None
        return
    _, trace, _ = followed(model, method)
    assert found.schedules == {stream: letters(trace, stream) for stream in GUIDED}
    if METHODS[name].grain in ("module", "token", "column"):
        assert "only a run can tell" in found.note
        assert found.tflops is None


# ---- fewer steps than were recorded ----
def guide(found: Any) -> float:
    """The error by which settings are put in order; never a likeness."""
    assert found.psnr_db is None
    assert found.error is not None
    return found.error


def test_plain_fewer_steps_miss_what_a_held_residual_would(drawn_survey: Survey) -> None:
    """Half the steps hold each answer for two of the baseline's, as a mask with every other step computed
    does.
    """
    held = simulate(drawn_survey, METHODS["fixed_mask"](steps_computation_mask="10" * (STEPS // 2), order=0))
    assert guide(simulate(drawn_survey, FewerSteps(fraction=0.5))) == pytest.approx(guide(held))


def test_a_cache_within_fewer_steps_decides_on_the_changes_between_them(drawn_survey: Survey) -> None:
    changes = drawn_survey.changes(Signal("front_residual", "computed"), 1)
    assert changes is not None
    found = simulate(drawn_survey, FewerSteps(fraction=0.5, cache="F1B0_W1I1M0MC0_R0.9_T0O0"))
    first = [call for call in found.trace if call.stream == GUIDED[0]]
    assert len(first) == STEPS // 2
    assert first[1].change == changes[0][0][2]


def test_a_cache_adds_to_what_fewer_steps_miss(drawn_survey: Survey) -> None:
    plain = guide(simulate(drawn_survey, FewerSteps(fraction=0.5)))
    none = simulate(drawn_survey, FewerSteps(fraction=0.5, cache="F1B0_W2I1M0MC0_R0_T0O0"))
    much = simulate(drawn_survey, FewerSteps(fraction=0.5, cache="F1B0_W1I1M0MC0_R1_T0O0"))
    assert guide(none) == pytest.approx(plain)
    assert guide(much) > 1.5 * plain


@pytest.mark.parametrize("knobs", [{"residual_diff_threshold": 0}, {"max_warmup_steps": STEPS}])
def test_where_all_is_computed_it_is_the_baseline(survey: Survey, knobs: dict) -> None:
    found = simulate(survey, DBCache(**knobs))
    assert found.identical
    assert found.psnr_db is None
    assert found.schedule == "C" * STEPS
    assert found.seconds == pytest.approx(survey.loop_seconds)
    assert found.tflops == pytest.approx(found.baseline_tflops)


def test_a_static_mask_is_followed_to_the_letter(survey: Survey) -> None:
    mask = "110010001011"
    found = simulate(
        survey, DBCache(steps_computation_mask=mask, steps_computation_policy="static", max_warmup_steps=0)
    )
    assert found.schedule == mask.replace("1", "C").replace("0", "c")


def test_a_knob_that_does_not_fit_is_refused(survey: Survey) -> None:
    with pytest.raises(EngineError, match="Fn_compute_blocks"):
        simulate(survey, DBCache(Fn_compute_blocks=BLOCKS))


def test_a_signal_that_was_not_recorded_is_not_made_up(survey: Survey) -> None:
    without = Survey(**vars(survey) | {"modulated": np.zeros(0, np.float16), "memo": {}})
    with pytest.raises(EngineError, match="change"):
        simulate(without, TeaCache())


def test_other_weights_than_the_calibrated_get_no_estimate(survey: Survey) -> None:
    assert psnr_calibration_of(survey) is None  # its engine's revision is "none"
    found = simulate(survey, DBCache(residual_diff_threshold=1))
    assert found.psnr_db is None
    assert found.note


def test_a_stall_in_one_call_is_no_part_of_what_a_cache_saves(survey: Survey) -> None:
    """Even calls of 1 s with half of it in the blocks, one of them held up: half of what is skipped is saved
    all the same.
    """
    calls, blocks = np.ones((2, STEPS)), np.full((BLOCKS, 2, STEPS), 0.5 / BLOCKS)
    calls[0, 3] = 25.0
    timed = Survey(
        **vars(survey)
        | {"call_seconds": calls, "block_seconds": blocks, "loop_seconds": float(calls.sum()), "memo": {}}
    )
    found = simulate(timed, DBCache(residual_diff_threshold=1, max_warmup_steps=4))
    saved = 0.5 * (BLOCKS - 1) / BLOCKS * (STEPS - 4) / STEPS
    assert found.seconds == pytest.approx(timed.loop_seconds * (1 - saved), rel=0.03)


def test_tflops_are_those_that_a_run_counts() -> None:
    request = resolve(RunRequest(model="tiny", prompt="-"))
    full, blocks = tflops_of_blocks(partial(costs, request), MODELS["tiny"].facts(request))
    for front, back in ((1, 0), (3, 2), (5, 1)):
        plan = DBCache(Fn_compute_blocks=front, Bn_compute_blocks=back).plan(MODELS["tiny"].facts(request))
        cached = full - blocks[front : len(blocks) - back].sum()
        assert cached == pytest.approx(costs(request, plan)("c", 9), rel=2e-3)


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
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    found = simulate(survey, DBCache(residual_diff_threshold=0.2))
    assert said["schedules"] == found.schedules
    assert said["tflops"] == pytest.approx(found.tflops)
    assert main(["simulate", "--survey", str(tmp_path / "none.npz")]) == 2


def test_a_comparison_says_what_its_survey_expected() -> None:
    method = DBCache(max_warmup_steps=2, residual_diff_threshold=1, taylorseer_order=0)
    result = run_comparison(
        RunRequest(prompt="a small red apple on a blue background", seed=7, steps=4), method, survey=True
    )
    said = comparison_json(result)["survey"]
    assert said["sampling_error"] < 2e-3
    assert said["schedule"] == result.accelerated.schedule == "CCcc"
    assert said["tflops"] == pytest.approx(result.accelerated.tflops, rel=2e-3)
    recorded = run(result.baseline.request, METHODS["baseline"](), survey=True)
    assert recorded.survey is not None
    assert np.array_equal(pixels(recorded.image), pixels(result.baseline.image))  # which took none


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
        found = simulate(survey, method, psnr_calibration_of(survey))
        assert found.psnr_db == pytest.approx(
            measure(baseline.image, run(request, method).image).psnr_db, abs=2.5
        )


def test_facts_survive_the_file(survey: Survey) -> None:
    assert isinstance(survey.facts, ModelFacts)
