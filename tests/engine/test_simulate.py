"""The simulation: equal to a run wherever caching cannot move the path, sound at its borders, honest where it cannot judge."""

from __future__ import annotations

import json
import random
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from cache_engine.__main__ import main
from cache_engine.comparison import compared
from cache_engine.flops import costs
from cache_engine.likeness import Likeness, Run, calibrated, error_of, likeness_of, rounded
from cache_engine.method import METHODS, Method
from cache_engine.methods.dbcache import DBCache
from cache_engine.methods.teacache import TeaCache
from cache_engine.model import MODELS, resolve
from cache_engine.plans import ModelFacts
from cache_engine.quality import pixels
from cache_engine.recording import counted
from cache_engine.records import EngineError, RunRequest
from cache_engine.replay import replay
from cache_engine.report import described
from cache_engine.runner import run
from cache_engine.simulation import simulate
from cache_engine.survey import Survey
from tests.engine.surveys import BLOCKS, GUIDED, STEPS, followed, letters, surveyed
from tests.parity.loop import tiny_flux

KNOWN = Likeness("tiny", "none", (), (0.0, 0.5, 0.5, 1.0, 1.0, 1.0), 20.0, 3.0, 100, 5)


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    return tiny_flux()


@pytest.fixture(scope="module")
def survey(model: torch.nn.Module) -> Survey:
    return surveyed(model)


def settings(count: int) -> list[Method]:
    draw = random.Random(5)
    return [DBCache(
        Fn_compute_blocks=draw.randint(1, 3), Bn_compute_blocks=draw.randint(0, 2), max_warmup_steps=draw.randint(0, 5),
        warmup_interval=draw.randint(1, 3), max_cached_steps=draw.choice((-1, 5)), taylorseer_order=draw.randint(0, 2),
        max_continuous_cached_steps=draw.choice((-1, 1, 2, 3)), residual_diff_threshold=draw.uniform(0.12, 0.3),
        streak_rule=draw.choice(("1.5.3", "before"))) for _ in range(count)]


def same(forecast: list[tuple[str, str]], trace: list[tuple[str, str]]) -> bool:
    """Modes and reasons, which end in the same words whatever the last digit of a change."""
    return [(mode, reason.split()[0]) for mode, reason in forecast] == [(mode, reason.split()[0]) for mode, reason in trace]


@pytest.mark.parametrize("place", range(24))
def test_on_a_path_that_caching_cannot_move_it_is_the_run(model: torch.nn.Module, survey: Survey, place: int) -> None:
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
def test_every_method_is_simulated_or_refused_as_a_run_would(model: torch.nn.Module, survey: Survey, name: str) -> None:
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


@pytest.mark.parametrize("knobs", [{"residual_diff_threshold": 0}, {"max_warmup_steps": STEPS}])
def test_where_all_is_computed_it_is_the_baseline(survey: Survey, knobs: dict) -> None:
    found = simulate(survey, DBCache(**knobs), KNOWN)
    assert found.identical
    assert found.psnr_db is None
    assert found.schedule == "C" * STEPS
    assert found.seconds == pytest.approx(survey.loop_seconds)
    assert found.tflops == pytest.approx(found.baseline_tflops)


def test_a_static_mask_is_followed_to_the_letter(survey: Survey) -> None:
    mask = "110010001011"
    found = simulate(survey, DBCache(steps_computation_mask=mask, steps_computation_policy="static", max_warmup_steps=0))
    assert found.schedule == mask.replace("1", "C").replace("0", "c")


def test_a_knob_that_does_not_fit_is_refused(survey: Survey) -> None:
    with pytest.raises(EngineError, match="Fn_compute_blocks"):
        simulate(survey, DBCache(Fn_compute_blocks=BLOCKS))


def test_a_signal_that_was_not_recorded_is_not_made_up(survey: Survey) -> None:
    without = Survey(**vars(survey) | {"modulated": np.zeros(0, np.float16), "memo": {}})
    with pytest.raises(EngineError, match="change"):
        simulate(without, TeaCache())


