"""A PSNR calibration tells how far forecasts of the PSNR were from real runs of the same model.

The forecasts themselves come from the survey of a baseline run (expected_psnr.py). A calibration gives each
forecast a band, such as 40 dB plus or minus 3 dB. The code uses numpy, not torch.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..models.catalog import MODELS
from ..strict import EngineError
from .survey import Survey

WIDEST = 3.0  # dB to either side of a forecast: no wider band is shown
HELD = 0.9  # at least this share of measured PSNRs should lie within the band
# The band is made so wide that it would hold this share of the runs, because another prompt may be harder to
# forecast. It is made narrower if it would exceed WIDEST.
CAUTIOUS = 0.95
# Values of the expected PSNR in dB at which the width of the band is calculated. A lower PSNR is harder to
# forecast, so its band is wider.
LEVELS = tuple(range(10, 70, 5))
REACH = 5.0  # dB: the width at a level comes mostly from runs with an expected PSNR within this distance
FEWEST = 12  # number of runs that a calibration needs, in all and near each level


class PsnrCalibration(NamedTuple):
    """The errors of one model's forecasts, from a comparison with real runs.

    model: the name of the model.
    revision: the revision of the weights that ran. The calibration is valid only for these weights.
    levels: values of the expected PSNR in dB.
    promised: for each level, a distance in dB. ``HELD`` of the runs were no farther from their forecast.
    cautious: the same for ``CAUTIOUS`` of the runs.
    held: a check on other prompts: for each prompt, bands were fitted on the runs of all other prompts. This
    share of the runs lay inside such bands.
    runs, prompts: the number of real runs, and of their prompts.
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
        """Return the distance in dB between forecast and run that nine of ten runs do not exceed.

        psnr_db: the expected PSNR.
        """
        return float(np.interp(psnr_db, self.levels, self.promised))

    def band(self, psnr_db: float) -> tuple[float, float] | None:
        """Return the band of a forecast: the lowest and the highest PSNR in dB. Return None if the band would
        be too wide to be useful.

        psnr_db: the expected PSNR.
        """
        if self.off(psnr_db) > WIDEST:
            return None
        off = min(float(np.interp(psnr_db, self.levels, self.cautious)), WIDEST)
        return psnr_db - off, psnr_db + off


def psnr_calibration_of(survey: Survey) -> PsnrCalibration | None:
    """Return the calibration of the model and weights that made the survey, or None if they have none."""
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
    """The expected PSNR of a setting on one prompt, and the PSNR measured in a real run of that setting."""

    prompt: str
    expected_db: float
    measured_db: float


def calibrate_forecasts(model: str, revision: str, runs: Sequence[CheckedForecast]) -> PsnrCalibration | None:
    """Fit a calibration to pairs of expected and measured PSNR.

    revision: the revision of the weights that ran.

    Returns None for fewer than ``FEWEST`` runs, or if all runs have the same prompt.
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
    """Return three fields of a PsnrCalibration: ``levels``, ``promised`` and ``cautious``.

    The distances at a level are weighted quantiles. A run weighs more the nearer its expected PSNR is to the
    level (a Gaussian of the width ``REACH``). Levels with too few runs near them are left out.
    """
    expected = np.array([run.expected_db for run in runs])
    off = np.array([abs(run.measured_db - run.expected_db) for run in runs])
    order = np.argsort(off)
    near = np.exp(-(((np.array(LEVELS)[:, None] - expected) / REACH) ** 2) / 2)
    enough = near.sum(axis=1) >= FEWEST
    if not enough.any():  # no level has enough runs near it: every run counts in full at every level
        near, enough = np.ones((len(LEVELS), len(runs))), np.ones(len(LEVELS), bool)
    shares = near[enough][:, order].cumsum(axis=1)
    shares /= shares[:, -1:]
    promised, cautious = (
        tuple(float(off[order][np.searchsorted(level_shares, share)].round(3)) for level_shares in shares)
        for share in (HELD, CAUTIOUS)
    )
    return tuple(np.array(LEVELS, float)[enough].tolist()), promised, cautious
