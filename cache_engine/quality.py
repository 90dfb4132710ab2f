"""Compares two pictures: PSNR, SSIM and a difference picture. The comparison uses numpy
arrays and no torch.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from PIL import Image

from .records import Quality
from .strict import EngineError

# Black, purple, red, yellow, white: the lightness rises evenly, so the colours stay in order in a grey print
# too.
HEAT = np.array([(0, 0, 0), (74, 12, 107), (187, 55, 84), (249, 142, 9), (252, 255, 164)], dtype=np.float64)


def pixels(picture: Image.Image) -> np.ndarray:
    """Return the picture as an array (height, width, 3) of uint8."""
    return np.asarray(picture.convert("RGB"))


def psnr(reference: np.ndarray, other: np.ndarray) -> float | None:
    """Return 10 log10(255^2 / mean squared error) in dB over uint8 RGB, or None for identical pictures."""
    error = float(np.mean((reference.astype(np.float64) - other.astype(np.float64)) ** 2))
    return None if error == 0 else 10 * math.log10(255**2 / error)


def measure(reference: Image.Image, other: Image.Image) -> Quality:
    """Return all figures. SSIM is that of the published tables: a uniform 7 x 7 window on uint8 RGB.

    Raises EngineError if the pictures differ in size.
    """
    from skimage.metrics import structural_similarity

    a, b = pixels(reference), pixels(other)
    if a.shape != b.shape:
        raise EngineError(
            f"the pictures differ in size ({a.shape[1]} x {a.shape[0]}, {b.shape[1]} x {b.shape[0]}); "
            "only pictures of equal size can be compared."
        )
    distance = np.abs(a.astype(np.int16) - b.astype(np.int16))
    ssim: Any = structural_similarity(a, b, channel_axis=2)
    return Quality(
        psnr(a, b),
        float(ssim),
        float(distance.mean()),
        int(distance.max()),
        float((distance.max(axis=2) > 8).mean()),
    )


def difference(reference: Image.Image, other: Image.Image, gain: float = 8.0) -> Image.Image:
    """Return a heat map of each pixel's largest channel difference.

    All pictures share one scale: a difference of 255 / ``gain`` gets the hottest colour.
    """
    distance = np.abs(pixels(reference).astype(np.float64) - pixels(other)).max(axis=2)
    heat = np.clip(distance * gain / 255, 0, 1) * (len(HEAT) - 1)
    ticks = np.arange(len(HEAT))
    colours = np.stack([np.interp(heat, ticks, HEAT[:, channel]) for channel in range(3)], axis=-1)
    return Image.fromarray(colours.round().astype(np.uint8))
