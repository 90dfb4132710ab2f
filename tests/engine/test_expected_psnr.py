"""Tests how prediction errors become dB: the effect of errors is the model's own answer, and the forecasts'
accuracy comes from real runs.
"""

from __future__ import annotations

import random
import threading
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from cache_engine.method import METHODS
from cache_engine.methods.dbcache import DBCache
from cache_engine.strict import Cancelled
from cache_engine.whatif.expected_psnr import ended, mixed, psnr_expected, psnr_of, surviving_share
from cache_engine.whatif.psnr_calibration import CheckedForecast, PsnrCalibration, calibrate_forecasts
from cache_engine.whatif.replay import replay
from cache_engine.whatif.simulation import simulate
from cache_engine.whatif.survey import Survey
from tests.engine.facts import BLOCKS, STEPS
from tests.engine.surveys import drawn, followed, surveyed
from tests.parity.loop import tiny_flux

KNOWN = PsnrCalibration("tiny", "none", (20.0, 30.0), (4.0, 2.0), (5.0, 2.5), 0.9, 100, 5)
TRIES = 12
WHITE = 127.5  # levels of one unit of the latents, if the latents serve as the picture


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    return tiny_flux()


@pytest.fixture(scope="module")
def survey(model: torch.nn.Module) -> Survey:
    return surveyed(model)


def mixtures_of(survey: Survey, off: np.ndarray) -> np.ndarray:
    """Return the mixtures of each token of the latents (tokens, outputs), then the lengths along each
    direction.
    """
    each = survey.mixtures.shape[1] - len(survey.patterns)
    mixtures = np.einsum("kmo,ko->km", survey.mixtures, off)
    return np.append(mixtures[:, :each].ravel(), mixtures[:, each:].sum(axis=0))


def masked(mask: str, **knobs: Any) -> DBCache:
    return DBCache(steps_computation_mask=mask, steps_computation_policy="static", **knobs)


@pytest.mark.parametrize(("front", "order"), [(1, 0), (3, 0), (3, 1), (5, 1), (5, 2)])
def test_the_last_layer_answers_as_the_model_does(
    model: torch.nn.Module, survey: Survey, front: int, order: int
) -> None:
    """The reference is a cached call's answer minus the baseline's, along a path that does not depend on the
    answers.
    """
    method = DBCache(
        Fn_compute_blocks=front,
        residual_diff_threshold=1,
        max_warmup_steps=5,
        max_continuous_cached_steps=2,
        taylorseer_order=order,
    )
    plain, _, _ = followed(model, METHODS["baseline"]())
    cached, trace, _ = followed(model, method)
    answers = np.concatenate(mixed(survey, front, BLOCKS), axis=-1)
    missed = replay(survey, method.plan(survey.facts), survey.facts).errors
    assert missed
    assert len(missed) == sum(call.mode == "c" for call in trace)
    for error in missed:
        off = (cached[error.step * 2 + error.stream][0] - plain[error.step * 2 + error.stream][0])[0].numpy()
        real = mixtures_of(survey, off)
        answer = sum(weight * answers[error.stream, error.step, then] for then, weight in error.terms)
        assert np.linalg.norm(answer - real) < 0.1 * np.linalg.norm(
            real
        )  # a small error is not an infinitely small error


@pytest.fixture(scope="module")
def loop(model: torch.nn.Module) -> tuple[torch.Tensor, Survey]:
    result, survey = drawn(model, METHODS["baseline"](), survey=True)
    assert survey is not None
    return result, survey


def tries() -> list[DBCache]:
    draw = random.Random(3)
    fronts = [draw.randint(1, 3) for _ in range(TRIES)]
    return [
        masked(
            "1111" + "".join(draw.choice("01") for _ in range(STEPS - 4)),
            Fn_compute_blocks=front,
            Bn_compute_blocks=place % 3,
            taylorseer_order=draw.randint(0, 2),
        )
        for place, front in enumerate(fronts)
    ]


@pytest.mark.parametrize("place", range(TRIES))
def test_errors_end_where_the_loop_takes_them(
    model: torch.nn.Module, loop: tuple[torch.Tensor, Survey], place: int
) -> None:
    """The reference is how far a real cached run ends along each direction, whatever blocks and steps follow
    the skipped ones.
    """
    plain, survey = loop
    method = tries()[place]
    off = (drawn(model, method)[0] - plain)[0].numpy()
    lengths = np.zeros(len(survey.patterns))
    for error in replay(survey, method.plan(survey.facts), survey.facts).errors or ():
        across = survey.mix[error.stream] * (survey.sigmas[error.step + 1] - survey.sigmas[error.step])
        answers = ended(survey, error.site.start, error.site.stop)[error.stream, error.step]
        lengths += across * sum(weight * answers[then] for then, weight in error.terms)
    real = mixtures_of(survey, off)[-len(lengths) :]
    assert np.linalg.norm(lengths - real) < 0.1 * WHITE * np.sqrt(np.mean(np.square(off)))


def test_expected_dB_are_those_of_the_run(model: torch.nn.Module, loop: tuple[torch.Tensor, Survey]) -> None:
    """The latents serve as the picture. Only the last steps are cached, because random weights repair no
    error.
    """
    plain, survey = loop
    for front, back, order, mask in (
        (1, 0, 0, "111111111100"),
        (2, 2, 1, "111111111100"),
        (3, 1, 0, "111111111101"),
    ):
        method = masked(mask, Fn_compute_blocks=front, Bn_compute_blocks=back, taylorseer_order=order)
        off = (drawn(model, method)[0] - plain)[0].numpy() * WHITE
        result = psnr_expected(survey, replay(survey, method.plan(survey.facts), survey.facts))
        assert result == pytest.approx(psnr_of(off.ravel()), abs=1.0)


