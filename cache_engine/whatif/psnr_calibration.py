"""Calibrates the expected PSNR of a model: how far is it from the measured PSNR? The code uses numpy, not
torch.

The expected PSNR follows from the baseline's survey alone (expected_psnr.py). The calibration tells how far
such forecasts were from real runs of the model. Without runs there is no calibration.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..models.catalog import MODELS
from ..strict import EngineError
from .survey import Survey

WIDEST = 3.0  # dB to either side: a wider band would be useless
HELD = 0.9  # promised share of runs within the band
CAUTIOUS = 0.95  # share of runs that the band aims at, if WIDEST allows, because another prompt may be harder
# expected dB at which the forecasts' errors are evaluated; pictures farther from the baseline are harder to
# forecast
LEVELS = tuple(range(10, 70, 5))
REACH = 5.0  # dB: a level uses the runs whose expected PSNR is within about this distance
FEWEST = 12  # number of runs that a calibration needs, in all and at each level


class PsnrCalibration(NamedTuple):
    """The errors of one model's forecasts.

    revision: version of the measured weights; other weights have no calibration.
    levels: values of the expected PSNR in dB.
    promised, cautious: at each level, the dB to either side of a forecast that held ``HELD`` and ``CAUTIOUS``
    of the runs.
    held: the share of a prompt's runs inside the bands that were fitted on the other prompts' runs.
    """

    model: str
    revision: str
    levels: tuple[float, ...]
    promised: tuple[float, ...]
    cautious: tuple[float, ...]
    held: float
    runs: int
    prompts: int

    def off(self, psnr_db: float) -> float:
        """Return the dB to either side of ``psnr_db`` that hold nine of ten runs."""
        return float(np.interp(psnr_db, self.levels, self.promised))

    def band(self, psnr_db: float) -> tuple[float, float] | None:
        """Return the lowest and the highest PSNR in dB, or None if the band is too wide to be useful."""
        if self.off(psnr_db) > WIDEST:
            return None
        off = min(float(np.interp(psnr_db, self.levels, self.cautious)), WIDEST)
        return psnr_db - off, psnr_db + off

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(self._asdict(), indent=1) + "\n", encoding="utf-8")


def psnr_calibration_of(survey: Survey) -> PsnrCalibration | None:
    """Return the calibration of the survey's model and weights, or None if none was made."""
    own = survey.engine["model"] in MODELS and not survey.request.get("loras")
    path = MODELS[survey.engine["model"]].psnr_calibration if own else None
    if path is None or not path.is_file():
        return None
    try:
        read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        read |= {name: tuple(read[name]) for name in ("levels", "promised", "cautious")}
        calibration = PsnrCalibration(**read)
    except (OSError, ValueError, TypeError, KeyError):
        raise EngineError(
            f"psnr_calibration: {path.name} cannot be read; restore it from the repository."
        ) from None
    return calibration if calibration.revision == survey.engine["revision"] else None


class CheckedForecast(NamedTuple):
    """A forecast, and the PSNR that a real run of the same setting measured."""

    prompt: str
    expected_db: float
    measured_db: float


def calibrate_forecasts(model: str, revision: str, runs: Sequence[CheckedForecast]) -> PsnrCalibration | None:
    """Fit a calibration to runs. Returns None for fewer than ``FEWEST`` runs, or if all runs have the same
    prompt.
    """
    prompts = sorted({run.prompt for run in runs})
    if len(runs) < FEWEST or len(prompts) < 2:
        return None
    held: list[bool] = []
    for prompt in prompts:
        others = PsnrCalibration(
            model, revision, *_bands([run for run in runs if run.prompt != prompt]), 0.0, 0, 0
        )
        bands = [
            (run, band) for run in runs if run.prompt == prompt and (band := others.band(run.expected_db))
        ]
        held += [low <= run.measured_db <= high for run, (low, high) in bands]
    return PsnrCalibration(
        model, revision, *_bands(runs), float(np.mean(held)) if held else 0.0, len(runs), len(prompts)
    )


def _bands(runs: Sequence[CheckedForecast]) -> tuple[tuple[float, ...], tuple[float, ...], tuple[float, ...]]:
    """Return the levels, and near each level the quantiles of the distance between forecasts and runs.

    A Gaussian kernel of the width ``REACH`` weights the runs by their distance from a level.
    """
    expected = np.array([run.expected_db for run in runs])
    off = np.array([abs(run.measured_db - run.expected_db) for run in runs])
    order = np.argsort(off)
    near = np.exp(-(((np.array(LEVELS)[:, None] - expected) / REACH) ** 2) / 2)
    enough = near.sum(axis=1) >= FEWEST
    if not enough.any():  # too few runs at each level: all runs count for all levels
        near, enough = np.ones((len(LEVELS), len(runs))), np.ones(len(LEVELS), bool)
    shares = near[enough][:, order].cumsum(axis=1)
    shares /= shares[:, -1:]
    promised, cautious = (
        tuple(float(off[order][np.searchsorted(level_shares, share)].round(3)) for level_shares in shares)
        for share in (HELD, CAUTIOUS)
    )
    return tuple(np.array(LEVELS, float)[enough].tolist()), promised, cautious
