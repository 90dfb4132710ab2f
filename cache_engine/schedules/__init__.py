"""WHEN to compute. Schedules work on plain floats without torch, and a simulation runs the same schedules."""

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
