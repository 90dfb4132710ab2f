"""PSNR as in the published tables: the difference of 8-bit numbers and its square wrap around at 256.

Above about 31 dB it is too high by at most 1 dB. Under 30 dB it says little: two unrelated pictures get about
28 dB.
"""

from __future__ import annotations

import math

import numpy as np

from ..metric import Metric, MetricInput
from ..quality import pixels


class PsnrWrapped(Metric):
    """The published arithmetic. None if it finds no error (it does not see a constant error of 16 levels)."""

    name = "psnr_wrapped"
    title = "PSNR as published (wraps)"
    better = "higher"
    reference = True
    source = "cache-dit 1.5.3's own PSNR, reproduced to compare with its tables"
    note = (
        "8-bit arithmetic that wraps at 256: only for comparison with published figures, never as a quality"
    )

    def score(self, scored: MetricInput) -> float | None:
        difference = pixels(scored.reference) - pixels(scored.picture)  # uint8, and so is its square
        error = float(np.mean(difference * difference))
        return None if error == 0 else 10 * math.log10(255**2 / error)
