"""How close a setting's picture is expected to be to the baseline's, with its band. numpy, no torch.

What is expected follows from the baseline's record alone (pixels.py). The band says how far such forecasts were off on real runs of
this model; nothing is known of that until runs have been made.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .model import MODELS
from .records import EngineError
from .survey import Survey

WIDEST = 3.0  # dB to either side: a wider band would say nothing
HELD = 0.95  # of the runs, wherever a band of WIDEST can: nine of ten are promised, and other prompts may be harder
FEWEST = 12  # runs to tell from


class Likeness(NamedTuple):
    """How far one model's forecasts were off. ``revision``: of the weights that it was measured on; for others it says nothing.

    band_db: how far to either side of the expected PSNR the band reaches.  held: the share of a prompt's runs that lay within the
    band that the other prompts' runs ask for.
    """

    model: str
    revision: str
    band_db: float
    held: float
    runs: int
    prompts: int

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(self._asdict(), indent=1) + "\n", encoding="utf-8")

    def band(self, psnr_db: float) -> tuple[float, float]:
        return psnr_db - self.band_db, psnr_db + self.band_db


def likeness_of(survey: Survey) -> Likeness | None:
    """What was measured for the survey's model and weights, if anything was."""
    own = survey.engine["model"] in MODELS and not survey.request.get("loras")
    path = MODELS[survey.engine["model"]].likeness if own else None
    if path is None or not path.is_file():
        return None
    try:
        found = Likeness(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise EngineError(f"likeness: {path.name} cannot be read; restore it from the repository.") from None
    return found if found.revision == survey.engine["revision"] else None


class Judged(NamedTuple):
    """A forecast and the run that was made of it."""

    prompt: str
    expected_db: float
    measured_db: float


def calibrated(model: str, revision: str, runs: Sequence[Judged]) -> Likeness | None:
    """The band that holds ``HELD`` of the runs. None: too few runs."""
    prompts = sorted({run.prompt for run in runs})
    if len(runs) < FEWEST or len(prompts) < 2:
        return None
    held = [abs(run.measured_db - run.expected_db) <= _band([one for one in runs if one.prompt != run.prompt]) for run in runs]
    return Likeness(model, revision, _band(runs), float(np.mean(held)), len(runs), len(prompts))


def _band(runs: Sequence[Judged]) -> float:
    off = [abs(run.measured_db - run.expected_db) for run in runs]
    return min(WIDEST, float(np.quantile(off, min(1.0, HELD * (1 + 1 / len(off))))))
