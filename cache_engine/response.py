"""Fits a model's likeness on real runs: the response to errors at each noise level, and the band. numpy, no torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from .likeness import KNOTS, Likeness, basis, pace_of, responses
from .pixels import psnr_of, seen
from .replay import Replay
from .survey import Survey

WIDEST = 3.0  # dB to either side: a wider band would say nothing
HELD = 0.9  # of the runs, wherever a band of WIDEST can
STIFFNESS = 0.3  # how much a response resists bending; in dB^2 of misfit, for one unit of bend, over all runs
FEWEST = 12  # runs to fit on
FOLDS = 4  # the prompts are left out in so many parts


class Run(NamedTuple):
    """What calibration needs of one real run. Mixtures n of the picture, as in ``Seen``; steps t.

    patterns (t, n), evens (t,): what each step adds to the picture before any response, less the brightness, and the brightness alone.
    spread (n,): the mixtures of a brightness of one.  basis (t, knots).  brightness: the baseline's.
    """

    prompt: str
    patterns: np.ndarray
    evens: np.ndarray
    spread: np.ndarray
    basis: np.ndarray
    brightness: float
    psnr_db: float


def run_of(survey: Survey, found: Replay, psnr_db: float, channels: tuple[float, ...]) -> Run | None:
    """None where nothing was missed, or the survey does not know the last layer."""
    pace, patterns, evens, spread = pace_of(survey), np.zeros(0), np.zeros(survey.facts.steps), np.zeros(0)
    for one in found.missed or ():
        view = seen(survey, one.site.start, one.site.stop, channels)
        if view is None:
            return None
        patterns, spread = patterns if patterns.size else np.zeros((len(evens), view.pattern.size)), view.pattern
        steps, weights = [then for then, _ in one.terms], np.array([weight for _, weight in one.terms])
        weights = weights * pace[one.stream, one.step]
        patterns[one.step] += weights @ view.pixels[one.stream, one.step, steps]
        evens[one.step] += weights @ view.even[one.stream, one.step, steps]
    if not patterns.size:
        return None
    return Run(str(survey.request["prompt"]), patterns - np.outer(evens, spread), evens, spread, basis(survey), survey.brightness, psnr_db)


def calibrated(model: str, revision: str, runs: Sequence[Run], channels: tuple[float, ...]) -> Likeness | None:
    """Fit the responses on real runs, and the band on a part of the prompts with a fit of the others, part by part. None: too few runs."""
    prompts = sorted({run.prompt for run in runs})
    if len(runs) < FEWEST or len(prompts) < 2:
        return None
    left_out: list[float] = []
    for fold in range(min(FOLDS, len(prompts))):
        part = prompts[fold::FOLDS]
        theta = _fitted([run for run in runs if run.prompt not in part])
        left_out += [abs(_psnr(run, theta) - run.psnr_db) for run in runs if run.prompt in part]
    band = min(WIDEST, float(np.quantile(left_out, min(1.0, HELD * (1 + 1 / len(left_out))))))
    pattern, even, light = (tuple(logs) for logs in _fitted(runs).reshape(3, -1).tolist())
    return Likeness(model, revision, channels, pattern, even, light, band, float(np.mean(np.array(left_out) <= band)),
                    len(runs), len(prompts))


def _psnr(run: Run, theta: np.ndarray) -> float:
    """The PSNR that a fit expects."""
    pattern, even = responses(run.basis, run.brightness, theta.reshape(3, -1))
    return psnr_of(pattern @ run.patterns + (even @ run.evens) * run.spread)


def _fitted(runs: Sequence[Run]) -> np.ndarray:
    """Gauss-Newton with halved steps. theta: the three logs at KNOTS. Bends, slopes and the end are held down."""
    knots = len(KNOTS)
    hold = np.vstack([np.diff(np.eye(knots), 2, axis=0), 0.3 * np.diff(np.eye(knots), axis=0), 0.3 * np.eye(knots)[:1]])
    holds = np.kron(np.eye(3), hold) * (STIFFNESS * len(runs)) ** 0.5

    def misfit(theta: np.ndarray) -> np.ndarray:
        off = np.array([_psnr(run, theta) - run.psnr_db for run in runs])
        return np.append(off / np.sqrt(1 + (off / 6) ** 2), holds @ theta)  # far outliers pull less

    theta = np.zeros(3 * knots)
    off = misfit(theta)
    for _ in range(15):
        slopes = np.stack([(misfit(theta + 0.01 * one) - off) / 0.01 for one in np.eye(theta.size)], axis=1)
        step = np.linalg.lstsq(slopes, -off, rcond=None)[0]
        tried = misfit(theta + step)
        while tried @ tried >= off @ off and np.abs(step).max() > 1e-3:
            step = step / 2
            tried = misfit(theta + step)
        if off @ off - tried @ tried < 1e-4 * (off @ off):
            break
        theta, off = theta + step, tried
    return theta
