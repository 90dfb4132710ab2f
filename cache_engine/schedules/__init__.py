"""WHEN to compute. Plain floats, no torch: a simulation runs these very objects."""

from __future__ import annotations

from .drift import Accumulated, Drift, StreakRule
from .fixed import Always, Fixed, Interval, Magnitude, Mask, Widening

__all__ = [
    "Accumulated",
    "Always",
    "Drift",
    "Fixed",
    "Interval",
    "Magnitude",
    "Mask",
    "StreakRule",
    "Widening",
]
