"""PSNR of two pictures, from arrays of their 8-bit RGB values."""

from __future__ import annotations

from ..metric import Metric, MetricInput
from ..quality import pixels, psnr


class Psnr(Metric):
    """10 log10(255^2 / mean squared error) in dB; None for identical pictures."""

    name = "psnr"
    title = "PSNR"
    better = "higher"
    reference = True
    source = "computed in float64, without cache-dit's wrap at 256"

    def score(self, scored: MetricInput) -> float | None:
        return psnr(pixels(scored.reference), pixels(scored.picture))
