"""Axes of a plot: from values to places in it, and the ticks that read best. Pure arithmetic."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from .components.chart import ChartAxis

ROOM = 0.06  # of the span, left free at both ends
LOG_FROM = 1.6  # a log axis whose ends are nearer than this ratio reads best with even ticks
STEPS = (1, 2, 2.5, 5, 10)
ROUND = (1, 1.5, 2, 3, 4, 5, 6, 8)


class Axis(NamedTuple):
    """``low`` and ``high`` are the values at its ends; ``turned``: the high one stands left, or at the
    bottom.
    """

    low: float
    high: float
    log: bool = False
    turned: bool = False

    def place(self, value: float) -> float:
        """0 (left, bottom) to 100 (right, top)."""
        at, low, high = (math.log(one) if self.log else one for one in (value, self.low, self.high))
        share = (at - low) / (high - low)
        return round(100 * (1 - share if self.turned else share), 3)

    def ticks(self, count: int = 5) -> list[float]:
        """Round values within the axis, lowest first."""
        if self.log and self.high / self.low > LOG_FROM:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)))
            return [
                one
                for decade in decades
                for number in ROUND
                if self.low <= (one := number * 10.0**decade) <= self.high
            ]
        rough = (self.high - self.low) / count
        scale = 10.0 ** math.floor(math.log10(rough))
        step = next(one * scale for one in STEPS if one * scale >= rough * (1 - 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(number * step, 12) for number in range(first, last + 1)]

    def drawn(self, name: str, shape: str, count: int = 5) -> ChartAxis:
        """What the chart takes: ``shape`` formats a tick, as in ``"{:g}×"``."""
        return {
            "name": name,
            "ticks": [{"place": self.place(one), "text": shape.format(one)} for one in self.ticks(count)],
        }


def around(values: Iterable[float], *, log: bool = False, turned: bool = False) -> Axis:
    """An axis with room for all values at both ends. Raises ValueError for none; on a log axis they are
    above 0.
    """
    found = list(values)
    low, high = min(found), max(found)
    if log:
        room = max(high / low, 1.05) ** ROOM
        return Axis(low / room, high * room, log, turned)
    room = (high - low) * ROOM or abs(high) * ROOM or 1.0
    return Axis(low - room, high + room, log, turned)
