"""HOW a skipped value is predicted: a row of weights over the values computed last, newest first. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial


@dataclass(frozen=True)
class Reuse:
    """The last computed value, as it is."""

    keep: int = 1

    def row(self, steps: tuple[int, ...], step: int) -> tuple[float, ...]:
        return (1.0,)


@dataclass(frozen=True)
class Taylor:
    """TaylorSeer's forecast: finite differences over computed steps as derivatives of a Taylor series.

    Paper: "From Reusing to Forecasting" (arXiv 2503.06923), eq. 2 and 3. Each rung is divided by its own gap, so over
    unevenly spaced steps a second difference is not exactly a second derivative: as in the paper's own code.
    ``first_difference`` is the earliest step at which a difference is formed: 2 there, 3 in cache-dit.
    """

    order: int
    first_difference: int = 2

    @property
    def keep(self) -> int:
        return self.order + 1

    def row(self, steps: tuple[int, ...], step: int) -> tuple[float, ...]:
        elapsed = step - steps[0]
        weights = [0.0] * len(steps)
        for power, rung in enumerate(self._ladder(steps, 0)):
            factor = elapsed**power / factorial(power)
            weights = [weight + factor * part for weight, part in zip(weights, rung, strict=True)]
        return tuple(weights)

    def _ladder(self, steps: tuple[int, ...], newest: int) -> list[list[float]]:
        """Differences of order 0, 1, ... at ``steps[newest]``, each as weights over all values."""
        rungs = [[float(place == newest) for place in range(len(steps))]]
        if newest + 1 < len(steps) and steps[newest] >= self.first_difference:
            gap = steps[newest] - steps[newest + 1]
            for earlier in self._ladder(steps, newest + 1)[: self.order]:
                rungs.append([(now - then) / gap for now, then in zip(rungs[-1], earlier, strict=True)])
        return rungs
