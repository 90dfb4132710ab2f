"""The expected PSNR of every setting after some settings were measured, from a Gaussian process on forecast
errors.

Forecast errors are correlated. For example, a prompt is easier than expected, an order of the predictor does
worse than expected, or neighbouring settings have similar errors. For this reason each measurement corrects
the forecasts of all other settings, and most those of similar settings. Source: Rasmussen and Williams,
Gaussian Processes for Machine Learning (2006), equations 2.25 and 2.26. The scale of the errors is learnt too
(a Student-t process, Shah et al. 2014).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import erf
from typing import NamedTuple

import numpy as np

# Shares of the error's variance: the part common to all settings, and the part common to similar settings.
SHARED, ALIKE = 0.35, 0.65
# share of the variance that is noise: runs of one setting are equal, and runs with the same features almost
# equal
NOISE = 0.01
PRIOR_MEASUREMENTS = 4.0  # the given deviation counts as much as this many measurements


class Posterior(NamedTuple):
    """The expected PSNR of each setting and the standard deviation of its error, in dB: (settings,) each."""

    mean: np.ndarray
    deviation: np.ndarray

    def reaches(self, floor: float) -> np.ndarray:
        """Return the probability that a setting has at least ``floor`` dB: (settings,)."""
        return _normal((self.mean - floor) / np.maximum(self.deviation, 1e-9))

    def gain(self, over: float) -> np.ndarray:
        """Return the expected improvement over ``over`` dB: (settings,). Source: Jones et al. 1998."""
        deviation = np.maximum(self.deviation, 1e-9)
        above = (self.mean - over) / deviation
        return deviation * (above * _normal(above) + np.exp(-(above**2) / 2) / np.sqrt(2 * np.pi))


def _normal(values: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.vectorize(erf, otypes=[float])(values / np.sqrt(2)))


class GaussianProcess:
    """The Gaussian process before any measurement.

    expected: forecast dB, (settings,). features: (settings, features); the error's part that similar settings
    share has a correlation of one half at a distance of 1. deviation: one standard deviation of each
    forecast's error in dB, (settings,).
    """

    def __init__(self, expected: np.ndarray, features: np.ndarray, deviation: np.ndarray) -> None:
        self._expected, self._features, self._deviation = expected, features, deviation

    def posterior(self, measured: Sequence[tuple[int, float]]) -> Posterior:
        """Return the posterior after these measurements: pairs of a setting's place and its measured dB."""
        if not measured:
            return Posterior(self._expected, self._deviation)
        places = np.array([place for place, _ in measured])
        off = (np.array([value for _, value in measured]) - self._expected[places]) / self._deviation[places]
        between = self._kernel(places, places) + NOISE * np.eye(len(places))
        to_all = self._kernel(np.arange(len(self._expected)), places)
        weights = np.linalg.solve(between, np.column_stack([off, to_all.T]))
        scale = (PRIOR_MEASUREMENTS + float(off @ weights[:, 0])) / (PRIOR_MEASUREMENTS + len(places))
        left = 1 - np.einsum("np,pn->n", to_all, weights[:, 1:])
        return Posterior(
            self._expected + self._deviation * (to_all @ weights[:, 0]),
            self._deviation * np.sqrt(scale * np.maximum(left, NOISE)),
        )

    def _kernel(self, rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
        gaps = self._features[rows][:, None] - self._features[columns][None]
        return SHARED + ALIKE * np.exp2(-np.square(gaps).sum(axis=-1))
