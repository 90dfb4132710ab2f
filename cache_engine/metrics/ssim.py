"""SSIM as the published tables define it: scikit-image's, 7 x 7 uniform window, 8-bit RGB."""

from __future__ import annotations

from typing import ClassVar, Literal

from ..metric import Metric, MetricInput
from ..quality import measure


class Ssim(Metric):
    name: ClassVar[str] = "ssim"
    title: ClassVar[str] = "SSIM"
    better: ClassVar[Literal["higher"]] = "higher"
    reference: ClassVar[bool] = True
    source: ClassVar[str] = "Wang et al. 2004, as scikit-image computes it"

    def score(self, judged: MetricInput) -> float:
        return measure(judged.reference, judged.picture).ssim
