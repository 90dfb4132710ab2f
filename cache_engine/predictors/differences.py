"""Forecasts from differences between computed steps: reuse, Taylor, Hermite, Newton and FoCa."""

from __future__ import annotations

from dataclasses import dataclass
from math import factorial

from ..plans import Gram


def no_inner_products() -> tuple[tuple[float, ...], ...]:
    """Takes the place of ``gram`` for a predictor that uses step numbers alone."""
    raise AssertionError("this predictor's weights depend on the data")


@dataclass(frozen=True)
class Reuse:
    """Reuse the last computed value."""

    keep: int = 1
    uses_last_prediction = needs_inner_products = False

    def row(
        self,
        steps: tuple[int, ...],
        step: int,
        total: int = 0,
        last_prediction: int | None = None,
        gram: Gram = no_inner_products,
    ) -> tuple[float, ...]:
        return (1.0,)


@dataclass(frozen=True)
class Taylor:
    """TaylorSeer's forecast: a Taylor series whose derivatives are finite differences between computed steps.

    Paper: "From Reusing to Forecasting" (arXiv 2503.06923), eq. 2 and 3. At each computed step, the
    differences of every order are divided by the gap to the computed step before it. If steps are unevenly
    spaced, a second difference is therefore not exactly a second derivative; the paper's own code does the
    same. ``first_difference`` is the earliest step at which a difference is formed: 2 in the paper's code, 3
    in cache-dit.
    """

    order: int
    first_difference: int = 2
    uses_last_prediction = needs_inner_products = False

    @property
    def keep(self) -> int:
        return self.order + 1

    def row(
        self,
        steps: tuple[int, ...],
        step: int,
        total: int = 0,
        last_prediction: int | None = None,
        gram: Gram = no_inner_products,
    ) -> tuple[float, ...]:
        weights = [0.0] * len(steps)
        for power, rung in enumerate(self._ladder(steps, 0)):
            factor = self._term(power, step - steps[0]) / factorial(power)
            weights = [weight + factor * part for weight, part in zip(weights, rung, strict=True)]
        return tuple(weights)

    def _term(self, power: int, elapsed: int) -> float:
        return elapsed**power

    def _ladder(self, steps: tuple[int, ...], newest: int) -> list[list[float]]:
        """Return the differences of order 0, 1, ... at ``steps[newest]``, each as weights of all values."""
        rungs = [[float(place == newest) for place in range(len(steps))]]
        if newest + 1 < len(steps) and steps[newest] >= self.first_difference:
            gap = steps[newest] - steps[newest + 1]
            for earlier in self._ladder(steps, newest + 1)[: self.order]:
                rungs.append([(now - then) / gap for now, then in zip(rungs[-1], earlier, strict=True)])
        return rungs


@dataclass(frozen=True)
class Hermite(Taylor):
    """HiCache's damped forecast: scaled Hermite polynomials ``sigma^n H_n(sigma k)`` replace Taylor's
    ``k^n``.

    Paper: HiCache (arXiv 2508.16984), with its scale 0.5. The polynomials are evaluated k steps *ahead*; the
    authors' first code took -k, which they corrected later. Order 1 is Taylor's slope times ``2 sigma^2``:
    half of the slope at sigma 0.5, the full slope at 0.7071.
    """

    sigma: float = 0.5

    def _term(self, power: int, elapsed: int) -> float:
        point = self.sigma * elapsed
        before, value = 0.0, 1.0
        for n in range(power):
            before, value = value, 2 * point * value - 2 * n * before
        return self.sigma**power * value


@dataclass(frozen=True)
class Newton:
    """The polynomial through the last ``order + 1`` computed values, at whatever distances they lie."""

    order: int
    uses_last_prediction = needs_inner_products = False

    @property
    def keep(self) -> int:
        return self.order + 1

    def row(
        self,
        steps: tuple[int, ...],
        step: int,
        total: int = 0,
        last_prediction: int | None = None,
        gram: Gram = no_inner_products,
    ) -> tuple[float, ...]:
        weights = [1.0] * len(steps)
        for place, own in enumerate(steps):
            for other in steps[:place] + steps[place + 1 :]:
                weights[place] *= (step - other) / (own - other)
        return tuple(weights)


@dataclass(frozen=True)
class FoCa:
    """Forecast then calibrate: a BDF2 prediction and a Heun correction for every skipped step, in closed
    form.

    Paper: FoCa (arXiv 2508.16211), eq. 6 to 8. With slopes from finite differences, the recursion becomes
    ``F0 + j full + (1 - 2^-j) (local - full)``, j steps after the last computed step. ``full`` is the slope
    between the last two computed values. ``local`` is the slope to the value that was used one step before
    the last computed step; that value was computed or predicted. cache-dit's version differs: it leaves out
    the BDF2 step and does not divide its differences by their gap.
    """

    keep: int = 2
    uses_last_prediction, needs_inner_products = True, False

    def row(
        self,
        steps: tuple[int, ...],
        step: int,
        total: int = 0,
        last_prediction: int | None = None,
        gram: Gram = no_inner_products,
    ) -> tuple[float, ...]:
        if len(steps) < 2:
            return (1.0,) if last_prediction is None else (1.0, 0.0)
        gap, ahead = steps[0] - steps[1], step - steps[0]
        blend = (
            0.0 if last_prediction is None else 1 - 0.5**ahead
        )  # without a prediction in between, local and full are the same slope
        along = (ahead - blend) / gap
        weights = (1 + along + blend, -along)
        return weights if last_prediction is None else (*weights, -blend)
