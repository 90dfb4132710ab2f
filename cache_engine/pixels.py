"""What an error in a block's output does to the picture, at a few places of every token. numpy, no torch.

The last layer is no plain matrix: it normalises every token and multiplies its channels by what the noise level and the prompt ask
for. Along the baseline's path both are known, and so is its answer to a small error, to first order. Errors of several steps add
up with their signs, as they do in the latents; a norm of each would lose that. Blocks behind the skipped ones are taken to pass an
error on as it is.

A picture's difference is looked at through ``EACH`` random mixtures of every token's outputs, as large as its pixels'
differences are (signs at random; weighted by what an output does to the picture), and through one number more: how far the mean of the
output that weighs most moved. That is the picture's brightness: later steps correct patterns, but not that.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .survey import Survey

EACH = 3  # mixtures a token
WHITE = 127.5  # levels of a picture's value of one


class Seen(NamedTuple):
    """What a prediction's values do to the picture, in levels of 8 bits, for a step of noise level one. Streams s, steps t.

    pixels (s, t, t, n): what the n mixtures make, at the first step, of the values computed at the second.  even (s, t, t): of it,
    the brightness alone.  pattern (n,): the mixtures of a brightness of one; they are part of ``pixels``.
    """

    pixels: np.ndarray
    even: np.ndarray
    pattern: np.ndarray


def seen(survey: Survey, start: int, stop: int, channels: tuple[float, ...]) -> Seen | None:
    """Of what the blocks ``start..stop-1`` add. channels: weight of each output; empty: all alike.

    None where the last layer was not recorded.
    """
    if not survey.last.size:
        return None
    channels = channels or (1.0,) * len(survey.last)
    key = ("seen", start, stop, channels)
    if key not in survey.memo:
        weights = survey.memo.get(("mixtures", channels))
        if weights is None:
            weights = survey.memo["mixtures", channels] = _mixtures(survey, np.array(channels, np.float32))
        streams, steps, tokens, width, _ = weights.shape
        added = survey.added(start, stop).reshape(streams, steps, tokens, width)
        # for each stream and token: (values' steps, width) @ (width, steps * mixtures)
        found = np.moveaxis(added, 1, 2) @ weights.transpose(0, 2, 3, 1, 4).reshape(streams, tokens, width, -1)
        found = found.reshape(streams, tokens, steps, steps, EACH + 1).transpose(0, 3, 2, 1, 4)
        even = found[..., EACH].sum(axis=3)
        survey.memo[key] = Seen(np.ascontiguousarray(found[..., :EACH]).reshape(streams, steps, steps, -1), even,
                                _signs(tokens, len(channels))[..., int(np.argmax(channels))].ravel().astype(np.float32))
    return survey.memo[key]


def _mixtures(survey: Survey, channels: np.ndarray) -> np.ndarray:
    """(s, t, tokens, width, EACH + 1): what a channel of a token, before the last norm, adds to its mixtures, and to the brightness."""
    outputs, width = survey.last.shape
    shape = (*survey.modulation.shape[:2], -1, width)
    hidden = (survey.entry.astype(np.float32) * survey.entry_scale + survey.added(0, survey.facts.blocks)).reshape(shape)
    hidden -= hidden.mean(axis=3, keepdims=True)
    spread = hidden.std(axis=3, keepdims=True)
    hidden /= spread
    tokens = hidden.shape[2]
    matrix = WHITE * channels[:, None] * survey.last
    brightness = np.broadcast_to(matrix[channels.argmax()] / tokens, (tokens, 1, width))
    mixed = np.concatenate([_signs(tokens, outputs) @ matrix, brightness], axis=1)
    found = np.empty((*hidden.shape, EACH + 1), np.float32)
    for stream, step in np.ndindex(*hidden.shape[:2]):
        normal = hidden[stream, step][:, None]
        rows = mixed * survey.modulation[stream, step]
        rows -= rows.mean(axis=2, keepdims=True)  # the norm takes away a token's mean, and what lies along the token
        rows -= normal * (rows * normal).mean(axis=2, keepdims=True)
        found[stream, step] = np.moveaxis(rows / spread[stream, step][:, None], 1, 2)
    return found


def _signs(tokens: int, outputs: int) -> np.ndarray:
    """(tokens, EACH, outputs)."""
    return np.random.default_rng(0).choice(np.array([-1, 1], np.float32), size=(tokens, EACH, outputs))


def psnr_of(pixels: np.ndarray) -> float:
    """PSNR in dB of two pictures after each was rounded to 8 bits; ``pixels``: their differences before, in levels.

    Rounding hides a difference below one level or blows it up to one: at any phase, the mean square of d becomes
    d^2 + rest (1 - rest), with rest the part of d beyond its whole levels.
    """
    rest = np.abs(pixels) % 1.0
    square = float(pixels @ pixels + rest @ (1 - rest)) / pixels.size
    return 10 * float(np.log10(255**2 / max(square, 1e-12)))
