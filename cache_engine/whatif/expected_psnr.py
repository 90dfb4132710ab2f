"""Estimates the PSNR that a setting's prediction errors cost. The code uses numpy, not torch.

A cached call moves the latents by (noise level after the step - before) x (error of the model's answer). The
errors of all calls are added with their signs, as in the latents; adding their norms would lose the signs.
The errors' effect on the end of the run was measured on the baseline (error_propagation.py), along the few
directions in which runs of this picture end up different. The end of any error along these directions is
therefore known. The rest of an error lies across these directions. For this rest we take the last layer's
direct answer, minus the share that the model repairs at this noise level (``surviving_share``).

The picture's difference is represented by a few random mixtures of every token's values, as large as the
differences themselves.
"""

from __future__ import annotations

import numpy as np

from ..plans import Stack
from .replay import Replay
from .survey import Survey


def psnr_expected(survey: Survey, run: Replay) -> float | None:
    """Return the expected PSNR in dB, or None if the survey has no error propagation."""
    if not survey.products.size:
        return None
    pixels = 0.0
    for site, (places, weights) in _by_site(survey, run).items():
        pixels = pixels + np.array(weights, np.float32) @ table(survey, site.start, site.stop)[places]
    return psnr_of(pixels) if isinstance(pixels, np.ndarray) else None


def _by_site(survey: Survey, run: Replay) -> dict[Stack, tuple[list[int], list[float]]]:
    """Return each site's errors as one sum: the rows of the site's table, and their weights."""
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
    """Return the effect of errors on the final picture, in 8-bit levels: (s * t * t, n).

    Row (stream, t, u) holds n random mixtures of the picture's difference. The error is the residual that the
    blocks ``start`` to ``stop - 1`` added at step u; it is added at step t.
    """
    key = ("pixels", start, stop)
    if key not in survey.memo:
        direct, along = mixed(survey, start, stop)
        level = np.array(survey.sigmas)
        rest = surviving_share(level[1:] / level[0])[:, None, None]
        effects = rest * (direct - along @ survey.patterns) + ended(survey, start, stop) @ _patterns(survey)
        effects *= np.outer(survey.mix, np.diff(level))[:, :, None, None]
        survey.memo[key] = effects.reshape(-1, effects.shape[3]).astype(np.float32)
    return survey.memo[key]


def surviving_share(level: np.ndarray) -> np.ndarray:
    """Return the share of an error across the directions that survives to the end, by noise level 0 to 1.

    Errors made at high noise are painted over; errors made at the end stay. Model: 1 - noise level.
    """
    return 1 - level


def ended(survey: Survey, start: int, stop: int) -> np.ndarray:
    """Return how far along each direction an error ends: (s, t, t, d).

    Between the calls with known gradients, the gradients are interpolated.
    """
    behind = survey.products[:, :, stop - 1]
    gradients = behind[..., stop - 1] - (behind[..., start - 1] if start > 0 else 0.0)  # axes (c, s, d, t)
    shares = np.stack(
        [np.interp(survey.sigmas[1:], survey.levels, unit) for unit in np.eye(len(survey.levels))], axis=1
    )
    return np.einsum("xc,csdt->sxtd", shares, gradients, optimize=True)


def _patterns(survey: Survey) -> np.ndarray:
    """Return the mixtures of each direction, (d, n), with the direction's true size and its angles to the
    others.

    A few random mixtures alone would have errors of some per cent.
    """
    if "patterns" not in survey.memo:
        directions = np.linalg.qr(survey.patterns.T)[0]
        directions *= np.sign(np.einsum("nd,dn->d", directions, survey.patterns)) * len(directions) ** 0.5
        survey.memo["patterns"] = np.ascontiguousarray(directions.T, np.float32)
    return survey.memo["patterns"]


def mixed(survey: Survey, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the last layer's direct answer to an error: its mixtures (s, t, t, n), and its length along each
    direction (s, t, t, d).
    """
    weights = survey.memo.get("mixtures")
    if weights is None:
        weights = survey.memo["mixtures"] = _mixtures(survey)
    streams, steps, tokens, width, count = weights.shape
    each = count - len(survey.patterns)
    added = survey.added(start, stop).reshape(streams, steps, tokens, width)
    # for each stream and token: (steps of the values, width) @ (width, steps * mixtures)
    answers = np.moveaxis(added, 1, 2) @ weights.transpose(0, 2, 3, 1, 4).reshape(streams, tokens, width, -1)
    answers = answers.reshape(streams, tokens, steps, steps, count).transpose(0, 3, 2, 1, 4)
    return answers[..., :each].reshape(streams, steps, steps, -1), answers[..., each:].sum(axis=3)


def _mixtures(survey: Survey) -> np.ndarray:
    """Return the effect of each channel of a token, before the last norm: (s, t, tokens, width, e + d), on
    the token's e mixtures and along each of the d directions.

    The last layer is not a plain matrix: it normalises every token, then multiplies its channels by factors
    that depend on the noise level and the prompt. Along the baseline's path, the norm and the factors are
    known, and so is the layer's linear answer to a small error.
    """
    shape = (*survey.modulation.shape[:2], -1, survey.last.shape[1])
    hidden = (
        survey.entry.astype(np.float32) * survey.entry_scale + survey.added(0, survey.facts.blocks)
    ).reshape(shape)
    hidden -= hidden.mean(axis=3, keepdims=True)
    spread = hidden.std(axis=3, keepdims=True)
    hidden /= spread
    mixed = survey.mixtures @ survey.last
    effects = np.empty((*hidden.shape, mixed.shape[1]), np.float32)
    for stream, step in np.ndindex(*hidden.shape[:2]):
        normal = hidden[stream, step][:, None]
        rows = mixed * survey.modulation[stream, step]
        rows -= rows.mean(
            axis=2, keepdims=True
        )  # the norm removes a token's mean, and the part that is parallel to the token
        rows -= normal * (rows * normal).mean(axis=2, keepdims=True)
        effects[stream, step] = np.moveaxis(rows / spread[stream, step][:, None], 1, 2)
    return effects


def psnr_of(pixels: np.ndarray) -> float:
    """Return the PSNR in dB of two pictures after both were rounded to 8 bits.

    pixels: the differences before rounding, in 8-bit levels.

    Rounding hides a difference smaller than one level, or enlarges it to one level. On average, the mean
    square of a difference d becomes d^2 + rest (1 - rest), where rest is the part of d beyond whole levels.
    """
    rest = np.abs(pixels) % 1.0
    square = float(pixels @ pixels + rest @ (1 - rest)) / pixels.size
    return 10 * float(np.log10(255**2 / max(square, 1e-12)))
