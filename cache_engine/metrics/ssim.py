"""SSIM as the published tables define it: scikit-image's SSIM with a uniform 7 x 7 window, on 8-bit RGB."""

from __future__ import annotations

from ..metric import Metric, MetricInput
from ..quality import measure


class Ssim(Metric):
    name = "ssim"
    title = "SSIM"
    better = "higher"
    reference = True
    source = "Wang et al. 2004, as scikit-image computes it"

    def score(self, scored: MetricInput) -> float:
        return measure(scored.reference, scored.picture).ssim
