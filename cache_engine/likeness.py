"""From what predictions miss to dB: how far the picture is likely to end up from the baseline's. numpy, no torch.

A cached call moves the latents by (noise level after - before) x what the last layer reads of the prediction's error. What becomes
of that until the loop ends depends on when it happens: later steps undo much of it or build on it. This response is a smooth
function of the noise level, fitted on real runs of the model, and so are the offset and the band. Errors of different steps add up
as vectors: inner products of the survey's values say how. Nothing here is known of a model until runs have been made.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from math import log10
from pathlib import Path
from statistics import NormalDist
from typing import NamedTuple

import numpy as np

from .model import MODELS
from .records import EngineError, Stack
from .replay import Replay
from .survey import Survey

KNOTS = (0.0, 0.1, 0.3, 0.6, 0.85, 1.0)  # noise levels between which the response is interpolated
WIDEST = 3.0  # dB to either side: a wider band would say nothing
STIFFNESS = 0.3  # how much the response resists bending; in dB^2 of misfit, for one unit of bend, over all runs
FEWEST = 12  # runs to fit on


class Likeness(NamedTuple):
    """One model's response. ``revision``: of the weights that it was fitted on; for others it says nothing.

    channels: how much each output of the last layer weighs in the picture; empty: all alike.  response: log at KNOTS.
    offset_db, band_db: the level, and how far to either side nine of ten calibration runs lay when their prompt was left out.
    """

    model: str
    revision: str
    channels: tuple[float, ...]
    response: tuple[float, ...]
    offset_db: float
    band_db: float
    runs: int
    prompts: int

    def expected(self, error: float) -> tuple[float, tuple[float, float]]:
        """PSNR in dB of a loop with this error, and its band."""
        psnr = rounded(-20 * log10(error) + self.offset_db)
        return psnr, (psnr - self.band_db, psnr + self.band_db)

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(self._asdict(), indent=1) + "\n", encoding="utf-8")


def likeness_of(survey: Survey) -> Likeness | None:
    """What was fitted for the survey's model and weights, if anything was."""
    own = survey.engine["model"] in MODELS and not survey.request.get("loras")
    path = MODELS[survey.engine["model"]].likeness if own else None
    if path is None or not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        found = Likeness(**found | {name: tuple(found[name]) for name in ("channels", "response")})
    except (OSError, ValueError, TypeError, KeyError):
        raise EngineError(f"likeness: {path.name} cannot be read; restore it from the repository.") from None
    return found if found.revision == survey.engine["revision"] else None


def error_of(survey: Survey, found: Replay, likeness: Likeness | None = None) -> float:
    """Root mean square of what the loop's result is off by, as the last layer reads it (as it is, where there is no read-out)."""
    pace = _amplitude(survey)
    if likeness is not None:
        key = ("pace", likeness)
        if key not in survey.memo:
            survey.memo[key] = pace * _response(survey, np.array(likeness.response))
        pace = survey.memo[key]
    total, steps, paces = 0.0, survey.facts.steps, pace.tolist()
    weights: dict[Stack, list[float]] = {}
    for site, stream, step, terms in found.missed or ():
        if site not in weights:
            weights[site] = [0.0] * pace.size
        of_site, first, by = weights[site], stream * steps, paces[stream][step]
        for then, weight in terms:
            of_site[first + then] += by * weight
    for site, of_site in weights.items():
        flat = np.array(of_site)
        total += float(flat @ survey.products(site.start, site.stop, likeness.channels if likeness else ()) @ flat)
    return max(0.0, total) ** 0.5


def parts_of(survey: Survey, found: Replay, channels: tuple[float, ...]) -> np.ndarray:
    """(t, t): inner products of what each step adds to the error, before any response."""
    steps, pace = survey.facts.steps, _amplitude(survey)
    total = np.zeros((steps, steps))
    for site in {one.site for one in found.missed or ()}:
        rows = np.zeros((steps, pace.size))
        for one in found.missed or ():
            for then, weight in one.terms if one.site == site else ():
                rows[one.step, one.stream * steps + then] += pace[one.stream, one.step] * weight
        total += rows @ survey.products(site.start, site.stop, channels) @ rows.T
    return total


def _amplitude(survey: Survey) -> np.ndarray:
    """(s, t): how far one call moves the latents, for an error of one in what the last layer reads."""
    if "amplitude" not in survey.memo:
        levels = np.array(survey.sigmas or np.linspace(1, 0, survey.facts.steps + 1))
        survey.memo["amplitude"] = np.outer(survey.mix, np.diff(levels)) / survey.spread
    return survey.memo["amplitude"]


