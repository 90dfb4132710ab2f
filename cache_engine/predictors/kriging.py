"""The best linear forecast: the weights with the smallest error on the runs that calibrated the model."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..plans import Gram
from .chebyshev import solved
from .differences import no_inner_products

POINTS = 3  # number of computed values in a forecast
# this share of a value's own size counts as noise, which keeps close neighbours from getting huge weights
NUGGET = 1e-5


@dataclass(frozen=True)
class Kriging:
    """Predicts from ``alike``, the mean inner products of the values at evenly spread times of a run.

    ``alike`` is symmetric and 1 on average.

    Source: the best linear prediction of Wiener 1949 and Kolmogorov 1941, called (simple) kriging since
    Matheron 1963. The weights w solve ``alike[known, known] w = alike[known, step]``. Between the measured
    times, ``alike`` is interpolated linearly. The method has no degree and no damping: the calibration runs
    show how far a trend carries.

    settle: a computed step also shows the errors of the forecasts before it. This share of the errors' sum is
    corrected in the first skipped step afterwards, so that the run returns to its path. Multistep solvers
    make similar corrections (UniPC, arXiv 2302.04867); here the correction costs no call. The best share
    depends on how much of an error the model repairs by itself. Every step has the same weight.
    """

    alike: tuple[tuple[float, ...], ...] = field(
        hash=False, repr=False
    )  # hashing this field would cost more than a forecast
    settle: float = 0.75
    keep: int = POINTS + 2
    uses_last_prediction = needs_inner_products = False

    def row(
        self,
        steps: tuple[int, ...],
        step: int,
        total: int = 0,
        last_prediction: int | None = None,
        gram: Gram = no_inner_products,
    ) -> tuple[float, ...]:
        weights = dict.fromkeys(steps, 0.0) | self._best(steps, step, total)
        if self.settle and step == steps[0] + 1:
            for then, weight in self._missed(steps, total).items():
                weights[then] += self.settle * weight
        return tuple(weights.values())

    def _missed(self, steps: tuple[int, ...], total: int) -> dict[int, float]:
        """Return the weights of the last skipped steps' errors. An error is today's forecast minus the
        forecast at that time.
        """
        after = next(
            (place for place in range(1, len(steps)) if steps[place - 1] - steps[place] > 1), len(steps)
        )
        earlier = steps[after:]
        errors = dict.fromkeys(steps, 0.0)
        for skipped in range(earlier[0] + 1, steps[after - 1]) if earlier else ():
            for sign, known_steps in ((1, steps), (-1, earlier)):
                for at, weight in self._best(known_steps, skipped, total).items():
                    errors[at] += sign * weight
        return errors

    def _best(self, steps: tuple[int, ...], step: int, total: int) -> dict[int, float]:
        steps_used = steps[:POINTS]
        matrix = [
            [self._alike(row, column, total) * (1 + NUGGET * (row == column)) for column in steps_used]
            for row in steps_used
        ]
        return dict(
            zip(
                steps_used, solved(matrix, [self._alike(row, step, total) for row in steps_used]), strict=True
            )
        )

    def _alike(self, first: int, second: int, total: int) -> float:
        return sum(
            weight * share * self.alike[i][j]
            for i, weight in self._between(first, total)
            for j, share in self._between(second, total)
        )

    def _between(self, step: int, total: int) -> tuple[tuple[int, float], tuple[int, float]]:
        """Return the two measured times around a step, each with its share. After the last time, the line is
        extended.
        """
        at = step * len(self.alike) / total
        before = min(int(at), len(self.alike) - 2)
        return (before, before + 1 - at), (before + 1, at - before)
