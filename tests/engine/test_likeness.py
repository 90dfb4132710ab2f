"""From what predictions miss to dB: exact where the model says what an error does, fitted where only runs can tell."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cache_engine.likeness import KNOTS, Likeness, responses
from cache_engine.method import METHODS
from cache_engine.methods.dbcache import DBCache
from cache_engine.pixels import EACH, WHITE, _signs, psnr_of, seen
from cache_engine.replay import replay
from cache_engine.response import Run, calibrated
from cache_engine.simulation import simulate
from cache_engine.survey import Survey
from tests.engine.surveys import BLOCKS, STEPS, followed, surveyed
from tests.parity.loop import tiny_flux


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    return tiny_flux()


@pytest.fixture(scope="module")
def survey(model: torch.nn.Module) -> Survey:
    return surveyed(model)


def known(survey: Survey, pattern: float = 0.0, even: float = 0.0, channel: float = 0.1) -> Likeness:
    """A response that is the same at every noise level."""
    outputs = survey.last.shape[0]
    channels = (2 * channel, *(channel,) * (outputs - 1))
    return Likeness("tiny", "none", channels, (pattern,) * len(KNOTS), (even,) * len(KNOTS), (0.0,) * len(KNOTS), 3.0, 0.9, 100, 5)


@pytest.mark.parametrize(("front", "order"), [(1, 0), (3, 0), (3, 1), (5, 1), (5, 2)])
def test_the_last_layer_answers_as_the_model_does(model: torch.nn.Module, survey: Survey, front: int, order: int) -> None:
    """Along a path that does not depend on the answers, what a cached call answers less what the baseline does."""
    method = DBCache(Fn_compute_blocks=front, residual_diff_threshold=1, max_warmup_steps=5, max_continuous_cached_steps=2,
                     taylorseer_order=order)
    plain, _, _ = followed(model, METHODS["baseline"]())
    cached, trace, _ = followed(model, method)
    channels = known(survey).channels
    view = seen(survey, front, BLOCKS, channels)
    assert view is not None
    missed = replay(survey, method.plan(survey.facts), survey.facts).missed
    assert missed
    assert len(missed) == sum(call.mode == "c" for call in trace)
    for one in missed:
        off = (cached[one.step * 2 + one.stream][0] - plain[one.step * 2 + one.stream][0])[0].numpy() * np.array(channels) * WHITE
        real = np.einsum("kqo,ko->kq", _signs(*off.shape), off).ravel()
        found = sum(weight * view.pixels[one.stream, one.step, then] for then, weight in one.terms)
        assert np.linalg.norm(found - real) < 0.1 * np.linalg.norm(real)  # a small error is not an infinitely small one
        even = sum(weight * view.even[one.stream, one.step, then] for then, weight in one.terms)
        assert even == pytest.approx(off[:, 0].mean(), abs=0.02 * np.abs(off).max())


def test_a_survey_of_a_part_says_that_it_cannot_judge(model: torch.nn.Module, survey: Survey) -> None:
    part = surveyed(model, budget=30_000)
    assert not part.last.size
    found = simulate(part, DBCache(residual_diff_threshold=1), known(survey))
    assert found.psnr_db is None
    assert "last layer" in found.note


def made_of(survey: Survey, values: np.ndarray) -> Survey:
    """The survey with what the blocks add replaced: values (t,) times one direction, the same for every block."""
    direction = np.random.default_rng(1).normal(size=survey.entry.shape[-1]).astype(np.float32)
    ends = survey.residuals[-1:].astype(np.float32) * survey.scales[-1]
    made = values[None, None, :, None] * direction * np.arange(1, BLOCKS)[:, None, None, None] / BLOCKS
    residuals = np.concatenate([np.broadcast_to(made, (BLOCKS - 1, *ends.shape[1:])), ends])
    return Survey(**vars(survey) | {"residuals": residuals.astype(np.float16), "scales": np.ones(BLOCKS, np.float32), "memo": {}})


@pytest.mark.parametrize(("values", "order", "right"), [
    (np.ones(STEPS), 0, True), (np.arange(STEPS), 0, False), (np.arange(STEPS), 1, True), (np.arange(STEPS) ** 2, 1, False)])
def test_nothing_is_expected_to_change_where_the_predictor_is_right(survey: Survey, values: np.ndarray, order: int, right: bool) -> None:
    method = DBCache(residual_diff_threshold=1, max_warmup_steps=5, max_continuous_cached_steps=2, taylorseer_order=order,
                     Bn_compute_blocks=1)
    found = simulate(made_of(survey, values * 0.1), method, known(survey))
    assert "c" in found.schedule
    assert found.psnr_db is not None
    assert (found.psnr_db > 60) == right


def amplitude(survey: Survey, step: int, likeness: Likeness) -> float:
    """Of the picture's expected difference, for one cached step; large enough for eight bits."""
    mask = "".join("0" if place == step else "1" for place in range(STEPS))
    found = simulate(survey, DBCache(steps_computation_mask=mask, steps_computation_policy="static", taylorseer_order=0,
                                     Bn_compute_blocks=1), likeness)
    assert found.psnr_db is not None
    return 10 ** (-found.psnr_db / 20)