def _basis(survey: Survey) -> np.ndarray:
    """(t, knots): each knot's share in the response after a step."""
    if "basis" not in survey.memo:
        levels = np.array(survey.sigmas or np.linspace(1, 0, survey.facts.steps + 1))
        level = levels[1:] / levels[0]
        survey.memo["basis"] = np.stack([np.interp(level, KNOTS, one) for one in np.eye(len(KNOTS))], axis=1)
    return survey.memo["basis"]


def _response(survey: Survey, logarithms: np.ndarray) -> np.ndarray:
    return np.exp(_basis(survey) @ logarithms)


class Run(NamedTuple):
    """What calibration needs of one real run: its prompt, ``parts_of`` its forecast, the knots' shares, the measured PSNR."""

    prompt: str
    parts: np.ndarray
    basis: np.ndarray
    psnr_db: float


def run_of(survey: Survey, found: Replay, psnr_db: float, channels: tuple[float, ...]) -> Run:
    return Run(str(survey.request["prompt"]), parts_of(survey, found, channels), _basis(survey), psnr_db)


def calibrated(model: str, revision: str, runs: Sequence[Run], channels: tuple[float, ...]) -> Likeness | None:
    """Fit the response and the offset on real runs, and the band on each prompt with a fit of the others. None: too few runs."""
    prompts = sorted({run.prompt for run in runs})
    if len(runs) < FEWEST or len(prompts) < 2:
        return None
    left_out: list[float] = []
    for prompt in prompts:
        theta = _fitted([run for run in runs if run.prompt != prompt])
        left_out += [abs(_psnr(run, theta)[0] - run.psnr_db) for run in runs if run.prompt == prompt]
    theta = _fitted(runs)
    band = min(WIDEST, float(np.quantile(left_out, 0.9)))
    return Likeness(model, revision, channels, tuple(theta[:-1].tolist()), float(theta[-1]), band, len(runs), len(prompts))


def _psnr(run: Run, theta: np.ndarray) -> tuple[float, np.ndarray]:
    """The PSNR that a fit expects, and its derivatives."""
    response = np.exp(run.basis @ theta[:-1])
    pulled = run.parts @ response
    square = max(float(response @ pulled), 1e-30)
    exact = -10 * log10(square) + theta[-1]
    slope = (rounded(exact + 0.01) - rounded(exact - 0.01)) / 0.02
    return rounded(exact), slope * np.append(-20 / np.log(10) * (response * pulled) @ run.basis / square, 1.0)


def _fitted(runs: Sequence[Run]) -> np.ndarray:
    """Gauss-Newton with halved steps. theta: log response at KNOTS, offset. The bends are held down, and so is the level at the end."""
    knots = len(KNOTS)
    bends = np.diff(np.eye(knots), 2, axis=0)
    holds = np.vstack([bends, 0.3 * np.diff(np.eye(knots), axis=0), np.eye(knots)[:1] * 30]) * (STIFFNESS * len(runs)) ** 0.5
    holds = np.hstack([holds, np.zeros((len(holds), 1))])

    def misfit(theta: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        found = [_psnr(run, theta) for run in runs]
        off = np.array([psnr for psnr, _ in found]) - [run.psnr_db for run in runs]
        soft = 1 / np.sqrt(1 + (off / 6) ** 2)  # far outliers pull less
        return np.append(off * soft, holds @ theta), np.vstack([np.stack([row for _, row in found]) * soft[:, None], holds])

    theta = np.zeros(knots + 1)
    theta[-1] = np.median([run.psnr_db for run in runs]) - np.median([_psnr(run, theta)[0] for run in runs])
    off, slopes = misfit(theta)
    for _ in range(40):
        step = np.linalg.lstsq(slopes, -off, rcond=None)[0]
        while np.abs(step).max() > 1e-4:
            tried = misfit(theta + step)
            if tried[0] @ tried[0] < off @ off:
                break
            step = step / 2
        else:
            return theta
        theta, (off, slopes) = theta + step, tried
    return theta


def rounded(exact_db: float) -> float:
    """PSNR of two pictures after each was rounded to 8 bits, for a Gaussian difference of ``exact_db`` before.

    Below one level, rounding hides most of a difference and blows up the rest: the mean square becomes the mean absolute value.
    """
    exact, after = _rounding()
    beyond = max(0.0, exact_db - exact[-1])  # there the mean absolute value alone is left
    return float(np.interp(exact_db, exact, after, left=exact_db)) + beyond / 2


@lru_cache(maxsize=1)
def _rounding() -> tuple[np.ndarray, np.ndarray]:
    quantiles = np.abs([NormalDist().inv_cdf((place + 0.5) / 2001) for place in range(2001)])
    exact = np.linspace(0, 100, 201)
    after = []
    for level in 255 * 10 ** (-exact / 20):
        whole = np.floor(quantiles * level)
        rest = quantiles * level - whole
        after.append(-10 * log10(float(np.mean((quantiles * level) ** 2 + rest * (1 - rest))) / 255**2))
    return exact, np.array(after)
