"""Spectrum: the last block's output is fitted by Chebyshev polynomials over the whole run.

Paper: "Spectrum" (arXiv 2603.01623): degree 4, ridge 0.1, mixed with a straight line; windows between
computed steps widen. Ours differs: the fit is a row of weights in float64 on the values themselves, where its
code fits in float32.
"""

from __future__ import annotations

from ..method import Method, first_knob, fits_steps, knob
from ..plans import ModelFacts, Plan, Stack
from ..predictors import Chebyshev
from ..schedules import Widening
from ..strict import Whole


class Spectrum(Method):
    """Compute ever more rarely; fit a polynomial in time to all that was computed."""

    name = "spectrum"
    title = "Spectrum"
    paper = "arXiv 2603.01623"
    grain = "stack"
    always = {"window": 1.0, "growth": 0.0}

    first: Whole = first_knob(5)
    window: float = knob(
        2.0,
        "Window",
        "From one computed step to the next, in steps (the whole part counts).",
        low=1,
        high=50,
        step=0.25,
    )
    growth: float = knob(
        0.75, "Growth", "So much wider is the window after each computed step.", low=0, high=10, step=0.25
    )
    order: Whole = knob(4, "Order", "Degree of the polynomial.", low=1, high=8, step=1)
    ridge: float = knob(
        0.1,
        "Ridge",
        "Pulls the fit towards zero; keeps it calm with few values.",
        low=0.001,
        high=10,
        step=0.001,
    )
    ratio: float = knob(
        0.5,
        "Share of the fit",
        "The rest is a straight line through the last two values.",
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