def made_of(survey: Survey, values: np.ndarray) -> Survey:
    """The survey with the middle's read-out replaced: values (t,) times one direction."""
    shape = survey.readout.shape
    direction = np.random.default_rng(1).normal(size=shape[3:]).astype(np.float32)
    read = np.broadcast_to(values[None, None, :, None, None] * direction, shape) * np.arange(1, BLOCKS + 1)[:, None, None, None, None]
    return Survey(**vars(survey) | {"readout": read.astype(np.float16), "readout_scales": np.ones(BLOCKS, np.float32), "memo": {}})


@pytest.mark.parametrize(("values", "order", "right"), [
    (np.ones(STEPS), 0, True), (np.arange(STEPS), 0, False), (np.arange(STEPS), 1, True), (np.arange(STEPS) ** 2, 1, False)])
def test_the_error_is_nothing_where_the_predictor_is_right(survey: Survey, values: np.ndarray, order: int, right: bool) -> None:
    method = DBCache(residual_diff_threshold=1, max_warmup_steps=5, max_continuous_cached_steps=2, taylorseer_order=order)
    found = simulate(made_of(survey, values * 0.01), method, KNOWN)
    assert "c" in found.schedule
    assert found.error is not None
    assert (found.error < 2e-4) == right  # float16 rounds
    assert found.psnr_db is None or (found.psnr_db > 70) == right


def test_errors_of_one_step_grow_with_its_length(survey: Survey) -> None:
    """One cached step: the error is the step's length times what was missed, and the response weighs it."""
    def error(step: int, likeness: Likeness | None) -> float:
        mask = "".join("0" if place == step else "1" for place in range(STEPS))
        plan = DBCache(steps_computation_mask=mask, steps_computation_policy="static", taylorseer_order=0).plan(survey.facts)
        return error_of(changing, replay(changing, plan, survey.facts), likeness)

    changing = made_of(survey, np.arange(STEPS, dtype=np.float64))
    even = [error(step, None) * float(np.mean(survey.spread[:, step])) for step in range(1, STEPS)]
    flat = KNOWN._replace(response=(0.0,) * 6)
    assert max(even) < 3 * min(even)  # steps of one length; the spread differs a little between the streams
    assert error(3, flat) == pytest.approx(error(3, None))
    assert error(3, flat._replace(response=(np.log(2),) * 6)) == pytest.approx(2 * error(3, None))


def test_a_larger_error_is_less_alike() -> None:
    expected = [KNOWN.expected(error)[0] for error in np.logspace(-5, 0, 60).tolist()]
    assert expected == sorted(expected, reverse=True)
    psnr, (low, high) = KNOWN.expected(0.01)
    assert low < psnr < high
    assert high - low <= 6


def test_rounding_is_what_eight_bits_do() -> None:
    draw = np.random.default_rng(0)
    picture = draw.uniform(40, 200, 400_000)
    for level in (0.05, 0.3, 1.0, 5.0):
        moved = np.rint(picture + draw.normal(size=picture.size) * level) - np.rint(picture)
        measured = float(10 * np.log10(255**2 / np.mean(moved**2)))
        assert rounded(float(20 * np.log10(255 / level))) == pytest.approx(measured, abs=0.1)


