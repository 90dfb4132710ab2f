"""PSNR as in the published tables: it is computed in 8-bit numbers, so the difference and its square wrap
around at 256.

Above about 31 dB this figure is too high by at most 1 dB. Below 30 dB this figure says little: two unrelated
pictures get about 28 dB.
"""

from __future__ import annotations

import math

import numpy as np

from ..metric import Metric, MetricInput
from ..quality import pixels


class PsnrWrapped(Metric):
    """PSNR in the published arithmetic. The result is None if this arithmetic sees no error (it does not see
    a constant error of 16 levels).
    """

    name = "psnr_wrapped"
    title = "PSNR as published (wraps)"
    better = "higher"
    reference = True
    source = "cache-dit 1.5.3's own PSNR, reproduced to compare with its tables"
    note = (
        "computed in 8-bit numbers that wrap at 256: use it to compare with published figures only, "
        "never as a quality"
    )

    def score(self, scored: MetricInput) -> float | None:
        # uint8, so the difference and its square wrap
        difference = pixels(scored.reference) - pixels(scored.picture)
        error = float(np.mean(difference * difference))
        return None if error == 0 else 10 * math.log10(255**2 / error)
