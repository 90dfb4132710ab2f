"""From what predictions miss to dB: how far the picture is likely to end up from the baseline's. numpy, no torch.

A cached call moves the latents by (noise level after - before) x what the last layer makes of the prediction's error. What becomes
of that until the loop ends depends on when it happens: later steps undo much of it or build on it. This response is a smooth
function of the noise level, fitted on real runs of the model (response.py), one for the picture's brightness and one for all
else; and so is the band. Nothing here is known of a model until runs have been made.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from .model import MODELS
from .pixels import psnr_of, seen
from .records import EngineError, Stack
from .replay import Replay
from .survey import Survey

KNOTS = (0.0, 0.1, 0.3, 0.6, 0.85, 1.0)  # noise levels between which the response is interpolated


class Likeness(NamedTuple):
    """One model's response. ``revision``: of the weights that it was fitted on; for others it says nothing.

    channels: how much each output of the last layer weighs in the picture.  pattern, even: log response at KNOTS, of what is no
    brightness and of what is, in a picture of medium brightness; light: what is added to ``even`` for a white one, and as much taken
    away for a black one.  band_db: how far to either side of the expected PSNR the band reaches.
    held: the share of calibration runs that lay within it when their prompt was left out.
    """

    model: str
    revision: str
    channels: tuple[float, ...]
    pattern: tuple[float, ...]
    even: tuple[float, ...]
    light: tuple[float, ...]
    band_db: float
    held: float
    runs: int
    prompts: int

    def save(self, path: Path) -> None:
        path.write_text(json.dumps(self._asdict(), indent=1) + "\n", encoding="utf-8")


NONE = (0.0,) * len(KNOTS)
UNFITTED = Likeness("", "", (), NONE, NONE, NONE, 0.0, 0.0, 0, 0)  # every error stays as it was made: good for an order, not for dB


def likeness_of(survey: Survey) -> Likeness | None:
    """What was fitted for the survey's model and weights, if anything was."""
    own = survey.engine["model"] in MODELS and not survey.request.get("loras")
    path = MODELS[survey.engine["model"]].likeness if own else None
    if path is None or not path.is_file():
        return None
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
        found = Likeness(**found | {name: tuple(found[name]) for name in ("channels", "pattern", "even", "light")})
    except (OSError, ValueError, TypeError, KeyError):
        raise EngineError(f"likeness: {path.name} cannot be read; restore it from the repository.") from None
    return found if found.revision == survey.engine["revision"] else None


def expected(survey: Survey, found: Replay, likeness: Likeness) -> tuple[float, tuple[float, float]] | None:
    """PSNR in dB and its band. None where the survey does not say what the last layer makes of an error."""
    pixels = 0.0
    for site, (places, weights) in _by_site(survey, found).items():
        table = _table(survey, site, likeness)
        if table is None:
            return None
        pixels = pixels + np.array(weights, np.float32) @ table[places]
    if not isinstance(pixels, np.ndarray):
        return None
    psnr = psnr_of(pixels)
    return psnr, (psnr - likeness.band_db, psnr + likeness.band_db)


def _by_site(survey: Survey, found: Replay) -> dict[Stack, tuple[list[int], list[float]]]:
    """For each site, what was missed as a sum: where in its table, times what."""
    steps, sums = survey.facts.steps, dict[Stack, tuple[list[int], list[float]]]()
    for site, stream, step, terms in found.missed or ():
        if site not in sums:
            sums[site] = ([], [])
        places, weights = sums[site]
        first = (stream * steps + step) * steps
        for then, weight in terms:
            places.append(first + then)
            weights.append(weight)
    return sums


def _table(survey: Survey, site: Stack, likeness: Likeness) -> np.ndarray | None:
    """(s * t * t, n): what is left at the loop's end of each call's values, by the call's stream and step and the values' step."""
    key = ("table", site.start, site.stop, likeness)
    if key not in survey.memo:
        view = seen(survey, site.start, site.stop, likeness.channels)
        if view is None:
            return None
        pattern, even = responses(basis(survey), survey.brightness, np.array([likeness.pattern, likeness.even, likeness.light]))
        pace = pace_of(survey)
        table = view.pixels * (pace * pattern)[:, :, None, None]
        table += (view.even * (pace * (even - pattern))[:, :, None])[..., None] * view.pattern
        survey.memo[key] = table.reshape(-1, table.shape[3]).astype(np.float32)
    return survey.memo[key]


def responses(basis: np.ndarray, brightness: float, logs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(t,) each, of patterns and of the brightness, from ``logs`` (3, knots). How bright a picture may turn out is left more open
    the brighter it is: light multiplies."""
    pattern, even, light = basis @ logs.T[:, 0], basis @ logs.T[:, 1], basis @ logs.T[:, 2]
    return np.exp(pattern), np.exp(even + (2 * brightness - 1) * light)


def pace_of(survey: Survey) -> np.ndarray:
    """(s, t): how far one call moves the latents, for an answer of one."""
    return np.outer(survey.mix, np.diff(levels(survey)))


def levels(survey: Survey) -> np.ndarray:
    """(t + 1,): noise levels before each step, and after the last."""
    return np.array(survey.sigmas or np.linspace(1, 0, survey.facts.steps + 1))


def basis(survey: Survey) -> np.ndarray:
    """(t, knots): each knot's share in the response after a step."""
    level = levels(survey)[1:] / levels(survey)[0]
    return np.stack([np.interp(level, KNOTS, one) for one in np.eye(len(KNOTS))], axis=1)
