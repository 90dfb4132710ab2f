"""Spectrum: in skipped steps, the last block's output comes from Chebyshev polynomials fitted to all computed
steps.

Paper: "Spectrum" (arXiv 2603.01623). Spectrum uses degree 4, ridge 0.1 and a mix with a straight line; the
windows between computed steps widen. Difference: the weights of the fit are computed in float64. The paper's
code fits in float32.
"""

from __future__ import annotations

from ..method import Method, first_knob, fits_steps, knob
from ..plans import ModelFacts, Plan, Stack
from ..predictors import Chebyshev
from ..schedules import Widening
from ..strict import Whole


class Spectrum(Method):
    """Compute steps at growing distances; in the other steps, use a polynomial fitted
    to all computed steps.
    """

    name = "spectrum"
    title = "Spectrum"
    paper = "arXiv 2603.01623"
    grain = "stack"
    always = {"window": 1.0, "growth": 0.0}

    first: Whole = first_knob(5)
    window: float = knob(
        2.0,
        "Window",
        "Steps from one computed step to the next; a fraction is rounded down.",
        low=1,
        high=50,
        step=0.25,
    )
    growth: float = knob(
        0.75, "Growth", "The window grows by this much after each computed step.", low=0, high=10, step=0.25
    )
    order: Whole = knob(4, "Order", "Degree of the polynomial.", low=1, high=8, step=1)
    ridge: float = knob(
        0.1,
        "Ridge",
        "Pulls the fit towards zero, which makes it steadier while few values are known.",
        low=0.001,
        high=10,
        step=0.001,
    )
    ratio: float = knob(
        0.5,
        "Share of the fit",
        "Weight of the polynomial; the rest of the weight goes to a straight line through the last two "
        "values.",
        low=0,
        high=1,
        step=0.05,
    )

    def plan(self, facts: ModelFacts) -> Plan:
        fits_steps("first", self.first, facts)
        return Plan(
            Widening(self.first, self.window, self.growth),
            Chebyshev(self.order, self.ridge, self.ratio),
            (Stack(0, facts.blocks, residual=False),),
        )
