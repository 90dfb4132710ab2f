"""What is believed of every setting's likeness after some of them were measured: a Gaussian process on how
far forecasts were off.

Forecasts err together: a prompt is easier than expected, an order of the forecast does worse than expected,
neighbours err alike. So each measured setting corrects the others, the more the more they are like it.
Source: Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), equations 2.25 and 2.26; the
scale of the errors is itself learnt (a Student-t process, Shah et al. 2014).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import erf
from typing import NamedTuple

import numpy as np

SHARED, ALIKE = 0.35, 0.65  # shares of the variance: of all settings together, and of those that are alike
NOISE = 0.01  # of the variance: two runs of one setting are equal, two of one description nearly
FAITH = 4.0  # in how many measurements' worth of evidence the stated band is believed


class Posterior(NamedTuple):
    """By setting, in dB: what is expected now, and the standard deviation of what it may be off."""

    mean: np.ndarray
    spread: np.ndarray

    def reaches(self, floor: float) -> np.ndarray:
        """By setting, the probability of at least ``floor`` dB."""
        return _normal((self.mean - floor) / np.maximum(self.spread, 1e-9))

    def gain(self, over: float) -> np.ndarray:
        """By setting, by how many dB it is expected to be better than ``over`` (expected improvement, Jones
        et al. 1998).
        """
        spread = np.maximum(self.spread, 1e-9)
        above = (self.mean - over) / spread
        return spread * (above * _normal(above) + np.exp(-(above**2) / 2) / np.sqrt(2 * np.pi))


def _normal(values: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.vectorize(erf, otypes=[float])(values / np.sqrt(2)))


class GaussianProcess:
    """``expected`` (n,): forecast dB.  ``features`` (n, d): settings a distance of 1 apart err half alike.
    ``spread`` (n,): how far each forecast is said to be off, one standard deviation in dB.
    """

    def __init__(self, expected: np.ndarray, features: np.ndarray, spread: np.ndarray) -> None:
        self._expected, self._features, self._spread = expected, features, spread

    def after(self, measured: Sequence[tuple[int, float]]) -> Posterior:
        """Given (setting, measured dB) pairs."""
        if not measured:
            return Posterior(self._expected, self._spread)
        places = np.array([place for place, _ in measured])
        off = (np.array([value for _, value in measured]) - self._expected[places]) / self._spread[places]
        between = self._kernel(places, places) + NOISE * np.eye(len(places))
        to_all = self._kernel(np.arange(len(self._expected)), places)
        weights = np.linalg.solve(between, np.column_stack([off, to_all.T]))
        scale = (FAITH + float(off @ weights[:, 0])) / (FAITH + len(places))
        left = 1 - np.einsum("np,pn->n", to_all, weights[:, 1:])
        return Posterior(
            self._expected + self._spread * (to_all @ weights[:, 0]),
            self._spread * np.sqrt(scale * np.maximum(left, NOISE)),
        )

    def _kernel(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        gaps = self._features[rows][:, None] - self._features[columns][None]
        return SHARED + ALIKE * np.exp2(-np.square(gaps).sum(axis=-1))
