"""All settings judged from the prompts' surveys: what each is expected to cost, and how close it is expected to come."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import log, log10
from typing import NamedTuple

import numpy as np

from ..likeness import likeness_of
from ..method import Method, method_from
from ..records import ModelFacts
from ..simulation import Forecast, simulate
from ..survey import Survey
from .goal import Costs
from .runs import IDENTICAL

UNKNOWN = 8.0  # dB: how far off forecasts may be of a model whose likeness was never calibrated
Twin = tuple[object, ...]


class Candidate(NamedTuple):
    """A setting with its forecasts, prompt by prompt. ``twins``: settings that are expected to decide and predict alike."""

    method: Method
    forecasts: tuple[Forecast, ...]
    closeness: tuple[float, ...]
    twins: tuple[Method, ...] = ()

    @property
    def schedule(self) -> str:
        return self.forecasts[0].schedule


def judged(methods: Sequence[Method], surveys: Sequence[Survey]) -> Iterator[tuple[int, list[Candidate]]]:
    """(prompts judged so far, candidates so far), prompt by prompt; the last holds all. Twins are judged once."""
    found: list[list[Forecast]] = [[] for _ in methods]
    for count, survey in enumerate(surveys, 1):
        likeness = likeness_of(survey)
        for method, forecasts in zip(methods, found, strict=True):
            forecast = simulate(survey, method, likeness)
            if forecast.psnr_db is None and not forecast.identical and type(method).effective is not Method.effective:
                forecast = forecast._replace(**_stand_in(survey, forecast))
            forecasts.append(forecast)
        yield count, _without_twins(methods, found)


def _stand_in(survey: Survey, forecast: Forecast) -> dict[str, object]:
    """Fewer steps take another path, which no survey knows. But a plain step over a gap is the model's answer reused within
    it: the likeness of one residual of all blocks, computed at the same places, tells what to expect."""
    steps, kept = survey.facts.steps, len(forecast.schedule)
    places = {round(step * steps / kept) for step in range(kept)}
    mask = "".join("1" if step in places else "0" for step in range(steps))
    likeness = simulate(survey, method_from({"name": "fixed_mask", "steps_computation_mask": mask, "order": 0}), likeness_of(survey))
    return {"psnr_db": likeness.psnr_db, "error": likeness.error, "identical": likeness.identical}


def _without_twins(methods: Sequence[Method], found: Sequence[Sequence[Forecast]]) -> list[Candidate]:
    first: dict[Twin, Candidate] = {}
    for method, forecasts in zip(methods, found, strict=True):
        key = (type(method), *prediction(method), *(tuple(one.schedules.values()) for one in forecasts))
        known = first.get(key)
        first[key] = (known._replace(twins=(*known.twins, method)) if known else
                      Candidate(method, tuple(forecasts), tuple(map(_closeness, forecasts))))
    return list(first.values())


def prediction(method: Method) -> tuple[object, ...]:
    """What is left of a setting when its decisions are given: what is predicted, and how."""
    deciding = {"max_warmup_steps", "warmup_interval", "max_cached_steps", "max_continuous_cached_steps", "residual_diff_threshold",
                "steps_computation_mask", "steps_computation_policy", "streak_rule"}
    return tuple(value for name, value in method.model_dump().items() if name not in deciding)


def _closeness(forecast: Forecast) -> float:
    if forecast.psnr_db is not None:
        return forecast.psnr_db
    if forecast.identical or not forecast.error:
        return IDENTICAL
    return min(IDENTICAL, -20 * log10(forecast.error))


def costs(candidates: Sequence[Candidate]) -> Costs:
    """Means over the prompts."""
    first = candidates[0].forecasts
    return Costs(np.array([np.mean([one.tflops or one.baseline_tflops for one in candidate.forecasts]) for candidate in candidates]),
                 np.array([np.mean([one.seconds for one in candidate.forecasts]) for candidate in candidates]),
                 float(np.mean([one.baseline_tflops for one in first])), float(np.mean([one.baseline_seconds for one in first])))


def features(candidates: Sequence[Candidate], price: Costs, expected: np.ndarray, facts: ModelFacts) -> np.ndarray:
    """(n, 5): settings whose forecasts err alike are near each other."""
    rows = []
    for place, candidate in enumerate(candidates):
        knobs = candidate.method.model_dump()
        rows.append((expected[place] / 8, log(price.tflops[place] / price.full_tflops) / 0.5, knobs.get("taylorseer_order", 0) / 1.5,
                     4 * knobs.get("Fn_compute_blocks", 0) / facts.blocks, 2.0 * (candidate.method.name == "fewer_steps")))
    return np.array(rows)


def spread_of(surveys: Sequence[Survey]) -> float:
    """dB: one standard deviation of a forecast, as the model's calibration states it (its band holds nine of ten)."""
    likeness = likeness_of(surveys[0])
    return UNKNOWN if likeness is None else likeness.band_db / 1.645