def test_calibration_finds_the_response_that_made_the_runs() -> None:
    draw = np.random.default_rng(2)
    basis = np.stack([np.interp(np.linspace(1, 0, 20), (0, 0.1, 0.3, 0.6, 0.85, 1), one) for one in np.eye(6)], axis=1)
    true = np.exp(basis @ np.array([0.0, 0.3, 0.7, 1.2, 1.5, 1.6]))
    runs = []
    for number in range(60):
        vectors = draw.normal(size=(20, 40)) * (draw.random((20, 1)) < 0.4) * 10 ** draw.uniform(-4, -2)
        parts = vectors @ vectors.T
        psnr = rounded(float(-10 * np.log10(true @ parts @ true)) + 15)
        runs.append(Run(f"prompt {number % 4}", parts, basis, psnr + draw.normal() * 0.5))
    found = calibrated("tiny", "none", runs, ())
    assert found is not None
    assert found.band_db < 1.5
    for _ in range(40):
        vectors = draw.normal(size=(20, 40)) * (draw.random((20, 1)) < 0.4) * 1e-3
        parts, response = vectors @ vectors.T, np.exp(basis @ np.array(found.response))
        right = rounded(float(-10 * np.log10(true @ parts @ true)) + 15)
        assert found.expected(float(response @ parts @ response) ** 0.5)[0] == pytest.approx(right, abs=1)
    assert calibrated("tiny", "none", runs[:5], ()) is None


def test_other_weights_than_the_calibrated_get_no_estimate(survey: Survey) -> None:
    assert likeness_of(survey) is None  # its engine's revision is "none"
    found = simulate(survey, DBCache(residual_diff_threshold=1))
    assert found.psnr_db is None
    assert found.note


def test_a_stall_in_one_call_is_no_part_of_what_a_cache_saves(survey: Survey) -> None:
    """Even calls of 1 s with half of it in the blocks, one of them held up: half of what is skipped is saved all the same."""
    calls, blocks = np.ones((2, STEPS)), np.full((BLOCKS, 2, STEPS), 0.5 / BLOCKS)
    calls[0, 3] = 25.0
    timed = Survey(**vars(survey) | {"call_seconds": calls, "block_seconds": blocks, "loop_seconds": float(calls.sum()), "memo": {}})
    found = simulate(timed, DBCache(residual_diff_threshold=1, max_warmup_steps=4))
    saved = 0.5 * (BLOCKS - 1) / BLOCKS * (STEPS - 4) / STEPS
    assert found.seconds == pytest.approx(timed.loop_seconds * (1 - saved), rel=0.03)


def test_tflops_are_those_that_a_run_counts() -> None:
    request = resolve(RunRequest(model="tiny", prompt="-"))
    full, blocks = counted(partial(costs, request), MODELS["tiny"].facts(request))
    for front, back in ((1, 0), (3, 2), (5, 1)):
        plan = DBCache(Fn_compute_blocks=front, Bn_compute_blocks=back).plan(MODELS["tiny"].facts(request))
        cached = full - blocks[front:len(blocks) - back].sum()
        assert cached == pytest.approx(costs(request, plan)("c", 9), rel=2e-3)


def test_the_command_says_what_the_library_says(survey: Survey, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    survey.save(tmp_path / "survey.npz")
    assert main(["simulate", "--survey", str(tmp_path / "survey.npz"), "--set", "residual_diff_threshold=0.2", "--json"]) == 0
    said = json.loads(capsys.readouterr().out.splitlines()[-1])
    found = simulate(survey, DBCache(residual_diff_threshold=0.2))
    assert said["schedules"] == found.schedules
    assert said["tflops"] == pytest.approx(found.tflops)
    assert main(["simulate", "--survey", str(tmp_path / "none.npz")]) == 2


def test_a_comparison_says_what_its_survey_expected() -> None:
    method = DBCache(max_warmup_steps=2, residual_diff_threshold=1, taylorseer_order=0)
    result = compared(RunRequest(prompt="a small red apple on a blue background", seed=7, steps=4), method, survey=True)
    said = described(result)["survey"]
    assert said["sampling_error"] < 2e-3
    assert said["schedule"] == result.accelerated.schedule == "CCcc"
    assert said["tflops"] == pytest.approx(result.accelerated.tflops, rel=2e-3)
    recorded = run(result.baseline.request, METHODS["baseline"](), survey=True)
    assert recorded.survey is not None
    assert np.array_equal(pixels(recorded.image), pixels(result.baseline.image))  # which took none


def test_facts_survive_the_file(survey: Survey) -> None:
    assert isinstance(survey.facts, ModelFacts)