def test_errors_of_one_step_are_weighed_by_its_length_and_the_response(survey: Survey) -> None:
    changing = made_of(survey, np.arange(STEPS, dtype=np.float64))
    plain = amplitude(changing, 3, known(survey, channel=9.0))
    assert amplitude(changing, 3, known(survey, np.log(2), np.log(2), 9.0)) == pytest.approx(2 * plain, rel=1e-2)
    longer = (*changing.sigmas[:4], *(2 * one - changing.sigmas[3] for one in changing.sigmas[4:]))
    long = Survey(**vars(changing) | {"sigmas": longer, "memo": {}})
    assert amplitude(long, 3, known(survey, channel=9.0)) == pytest.approx(2 * plain, rel=1e-2)


def test_brightness_has_a_response_of_its_own(survey: Survey) -> None:
    changing = made_of(survey, np.arange(STEPS, dtype=np.float64))
    both, pattern = (amplitude(changing, 4, known(survey, 0.0, even, 9.0)) for even in (0.0, -9.0))
    none, even = (amplitude(changing, 4, known(survey, -9.0, even, 9.0)) for even in (-9.0, 0.0))
    assert none < 0.01 * both
    assert even > 0.01 * both
    assert pattern**2 + even**2 == pytest.approx(both**2, rel=0.1)


def test_opposite_errors_cancel_and_equal_ones_add_up(survey: Survey) -> None:
    """Reuse on a value that goes up and comes back: what is missed has both signs."""
    def of(values: list[float]) -> float:
        changing = made_of(survey, np.array(values))
        mask = "11111100" + "1" * (STEPS - 8)
        found = simulate(changing, DBCache(steps_computation_mask=mask, steps_computation_policy="static", taylorseer_order=0,
                                           Bn_compute_blocks=1), known(survey, channel=9.0))
        assert found.psnr_db is not None
        return found.psnr_db

    flat = [1.0] * STEPS
    up = [*flat[:6], 2.0, 2.0, *flat[8:]]
    back = [*flat[:6], 2.0, 0.0, *flat[8:]]
    assert of(back) > of(up) + 6


def test_rounding_is_what_eight_bits_do() -> None:
    draw = np.random.default_rng(0)
    picture = draw.uniform(40, 200, 400_000)
    for level in (0.05, 0.3, 1.0, 5.0):
        difference = draw.normal(size=picture.size) * level
        moved = np.rint(picture + difference) - np.rint(picture)
        assert psnr_of(difference) == pytest.approx(float(10 * np.log10(255**2 / np.mean(moved**2))), abs=0.1)
    expected = [psnr_of(difference * factor) for factor in np.logspace(-4, 1, 40)]
    assert expected == sorted(expected, reverse=True)


def drawn(draw: np.random.Generator, size: float, true: np.ndarray, prompt: int, noise: float) -> Run:
    """A run whose picture the responses ``true`` (3, knots) made."""
    basis = np.stack([np.interp(np.linspace(1, 0, 20), KNOTS, one) for one in np.eye(len(KNOTS))], axis=1)
    cached = draw.random(20) < 0.4
    patterns, evens = draw.normal(size=(20, 90)) * cached[:, None] * size, draw.normal(size=20) * cached * size
    spread = np.ones(90)
    brightness = float(draw.uniform(0.1, 0.9))
    pattern, even = responses(basis, brightness, true)
    psnr = psnr_of(pattern @ patterns + (even @ evens) * spread)
    return Run(f"prompt {prompt}", patterns, evens, spread, basis, brightness, psnr + draw.normal() * noise)


def test_calibration_finds_the_responses_that_made_the_runs() -> None:
    draw = np.random.default_rng(2)
    true = np.array([[0.0, 0.2, 0.4, 0.6, 0.8, 1.0], [0.0, 0.4, 0.8, 1.2, 1.5, 1.6], [0.0, 0.1, 0.3, 0.5, 0.6, 0.7]])
    runs = [drawn(draw, 10 ** draw.uniform(-1, 0.5), true, number % 4, 0.5) for number in range(60)]
    found = calibrated("tiny", "none", runs, (1.0,))
    assert found is not None
    assert found.band_db < 1.5
    fitted = np.array([found.pattern, found.even, found.light])
    for size in np.logspace(-1, 0.5, 20):
        fresh = drawn(draw, float(size), true, 0, 0.0)
        pattern, even = responses(fresh.basis, fresh.brightness, fitted)
        assert psnr_of(pattern @ fresh.patterns + (even @ fresh.evens) * fresh.spread) == pytest.approx(fresh.psnr_db, abs=1)
    assert calibrated("tiny", "none", runs[:5], (1.0,)) is None


def test_mixtures_are_as_large_as_what_they_stand_for() -> None:
    """Signs at random: a token's mixtures have the mean square of its outputs' sum of squares."""
    values = np.random.default_rng(3).normal(size=(64, 96)) * np.linspace(3, 0.1, 96)
    mixed = np.einsum("kqo,ko->kq", _signs(64, 96), values)
    assert mixed.shape == (64, EACH)
    assert np.mean(mixed**2) == pytest.approx(np.mean((values**2).sum(axis=1)), rel=0.15)
