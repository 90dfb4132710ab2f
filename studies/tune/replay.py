"""A tune held against a grid of real runs: what it finds with how many, what chance finds, and which cliffs
it marks. No run is made.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import comb, inf
from typing import NamedTuple

from cache_engine import Method
from cache_engine.tuning import space
from cache_engine.tuning.candidates import Candidate, judged
from cache_engine.tuning.gaussian_process import Posterior
from cache_engine.tuning.goal import Goal
from cache_engine.tuning.tuner import CHECKED, EDGE, likely_worst_neighbours, search_of
from cache_engine.whatif.survey import Survey

WITHIN = 1.03  # of the best's compute
MOST = 40  # real runs that a replayed tune makes at the most


class Figures(NamedTuple):
    """What a setting's real runs gave: dB that are held, and compute."""

    closeness: float
    tflops: float


class Tuned(NamedTuple):
    """A replayed tune. path: TFLOPs of the best setting so far after each of its runs (inf: none reaches the
    goal yet).
    """

    path: tuple[float, ...]
    best: Method | None
    posterior: Posterior
    candidates: tuple[Candidate, ...]


def candidates_of(methods: Sequence[Method], surveys: Sequence[Survey]) -> tuple[Candidate, ...]:
    *_, (_, found) = judged(methods, surveys)
    return tuple(found)


def tuned(
    floor: float,
    candidates: tuple[Candidate, ...],
    surveys: Sequence[Survey],
    real: Callable[[Method], Figures],
) -> Tuned:
    """The tune's own search, each of its runs looked up."""
    search = search_of(Goal(value=floor), candidates, surveys)
    path: list[float] = []
    while len(path) < MOST and (place := search.next()) is not None:
        found = real(candidates[place].method)
        search.measure(place, found.closeness, found.tflops, candidates[place].forecasts[0].seconds)
        path.append(real(candidates[search.ranked()[0]].method).tflops if search.ranked() else inf)
    best = candidates[search.ranked()[0]].method if search.ranked() else None
    return Tuned(tuple(path), best, search.posterior, candidates)


def needed(path: Sequence[float], best: float) -> int | None:
    """Runs until the best so far is within 3 % of the grid's best; None: it never is."""
    return next((place for place, tflops in enumerate(path, 1) if tflops <= WITHIN * best), None)


def missed_by_chance(settings: int, good: int, runs: int) -> float:
    """The probability that none of so many different settings, drawn at random, is a good one."""
    return comb(settings - good, runs) / comb(settings, runs)


def needed_by_chance(settings: int, good: int) -> int:
    """Median runs of a random search until it meets a good setting."""
    return next(runs for runs in range(1, settings + 1) if missed_by_chance(settings, good, runs) <= 0.5)


def found_by_chance(tflops: Sequence[float], runs: int) -> float:
    """Median of the least compute among so many settings drawn at random (inf: none reaches the goal)."""
    ordered = sorted(tflops)
    return next(
        value for place, value in enumerate(ordered, 1) if missed_by_chance(len(ordered), place, runs) <= 0.5
    )


class Cliffs(NamedTuple):
    """Among settings above the floor: those with a neighbour below floor - 2 dB, those that are marked, and
    both.
    """

    above: int
    real: int
    marked: int
    both: int


def cliffs(
    floor: float,
    found: Tuned,
    asked: Sequence[Method],
    methods: Sequence[Method],
    vary: space.Ranges,
    real: Callable[[Method], float],
    seen: Callable[[Method, Method], float],
    checked: int = CHECKED,
) -> Cliffs:
    """Of the settings that are asked about. real: dB that a setting holds.  seen: (setting, its neighbour) ->
    dB of the neighbour that a tune would measure.
    """
    counts = [0, 0, 0, 0]
    for method in asked:
        if real(method) < floor:
            continue
        falls = any(real(one) < floor - EDGE for one in space.neighbours(method, vary, methods))
        marked = any(
            seen(method, one) < floor - EDGE
            for one in likely_worst_neighbours(method, vary, found.candidates, found.posterior)[:checked]
        )
        for place, holds in enumerate((True, falls, marked, falls and marked)):
            counts[place] += holds
    return Cliffs(*counts)
