"""PSNR of two pictures' 8-bit RGB values, from arrays."""

from __future__ import annotations

from ..metric import Metric, MetricInput
from ..quality import pixels, psnr


class Psnr(Metric):
    """10 log10(255^2 / mean squared error) in dB; None for identical pictures."""

    name = "psnr"
    title = "PSNR"
    better = "higher"
    reference = True
    source = "over float64; what the seed's script was meant to compute"

    def score(self, judged: MetricInput) -> float | None:
        return psnr(pixels(judged.reference), pixels(judged.picture))
