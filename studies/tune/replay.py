"""Replays a tune on a grid of real runs: how many runs it needs, how many a random search needs, and which
cliffs it marks.

No run is made: every run of the tune is looked up in the grid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import comb, inf
from typing import NamedTuple

from cache_engine import Method
from cache_engine.tuning import space
from cache_engine.tuning.candidates import Candidate, forecast_candidates
from cache_engine.tuning.gaussian_process import Posterior
from cache_engine.tuning.goal import Goal
from cache_engine.tuning.tuner import CHECKED, EDGE, likely_worst_neighbours, search_of
from cache_engine.whatif.survey import Survey

WITHIN = 1.03  # times the compute of the grid's best setting
MOST = 40  # number of real runs after which a replayed tune stops


class RealFigures(NamedTuple):
    """The PSNR that a setting reaches in real runs (100 dB if identical), and its compute."""

    closeness: float
    tflops: float


class ReplayedTune(NamedTuple):
    """A replayed tune. path: TFLOPs of the best setting after each run (inf if no setting reaches the goal
    yet).
    """

    path: tuple[float, ...]
    best: Method | None
    posterior: Posterior
    candidates: tuple[Candidate, ...]


def candidates_of(methods: Sequence[Method], surveys: Sequence[Survey]) -> tuple[Candidate, ...]:
    *_, (_, candidates) = forecast_candidates(methods, surveys)
    return tuple(candidates)


def replay_tune(
    floor: float,
    candidates: tuple[Candidate, ...],
    surveys: Sequence[Survey],
    real: Callable[[Method], RealFigures],
) -> ReplayedTune:
    """Run the search of a tune, with each of its runs looked up by ``real``."""
    search = search_of(Goal(value=floor), candidates, surveys)
    path: list[float] = []
    while len(path) < MOST and (place := search.next()) is not None:
        figures = real(candidates[place].method)
        search.measure(place, figures.closeness, figures.tflops, candidates[place].forecasts[0].seconds)
        path.append(real(candidates[search.ranked()[0]].method).tflops if search.ranked() else inf)
    best = candidates[search.ranked()[0]].method if search.ranked() else None
    return ReplayedTune(tuple(path), best, search.posterior, candidates)


def runs_needed(path: Sequence[float], best: float) -> int | None:
    """Count the runs until the best setting so far is within 3 % of the grid's best; None if it never is."""
    return next((place for place, tflops in enumerate(path, 1) if tflops <= WITHIN * best), None)


def missed_by_chance(settings: int, good: int, runs: int) -> float:
    """Return the probability that ``runs`` different settings, drawn at random, contain no good setting."""
    return comb(settings - good, runs) / comb(settings, runs)


def runs_needed_by_chance(settings: int, good: int) -> int:
    """Return the median number of runs of a random search until it draws a good setting."""
    return next(runs for runs in range(1, settings + 1) if missed_by_chance(settings, good, runs) <= 0.5)


def best_by_chance(tflops: Sequence[float], runs: int) -> float:
    """Return the median of the least compute among ``runs`` random settings (inf if
    none reaches the goal).
    """
    ordered = sorted(tflops)
    return next(
        value for place, value in enumerate(ordered, 1) if missed_by_chance(len(ordered), place, runs) <= 0.5
    )


class Cliffs(NamedTuple):
    """Counts of settings.

    above: settings above the floor. real: those with a neighbour below floor - 2 dB. marked: those that the
    tune marks. both: those that are real and marked.
    """

    above: int
    real: int
    marked: int
    both: int


def cliffs(
    floor: float,
    tune: ReplayedTune,
    asked: Sequence[Method],
    methods: Sequence[Method],
    vary: space.Ranges,
    real: Callable[[Method], float],
    seen: Callable[[Method, Method], float],
    checked: int = CHECKED,
) -> Cliffs:
    """Count the cliffs among the settings ``asked``.

    real: a function that returns the dB that a setting reaches. seen: a function that takes a setting and its
    neighbour, and returns the dB of the neighbour that a tune would measure.
    """
    counts = [0, 0, 0, 0]
    for method in asked:
        if real(method) < floor:
            continue
        falls = any(real(near) < floor - EDGE for near in space.neighbours(method, vary, methods))
        marked = any(
            seen(method, near) < floor - EDGE
            for near in likely_worst_neighbours(method, vary, tune.candidates, tune.posterior)[:checked]
        )
        for place, holds in enumerate((True, falls, marked, falls and marked)):
            counts[place] += holds
    return Cliffs(*counts)
