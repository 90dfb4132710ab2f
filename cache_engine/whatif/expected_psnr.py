"""What errors in a block's output do to the picture in the end. numpy, no torch.

Every cached call moves the latents by (noise level after - before) x what the model's answer is off by.
Errors of all calls add up with their signs, as they do in the latents; a norm of each would lose that. What
later steps make of them was measured on the baseline (error_propagation.py) for the few directions in which its
runs end up off: how far an error ends along each is known, whatever it is. The rest of an error, across these
directions, is taken to be what the last layer makes of it, less what a model mends of such at its noise level
(``mended``).

A picture's difference is looked at through a few random mixtures of every token's values, as large as their
differences are.
"""

from __future__ import annotations

import numpy as np

from ..plans import Stack
from .replay import Replay
from .survey import Survey


def psnr_expected(survey: Survey, found: Replay) -> float | None:
    """In dB. None where the survey does not say what errors do."""
    if not survey.products.size:
        return None
    pixels = 0.0
    for site, (places, weights) in _by_site(survey, found).items():
        pixels = pixels + np.array(weights, np.float32) @ table(survey, site.start, site.stop)[places]
    return psnr_of(pixels) if isinstance(pixels, np.ndarray) else None


def _by_site(survey: Survey, run: Replay) -> dict[Stack, tuple[list[int], list[float]]]:
    """Return each site's errors as one sum: rows of its table, and their weights."""
    steps = survey.facts.steps
    sums = dict[Stack, tuple[list[int], list[float]]]()
    last, rows, weights = None, list[int](), list[float]()
    for site, stream, step, terms in run.errors or ():
        if site is not last:
            last, (rows, weights) = site, sums.setdefault(site, ([], []))
        first = (stream * steps + step) * steps
        for then, weight in terms:
            rows.append(first + then)
            weights.append(weight)
    return sums


def table(survey: Survey, start: int, stop: int) -> np.ndarray:
    """(s * t * t, n): what is left in the picture, in levels of 8 bits seen through n mixtures, of what a
    stream's blocks ``start..stop-1`` added at the second step, were it served as an error at the first.
    """
    key = ("pixels", start, stop)
    if key not in survey.memo:
        direct, along = mixed(survey, start, stop)
        level = np.array(survey.sigmas)
        rest = mended(level[1:] / level[0])[:, None, None]
        found = rest * (direct - along @ survey.patterns) + ended(survey, start, stop) @ _patterns(survey)
        found *= np.outer(survey.mix, np.diff(level))[:, :, None, None]
        survey.memo[key] = found.reshape(-1, found.shape[3]).astype(np.float32)
    return survey.memo[key]


def mended(level: np.ndarray) -> np.ndarray:
    """What is left of an error across the directions, made before the picture has so much noise: what was
    pure noise is drawn anew, and what has none stays.
    """
    return 1 - level


def ended(survey: Survey, start: int, stop: int) -> np.ndarray:
    """(s, t, t, d): how far along each direction it ends. Between the calls whose gradients are known, these
    change evenly.
    """
    behind = survey.products[:, :, stop - 1]
    known = behind[..., stop - 1] - (behind[..., start - 1] if start > 0 else 0.0)  # (c, s, d, t)
    shares = np.stack(
        [np.interp(survey.sigmas[1:], survey.levels, one) for one in np.eye(len(survey.levels))], axis=1
    )
    return np.einsum("xc,csdt->sxtd", shares, known, optimize=True)


def _patterns(survey: Survey) -> np.ndarray:
    """(d, n): the mixtures of each direction, with its true size and angles to the others: a few mixtures
    are off by some per cent.
    """
    if "patterns" not in survey.memo:
        found = np.linalg.qr(survey.patterns.T)[0]
        found *= np.sign(np.einsum("nd,dn->d", found, survey.patterns)) * len(found) ** 0.5
        survey.memo["patterns"] = np.ascontiguousarray(found.T, np.float32)
    return survey.memo["patterns"]


def mixed(survey: Survey, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """(s, t, t, n) and (s, t, t, d): mixtures of what the last layer makes of it at once, and how far that
    is along each direction.
    """
    weights = survey.memo.get("mixtures")
    if weights is None:
        weights = survey.memo["mixtures"] = _mixtures(survey)
    streams, steps, tokens, width, count = weights.shape
    each = count - len(survey.patterns)
    added = survey.added(start, stop).reshape(streams, steps, tokens, width)
    # for each stream and token: (values' steps, width) @ (width, steps * mixtures)
    found = np.moveaxis(added, 1, 2) @ weights.transpose(0, 2, 3, 1, 4).reshape(streams, tokens, width, -1)
    found = found.reshape(streams, tokens, steps, steps, count).transpose(0, 3, 2, 1, 4)
    return found[..., :each].reshape(streams, steps, steps, -1), found[..., each:].sum(axis=3)


def _mixtures(survey: Survey) -> np.ndarray:
    """(s, t, tokens, width, e + d): what a channel of a token, before the last norm, adds to its mixtures,
    and along each direction.

    The last layer is no plain matrix: it normalises every token and multiplies its channels by what the noise
    level and the prompt ask for. Along the baseline's path both are known, and so is its answer to a small
    error, to first order.
    """
    shape = (*survey.modulation.shape[:2], -1, survey.last.shape[1])
    hidden = (
        survey.entry.astype(np.float32) * survey.entry_scale + survey.added(0, survey.facts.blocks)
    ).reshape(shape)
    hidden -= hidden.mean(axis=3, keepdims=True)
    spread = hidden.std(axis=3, keepdims=True)
    hidden /= spread
    mixed = survey.mixtures @ survey.last
    found = np.empty((*hidden.shape, mixed.shape[1]), np.float32)
    for stream, step in np.ndindex(*hidden.shape[:2]):
        normal = hidden[stream, step][:, None]
        rows = mixed * survey.modulation[stream, step]
        rows -= rows.mean(
            axis=2, keepdims=True
        )  # the norm takes away a token's mean, and what lies along the token
        rows -= normal * (rows * normal).mean(axis=2, keepdims=True)
        found[stream, step] = np.moveaxis(rows / spread[stream, step][:, None], 1, 2)
    return found


def psnr_of(pixels: np.ndarray) -> float:
    """PSNR in dB of two pictures after each was rounded to 8 bits; ``pixels``: their differences before, in
    levels.

    Rounding hides a difference below one level or blows it up to one: at any phase, the mean square of d
    becomes d^2 + rest (1 - rest), with rest the part of d beyond its whole levels.
    """
    rest = np.abs(pixels) % 1.0
    square = float(pixels @ pixels + rest @ (1 - rest)) / pixels.size
    return 10 * float(np.log10(255**2 / max(square, 1e-12)))
