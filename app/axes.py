"""The axes of a plot: places of values, and round ticks. This file contains only arithmetic."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from .components.chart import ChartAxis

ROOM = 0.06  # share of the span that stays free at each end
LOG_FROM = 1.6  # below this ratio between its ends, a logarithmic axis gets evenly spaced ticks
STEPS = (1, 2, 2.5, 5, 10)
ROUND = (1, 1.5, 2, 3, 4, 5, 6, 8)


class Axis(NamedTuple):
    """An axis between the values ``low`` and ``high``.

    turned: the high value is on the left, or at the bottom.
    """

    low: float
    high: float
    log: bool = False
    turned: bool = False

    def place(self, value: float) -> float:
        """Return the place of a value, from 0 (left, bottom) to 100 (right, top)."""
        at, low, high = (math.log(x) if self.log else x for x in (value, self.low, self.high))
        share = (at - low) / (high - low)
        return round(100 * (1 - share if self.turned else share), 3)

    def ticks(self, count: int = 5) -> list[float]:
        """Return round values within the axis, the lowest first."""
        if self.log and self.high / self.low > LOG_FROM:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)))
            numbers = [lead * 10.0**decade for decade in decades for lead in ROUND]
            return [number for number in numbers if self.low <= number <= self.high]
        rough = (self.high - self.low) / count
        scale = 10.0 ** math.floor(math.log10(rough))
        step = next(lead * scale for lead in STEPS if lead * scale >= rough * (1 - 1e-9))
        first, last = math.ceil(self.low / step - 1e-9), math.floor(self.high / step + 1e-9)
        return [round(index * step, 12) for index in range(first, last + 1)]

    def drawn(self, name: str, shape: str, count: int = 5) -> ChartAxis:
        """Return the axis as the chart's value. ``shape`` formats a tick, such as ``"{:g}×"``."""
        return {
            "name": name,
            "ticks": [{"place": self.place(tick), "text": shape.format(tick)} for tick in self.ticks(count)],
        }


def around(values: Iterable[float], *, log: bool = False, turned: bool = False) -> Axis:
    """Return an axis with room for all values.

    Raises ValueError if there are no values. A logarithmic axis needs values above 0.
    """
    numbers = list(values)
    low, high = min(numbers), max(numbers)
    if log:
        room = max(high / low, 1.05) ** ROOM
        return Axis(low / room, high * room, log, turned)
    room = (high - low) * ROOM or abs(high) * ROOM or 1.0
    return Axis(low - room, high + room, log, turned)
