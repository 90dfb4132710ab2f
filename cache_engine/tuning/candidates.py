"""Forecasts all settings from the prompts' surveys: each setting's expected cost and expected PSNR."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import log, log10, nan
from typing import NamedTuple

import numpy as np

from ..method import Method
from ..plans import ModelFacts
from ..whatif.psnr_calibration import psnr_calibration_of
from ..whatif.simulation import Forecast, simulate
from ..whatif.survey import Survey
from .goal import Goal, SettingCosts
from .measurements import IDENTICAL
from .space import parts_of

UNCALIBRATED = 8.0  # dB: standard deviation of the forecasts for a model without a PSNR calibration
# dB: typical error (RMS) of forecasts that give an error but no PSNR. It was measured with fewer steps, on 18
# runs of three prompts.
ROUGH = 5.0
# Without a forecast, we guess that a setting with more compute comes closer: LEAST dB with no compute, MOST
# dB with all compute, and a standard deviation of GUESSED.
LEAST, MOST, GUESSED = 15.0, 55.0, 10.0
SameRuns = tuple[object, ...]  # equal for settings that are expected to decide and predict in the same way


class Candidate(NamedTuple):
    """A setting with one forecast for each prompt.

    closeness: expected dB for each prompt (100 for an identical picture); NaN if the survey gives no
    estimate. twins: settings that are expected to decide and predict in the same way, so that one run stands
    for all of them.
    """

    method: Method
    forecasts: tuple[Forecast, ...]
    closeness: tuple[float, ...]
    twins: tuple[Method, ...] = ()

    @property
    def schedule(self) -> str:
        return self.forecasts[0].schedule

    @property
    def has_closeness(self) -> bool:
        """Return whether every survey gives an estimate of the closeness."""
        return not np.isnan(self.closeness).any()

    @property
    def has_psnr(self) -> bool:
        """Return whether every forecast gives a PSNR, and not only an error that ranks settings."""
        return all(forecast.psnr_db is not None or forecast.identical for forecast in self.forecasts)


def forecast_candidates(
    methods: Sequence[Method], surveys: Sequence[Survey]
) -> Iterator[tuple[int, list[Candidate]]]:
    """Simulate all settings, prompt by prompt. Settings that are twins become one candidate.

    Yields the number of prompts so far, and the candidates with their forecasts so far; the last pair covers
    all prompts.
    """
    forecasts: list[list[Forecast]] = [[] for _ in methods]
    for count, survey in enumerate(surveys, 1):
        calibration = psnr_calibration_of(survey)
        for method, of_method in zip(methods, forecasts, strict=True):
            of_method.append(simulate(survey, method, calibration))
        yield count, _without_twins(methods, forecasts)


def _without_twins(methods: Sequence[Method], forecasts: Sequence[Sequence[Forecast]]) -> list[Candidate]:
    first: dict[SameRuns, Candidate] = {}
    for method, of_method in zip(methods, forecasts, strict=True):
        key = (*prediction(method), *(tuple(forecast.schedules.values()) for forecast in of_method))
        twin = first.get(key)
        first[key] = (
            twin._replace(twins=(*twin.twins, method))
            if twin
            else Candidate(method, tuple(of_method), tuple(map(_closeness, of_method)))
        )
    return list(first.values())


def prediction(method: Method) -> tuple[object, ...]:
    """Return the method's name, and the knobs that do not decide which steps are computed.

    These knobs determine which values are predicted, how, and in how many steps.
    """
    deciding = {
        "max_warmup_steps",
        "warmup_interval",
        "max_cached_steps",
        "max_continuous_cached_steps",
        "residual_diff_threshold",
        "steps_computation_mask",
        "steps_computation_policy",
        "streak_rule",
    }
    parts = parts_of(method)
    return (parts.method.name, *(value for name, value in parts.knobs.items() if name not in deciding))


def _closeness(forecast: Forecast) -> float:
    if forecast.psnr_db is not None:
        return forecast.psnr_db
    if forecast.identical:
        return IDENTICAL
    return min(IDENTICAL, -20 * log10(forecast.error)) if forecast.error else nan


def expected_of(candidates: Sequence[Candidate], goal: Goal, costs: SettingCosts) -> np.ndarray:
    """Return the dB that the goal's share of the prompts is expected to reach: (candidates,).

    Candidates without a forecast get a guess from their cost.
    """
    forecast = goal.held(np.array([candidate.closeness for candidate in candidates]))
    guess = LEAST + (MOST - LEAST) * costs.tflops / costs.full_tflops
    return np.where([candidate.has_closeness for candidate in candidates], forecast, guess)


def costs_of(candidates: Sequence[Candidate]) -> SettingCosts:
    """Return the expected costs of all candidates: means over the prompts."""
    first = candidates[0].forecasts
    tflops, seconds = np.array(
        [np.mean([_cost(forecast) for forecast in candidate.forecasts], axis=0) for candidate in candidates]
    ).T
    return SettingCosts(
        tflops,
        seconds,
        float(np.mean([forecast.baseline_tflops for forecast in first])),
        float(np.mean([forecast.baseline_seconds for forecast in first])),
    )


def _cost(forecast: Forecast) -> tuple[float, float]:
    """Return a forecast's TFLOPs and seconds.

    A survey cannot count the compute of methods that skip parts of blocks. We count the skipped blocks of
    these methods as free, because otherwise no such setting would ever run.
    """
    if forecast.tflops is not None:
        return forecast.tflops, forecast.seconds
    modes = "".join(forecast.schedules.values())
    computed = modes.count("C") / len(modes)
    return computed * forecast.baseline_tflops, computed * forecast.seconds


def features(
    candidates: Sequence[Candidate], costs: SettingCosts, expected: np.ndarray, facts: ModelFacts
) -> np.ndarray:
    """Return the features of all candidates: (candidates, features).

    Two candidates are near each other if their forecasts err in the same way: they have the same method and
    the same number of steps.
    """
    names = sorted({parts_of(candidate.method).method.name for candidate in candidates})
    rows = []
    for place, candidate in enumerate(candidates):
        parts = parts_of(candidate.method)
        knobs = parts.knobs
        rows.append(
            (
                expected[place] / 8,
                log(costs.tflops[place] / costs.full_tflops) / 0.5,
                knobs.get("taylorseer_order", 0) / 1.5,
                4 * knobs.get("Fn_compute_blocks", 0) / facts.blocks,
                4 * (1 - parts.fraction),
                *(2**0.5 * (parts.method.name == name) for name in names),
            )
        )
    return np.array(rows)


def deviation_of(
    candidates: Sequence[Candidate], expected: np.ndarray, surveys: Sequence[Survey]
) -> np.ndarray:
    """Return one standard deviation of each expectation's error in dB: (candidates,).

    The model's PSNR calibration contains this deviation. A band of the calibration holds nine of ten runs, so
    it is 1.645 deviations wide to each side. Without a calibration, fixed values are used.
    """
    calibration = psnr_calibration_of(surveys[0])
    stated = np.array(
        [
            UNCALIBRATED if calibration is None else calibration.off(level) / 1.645
            for level in expected.tolist()
        ]
    )
    forecast = np.where([candidate.has_psnr for candidate in candidates], stated, np.maximum(stated, ROUGH))
    return np.where([candidate.has_closeness for candidate in candidates], forecast, GUESSED)
