"""All settings judged from the prompts' surveys: what each is expected to cost, and how close it is expected
to come.
"""

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

UNKNOWN = 8.0  # dB: how far off forecasts may be of a model whose likeness was never calibrated
# dB: root mean square of what those with no stated likeness were off by: fewer steps, 18 runs of three
# prompts
GUIDED = 5.0
# Where the survey does not say how close a setting comes, it is taken to come the closer the more it
# computes: from so many dB with no compute to so many with all of it, and a standard deviation of GUESSED.
# Real runs then say how far off that is.
LEAST, MOST, GUESSED = 15.0, 55.0, 10.0
Twin = tuple[object, ...]


class Candidate(NamedTuple):
    """A setting with its forecasts, prompt by prompt. closeness: in dB; NaN where the survey does not say it.
    ``twins``: settings that are expected to decide and predict alike.
    """

    method: Method
    forecasts: tuple[Forecast, ...]
    closeness: tuple[float, ...]
    twins: tuple[Method, ...] = ()

    @property
    def schedule(self) -> str:
        return self.forecasts[0].schedule

    @property
    def known(self) -> bool:
        """Whether the surveys say anything of how close it comes."""
        return not np.isnan(self.closeness).any()

    @property
    def stated(self) -> bool:
        """Whether the survey says how close it comes, and not only which setting is closer."""
        return all(one.psnr_db is not None or one.identical for one in self.forecasts)


def judged(methods: Sequence[Method], surveys: Sequence[Survey]) -> Iterator[tuple[int, list[Candidate]]]:
    """(prompts judged so far, candidates so far), prompt by prompt; the last holds all. Twins are judged
    once.
    """
    found: list[list[Forecast]] = [[] for _ in methods]
    for count, survey in enumerate(surveys, 1):
        calibration = psnr_calibration_of(survey)
        for method, forecasts in zip(methods, found, strict=True):
            forecasts.append(simulate(survey, method, calibration))
        yield count, _without_twins(methods, found)


def _without_twins(methods: Sequence[Method], found: Sequence[Sequence[Forecast]]) -> list[Candidate]:
    first: dict[Twin, Candidate] = {}
    for method, forecasts in zip(methods, found, strict=True):
        key = (*prediction(method), *(tuple(one.schedules.values()) for one in forecasts))
        known = first.get(key)
        first[key] = (
            known._replace(twins=(*known.twins, method))
            if known
            else Candidate(method, tuple(forecasts), tuple(map(_closeness, forecasts)))
        )
    return list(first.values())


def prediction(method: Method) -> tuple[object, ...]:
    """What is left of a setting when its decisions are given: what is predicted, and how, and in how many
    steps.
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
    one = parts_of(method)
    return (one.method.name, *(value for name, value in one.knobs.items() if name not in deciding))


def _closeness(forecast: Forecast) -> float:
    if forecast.psnr_db is not None:
        return forecast.psnr_db
    if forecast.identical:
        return IDENTICAL
    return min(IDENTICAL, -20 * log10(forecast.error)) if forecast.error else nan


def expected_of(candidates: Sequence[Candidate], goal: Goal, price: SettingCosts) -> np.ndarray:
    """(n,) in dB: what the wanted share of the prompts reaches; where no survey says it, what settings of
    this cost are taken to.
    """
    found = goal.held(np.array([candidate.closeness for candidate in candidates]))
    guess = LEAST + (MOST - LEAST) * price.tflops / price.full_tflops
    return np.where([candidate.known for candidate in candidates], found, guess)


def costs(candidates: Sequence[Candidate]) -> SettingCosts:
    """Means over the prompts."""
    first = candidates[0].forecasts
    tflops, seconds = np.array(
        [np.mean([_cost(one) for one in candidate.forecasts], axis=0) for candidate in candidates]
    ).T
    return SettingCosts(
        tflops,
        seconds,
        float(np.mean([one.baseline_tflops for one in first])),
        float(np.mean([one.baseline_seconds for one in first])),
    )


def _cost(forecast: Forecast) -> tuple[float, float]:
    """TFLOPs and seconds. What a survey cannot count, parts of blocks, is taken to be skipped whole: else no
    such setting would be run.
    """
    if forecast.tflops is not None:
        return forecast.tflops, forecast.seconds
    modes = "".join(forecast.schedules.values())
    computed = modes.count("C") / len(modes)
    return computed * forecast.baseline_tflops, computed * forecast.seconds


def features(
    candidates: Sequence[Candidate], price: SettingCosts, expected: np.ndarray, facts: ModelFacts
) -> np.ndarray:
    """(n, d): settings whose forecasts err alike are near each other. Of other methods, and in other numbers
    of steps, they do less.
    """
    names = sorted({parts_of(candidate.method).method.name for candidate in candidates})
    rows = []
    for place, candidate in enumerate(candidates):
        one = parts_of(candidate.method)
        knobs = one.knobs
        rows.append(
            (
                expected[place] / 8,
                log(price.tflops[place] / price.full_tflops) / 0.5,
                knobs.get("taylorseer_order", 0) / 1.5,
                4 * knobs.get("Fn_compute_blocks", 0) / facts.blocks,
                4 * (1 - one.fraction),
                *(2**0.5 * (one.method.name == name) for name in names),
            )
        )
    return np.array(rows)


def spread_of(candidates: Sequence[Candidate], expected: np.ndarray, surveys: Sequence[Survey]) -> np.ndarray:
    """(n,) in dB, one standard deviation of each expectation: as the model's calibration states it (its bands
    hold nine of ten), or a guess's.
    """
    calibration = psnr_calibration_of(surveys[0])
    found = np.array(
        [UNKNOWN if calibration is None else calibration.off(level) / 1.645 for level in expected.tolist()]
    )
    found = np.where([candidate.stated for candidate in candidates], found, np.maximum(found, GUIDED))
    return np.where([candidate.known for candidate in candidates], found, GUESSED)
