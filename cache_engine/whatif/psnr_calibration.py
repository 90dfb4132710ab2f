"""How close a setting's picture is expected to be to the baseline's, with its band. numpy, no torch.

What is expected follows from the baseline's record alone (expected_psnr.py). The band says how far such forecasts
were off on real runs of this model; nothing is known of that until runs have been made.
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

WIDEST = 3.0  # dB to either side: a wider band would say nothing
HELD = 0.9  # of the runs: promised
CAUTIOUS = 0.95  # of the runs: aimed at, where WIDEST allows it, since another prompt may be harder
LEVELS = tuple(
    range(10, 70, 5)
)  # expected dB at which it is asked how far forecasts are off; farther pictures are harder to foretell
REACH = 5.0  # dB: runs that are expected nearer than about this to a level tell of it
FEWEST = 12  # runs to tell from, in all and at a level


class PsnrCalibration(NamedTuple):
    """How far one model's forecasts were off. ``revision``: of the weights that it was measured on; for
    others it says nothing.

    levels: expected dB.  promised, cautious: at each, within so many dB to either side lay ``HELD`` and
    ``CAUTIOUS`` of the runs. held: the share of a prompt's runs within the bands that the other prompts' runs
    ask for, of those that have one.
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
        """dB to either side that hold nine of ten runs."""
        return float(np.interp(psnr_db, self.levels, self.promised))

    def band(self, psnr_db: float) -> tuple[float, float] | None:
        """None: it would be too wide to say anything."""
        if self.off(psnr_db) > WIDEST:
            return None
        off = min(float(np.interp(psnr_db, self.levels, self.cautious)), WIDEST)
        return psnr_db - off, psnr_db + off

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(self._asdict(), indent=1) + "\n", encoding="utf-8")


def psnr_calibration_of(survey: Survey) -> PsnrCalibration | None:
    """What was measured for the survey's model and weights, if anything was."""
    own = survey.engine["model"] in MODELS and not survey.request.get("loras")
    path = MODELS[survey.engine["model"]].psnr_calibration if own else None
    if path is None or not path.is_file():
        return None
    try:
        read: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        read |= {name: tuple(read[name]) for name in ("levels", "promised", "cautious")}
        found = PsnrCalibration(**read)
    except (OSError, ValueError, TypeError, KeyError):
        raise EngineError(
            f"psnr_calibration: {path.name} cannot be read; restore it from the repository."
        ) from None
    return found if found.revision == survey.engine["revision"] else None


class CheckedForecast(NamedTuple):
    """A forecast and the run that was made of it."""

    prompt: str
    expected_db: float
    measured_db: float


def calibrate_forecasts(model: str, revision: str, runs: Sequence[CheckedForecast]) -> PsnrCalibration | None:
    """None: too few runs."""
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
    """Levels, and the quantiles of how far the runs near each were off. (Nearness: a Gaussian kernel.)"""
    expected = np.array([run.expected_db for run in runs])
    off = np.array([abs(run.measured_db - run.expected_db) for run in runs])
    order = np.argsort(off)
    near = np.exp(-(((np.array(LEVELS)[:, None] - expected) / REACH) ** 2) / 2)
    enough = near.sum(axis=1) >= FEWEST
    if not enough.any():  # spread too thinly to tell levels apart
        near, enough = np.ones((len(LEVELS), len(runs))), np.ones(len(LEVELS), bool)
    shares = near[enough][:, order].cumsum(axis=1)
    shares /= shares[:, -1:]
    promised, cautious = (
        tuple(float(off[order][np.searchsorted(one, share)].round(3)) for one in shares)
        for share in (HELD, CAUTIOUS)
    )
    return tuple(np.array(LEVELS, float)[enough].tolist()), promised, cautious
