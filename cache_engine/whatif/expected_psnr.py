"""Estimates the PSNR of a setting from the errors of its predictions. The code uses numpy, not torch.

Each error is followed to the final picture:

1. The error of a predicted residual makes an error of the transformer's output. The step then moves the
   latents by (noise level after the step - noise level before it) x (error of the output) too far.
2. The later steps let this error grow or fade. They turn it mostly into a few *directions*: differences of
   the final picture that are the same for all errors. How far an error ends along each direction was measured
   after the baseline run (error_propagation.py).
3. The rest of the error is perpendicular to all directions. Of this rest, only a share is left at the end
   (``surviving_share``).

The effects of all errors are added with their signs, because errors can cancel.

A difference of two pictures is represented by random mixtures: a few sums of each token's values, with random
signs. They are scaled so that their mean square is about that of the values.
"""

from __future__ import annotations

import numpy as np

from ..plans import Stack
from .replay import Replay
from .survey import Survey


def psnr_expected(survey: Survey, run: Replay) -> float | None:
    """Return the expected PSNR of a replayed run in dB.

    Returns None if the survey has no error propagation, or if the run has no errors.
    """
    if not survey.products.size:
        return None
    pixels = 0.0
    for site, (places, weights) in _by_site(survey, run).items():
        pixels = pixels + np.array(weights, np.float32) @ table(survey, site.start, site.stop)[places]
    return psnr_of(pixels) if isinstance(pixels, np.ndarray) else None


def _by_site(survey: Survey, run: Replay) -> dict[Stack, tuple[list[int], list[float]]]:
    """Return, for each site, the sum of all errors of its predictions. The sum is given by the rows of the
    site's ``table`` and by the weights of these rows.
    """
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
    """Return how errors change the final picture, in 8-bit levels: (streams * steps * steps, mixtures).

    The errors are recorded residuals. Row (stream, t, u) holds the mixtures of the picture's change if the
    residual of the blocks ``start`` to ``stop - 1`` at step u is added behind these blocks at step t.
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
    """Return the share of an error that is left at the end of the run, if the error is perpendicular to all
    directions. We assume that the share is 1 - noise level.

    level: the noise level after the step that made the error. 1: the start of the run, where the later steps
    remove the whole error. 0: the end of the run, where the whole error stays.
    """
    return 1 - level


def ended(survey: Survey, start: int, stop: int) -> np.ndarray:
    """Return how far errors move the final picture along each direction: (streams, steps, steps, directions).

    Entry (stream, t, u, d) is the effect of the residual at step u, added behind the blocks ``start`` to
    ``stop - 1`` at step t, for a step of one unit of noise level. The survey has gradients at a few noise
    levels; at the others they are interpolated.
    """
    behind = survey.products[:, :, stop - 1]
    gradients = behind[..., stop - 1] - (behind[..., start - 1] if start > 0 else 0.0)  # axes (c, s, d, t)
    shares = np.stack(
        [np.interp(survey.sigmas[1:], survey.levels, unit) for unit in np.eye(len(survey.levels))], axis=1
    )
    return np.einsum("xc,csdt->sxtd", shares, gradients, optimize=True)


def _patterns(survey: Survey) -> np.ndarray:
    """Return the mixtures of each direction: (directions, mixtures).

    Directions are perpendicular to each other, and each has a mean square of one level. Their random mixtures
    have these properties only within a few per cent, so this function corrects the mixtures.
    """
    if "patterns" not in survey.memo:
        directions = np.linalg.qr(survey.patterns.T)[0]
        directions *= np.sign(np.einsum("nd,dn->d", directions, survey.patterns)) * len(directions) ** 0.5
        survey.memo["patterns"] = np.ascontiguousarray(directions.T, np.float32)
    return survey.memo["patterns"]


def mixed(survey: Survey, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """Return how errors would change the picture if no later step altered them. The change follows from the
    last layer alone, for one unit of noise level.

    Returns two arrays: the mixtures of the change, (streams, steps, steps, mixtures), and the length of the
    change along each direction, (streams, steps, steps, directions). Entry (stream, t, u) of both belongs to
    the residual at step u, added behind the blocks ``start`` to ``stop - 1`` at step t.
    """
    weights = survey.memo.get("mixtures")
    if weights is None:
        weights = survey.memo["mixtures"] = _mixtures(survey)
    streams, steps, tokens, width, count = weights.shape
    each = count - len(survey.patterns)
    added = survey.added(start, stop).reshape(streams, steps, tokens, width)
    # for each stream and token: (steps u, channels) @ (channels, steps t * mixtures)
    answers = np.moveaxis(added, 1, 2) @ weights.transpose(0, 2, 3, 1, 4).reshape(streams, tokens, width, -1)
    answers = answers.reshape(streams, tokens, steps, steps, count).transpose(0, 3, 2, 1, 4)
    return answers[..., :each].reshape(streams, steps, steps, -1), answers[..., each:].sum(axis=3)


def _mixtures(survey: Survey) -> np.ndarray:
    """Return how a small change of one channel of a token, before the last norm, changes the picture:
    (streams, steps, tokens, channels, e + d).

    The last axis holds the change of the token's e mixtures, then the length along each of the d directions.

    The last layer normalises every token, multiplies its channels by factors that depend on the noise level
    and the prompt, and applies a matrix. The survey has the tokens and the factors of the baseline run.
    Around these values, the effect of a small change is linear.
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
        )  # the derivative of the norm: without the mean, and without the part parallel to the token
        rows -= normal * (rows * normal).mean(axis=2, keepdims=True)
        effects[stream, step] = np.moveaxis(rows / spread[stream, step][:, None], 1, 2)
    return effects


def psnr_of(pixels: np.ndarray) -> float:
    """Return the expected PSNR in dB of two pictures after both were rounded to 8 bits.

    pixels: the differences before rounding, in 8-bit levels.

    Rounding turns a difference of 0.3 levels into 0 (in 70 of 100 pixels) or 1 (in 30). On average, the
    square of a difference d becomes d^2 + rest (1 - rest), where rest is the part of d beyond whole levels.
    """
    rest = np.abs(pixels) % 1.0
    square = float(pixels @ pixels + rest @ (1 - rest)) / pixels.size
    return 10 * float(np.log10(255**2 / max(square, 1e-12)))