def test_directions_and_mixtures_are_as_large_as_the_picture(loop: tuple[torch.Tensor, Survey]) -> None:
    """A difference along the directions has the sum of its squares as mean square, and mixtures have the mean
    square of their picture.
    """
    _, survey = loop
    each = survey.mixtures.shape[1] - len(survey.patterns)
    off = np.random.default_rng(3).normal(size=survey.mixtures.shape[::2])
    assert np.mean(mixtures_of(survey, off)[: off.shape[0] * each] ** 2) == pytest.approx(
        np.mean((WHITE * off) ** 2), rel=0.3
    )
    directions = (
        survey.mixtures[:, each:].swapaxes(0, 1).reshape(len(survey.patterns), -1) * off.size / WHITE**2
    )
    products = directions @ directions.T * WHITE**2 / off.size
    assert np.allclose(products, np.eye(len(directions)), atol=1e-3)


def test_following_errors_stops_when_it_is_told_to(model: torch.nn.Module) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        drawn(model, METHODS["baseline"](), survey=True, stop=stop)


def test_early_errors_across_the_directions_are_mended() -> None:
    assert list(surviving_share(np.array([1.0, 0.5, 0.0]))) == [0.0, 0.5, 1.0]


def test_a_survey_of_a_part_says_that_it_cannot_judge(model: torch.nn.Module) -> None:
    part = surveyed(model, budget=30_000)
    assert not part.last.size
    forecast = simulate(part, DBCache(residual_diff_threshold=1), KNOWN)
    assert forecast.psnr_db is None
    assert "later steps" in forecast.note


def made_of(survey: Survey, values: np.ndarray) -> Survey:
    """Return the survey with other residuals: values (t,) times one direction, the same for every block and
    stream.
    """
    draw = np.random.default_rng(1)
    direction = draw.normal(size=survey.entry.shape[-1]).astype(np.float32)
    ends = survey.residuals[-1:].astype(np.float32) * survey.scales[-1]
    shares = np.arange(1, BLOCKS) / BLOCKS
    made = values[None, None, :, None] * direction * shares[:, None, None, None]
    residuals = np.concatenate([np.broadcast_to(made, (BLOCKS - 1, *ends.shape[1:])), ends])
    moved = np.broadcast_to(10 * draw.normal(size=survey.products.shape[1:4]), survey.products.shape[:4])
    products = moved[..., None, None] * values[:, None] * np.append(shares, 0.0)
    return replace(
        survey,
        residuals=residuals.astype(np.float16),
        scales=np.ones(BLOCKS, np.float32),
        products=products,
        memo={},
    )


@pytest.mark.parametrize(
    ("values", "order", "right"),
    [
        (np.ones(STEPS), 0, True),
        (np.arange(STEPS), 0, False),
        (np.arange(STEPS), 1, True),
        (np.arange(STEPS) ** 2, 1, False),
    ],
)
def test_nothing_is_expected_to_change_where_the_predictor_is_right(
    survey: Survey, values: np.ndarray, order: int, right: bool
) -> None:
    method = DBCache(
        residual_diff_threshold=1,
        max_warmup_steps=5,
        max_continuous_cached_steps=2,
        taylorseer_order=order,
        Bn_compute_blocks=1,
    )
    forecast = simulate(made_of(survey, values * 0.1), method, KNOWN)
    assert "c" in forecast.schedule
    assert forecast.psnr_db is not None
    assert (forecast.psnr_db > 60) == right


def test_opposite_errors_cancel_and_equal_ones_add_up(survey: Survey) -> None:
    """A value that rises and falls again is reused, so the errors have both signs."""

    def of(values: list[float]) -> float:
        forecast = simulate(
            made_of(survey, np.array(values)),
            masked("11111100" + "1" * (STEPS - 8), taylorseer_order=0, Bn_compute_blocks=1),
            KNOWN,
        )
        assert forecast.psnr_db is not None
        return forecast.psnr_db

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


def test_the_band_holds_nearly_all_and_is_never_too_wide_to_say_something() -> None:
    draw = np.random.default_rng(2)

    def runs(spread: float) -> list[CheckedForecast]:
        return [
            CheckedForecast(f"prompt {number % 5}", 40.0, 40.0 + spread * draw.normal())
            for number in range(800)
        ]

    calibration = calibrate_forecasts("tiny", "none", runs(1.0))
    assert calibration is not None
    assert calibration.off(40.0) == pytest.approx(1.645, abs=0.15)  # the value of a normal distribution
    low, high = calibration.band(40.0) or (0.0, 0.0)
    assert (high - low) / 2 == pytest.approx(1.96, abs=0.2)
    assert calibration.held == pytest.approx(0.95, abs=0.03)
    near = calibrate_forecasts("tiny", "none", runs(1.7))
    assert near is not None
    # nine of ten runs fit in the widest band, although nineteen of twenty do not
    assert near.band(40.0) == (37.0, 43.0)
    wild = calibrate_forecasts("tiny", "none", runs(6.0))
    assert wild is not None
    assert wild.band(40.0) is None  # too wide to be useful
    assert wild.held == 0
    assert calibrate_forecasts("tiny", "none", runs(1.0)[:5]) is None


def test_the_band_is_wider_where_forecasts_are_worse() -> None:
    draw = np.random.default_rng(2)
    runs = [
        CheckedForecast(f"prompt {number % 8}", level, level + spread * draw.normal())
        for level, spread in ((25.0, 2.0), (55.0, 0.5))
        for number in range(400)
    ]
    calibration = calibrate_forecasts("tiny", "none", runs)
    assert calibration is not None
    assert calibration.off(25.0) == pytest.approx(4 * calibration.off(55.0), rel=0.15)
    assert calibration.band(25.0) is None
    assert calibration.band(55.0) is not None
