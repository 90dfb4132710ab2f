"""Measures how well the decoder draws held-out renders from their exact latents: PSNR, SSIM and seams."""

from __future__ import annotations

from random import Random
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image

from cache_engine.models.patch_autoencoder import PatchAutoencoder
from cache_engine.quality import measure

from .decoder import grid, picture
from .domain import TOKEN, light
from .evaluate import held_out
from .render import render


class DecoderQuality(NamedTuple):
    """Means over renders.

    psnr_db, ssim: of the drawn pictures against the renders (SSIM with the window of the published tables).
    blockiness: seams in the drawn pictures; see the function ``blockiness``.
    render_blockiness: the same for the renders. Their things stand on the token grid, so they have some too.
    """

    psnr_db: float
    ssim: float
    blockiness: float
    render_blockiness: float


def blockiness(drawn: np.ndarray, period: int = TOKEN) -> float:
    """Return the mean step between pixels across the borders of squares, divided by the mean step elsewhere.

    drawn: a picture (n, n, 3), or several of them (..., n, n, 3). period: a square's side in pixels.
    """
    steps = [np.abs(np.diff(drawn.astype(np.float64), axis=axis)).mean(-1) for axis in (-3, -2)]
    lines = np.concatenate([steps[0], steps[1].swapaxes(-1, -2)], axis=-1)
    across = np.arange(1, lines.shape[-2] + 1) % period == 0
    return float(lines[..., across, :].mean() / lines[..., ~across, :].mean())


@torch.no_grad()
def decoder_quality(vae: PatchAutoencoder, count: int = 200) -> DecoderQuality:
    """Measure the decoder on `count` renders of held-out pairs of thing and background."""
    rng = Random(11)
    wanted = [(spec, light(rng)) for spec, _ in held_out(count)]
    drawn, renders, rows = [], [], []
    for start in range(0, count, 20):
        some = wanted[start : start + 20]
        decoded = vae.decoder(grid(vae.tokens(picture([render(*one) for one in some]))))
        drawn += list(eight_bits(decoded.permute(0, 2, 3, 1).numpy() / 2 + 0.5))
        renders += [eight_bits(render(*one, double=True)) for one in some]
    rows = [measure(Image.fromarray(a), Image.fromarray(b)) for a, b in zip(renders, drawn)]
    return DecoderQuality(
        float(np.mean([100.0 if row.psnr_db is None else row.psnr_db for row in rows])),
        float(np.mean([row.ssim for row in rows])),
        blockiness(np.stack(drawn)),
        blockiness(np.stack(renders)),
    )


def eight_bits(pictures: np.ndarray) -> np.ndarray:
    """Convert pictures in 0..1 to uint8."""
    return (np.clip(pictures, 0, 1) * 255).round().astype(np.uint8)
