"""Kriging: the residual of all blocks is predicted with the weights that had the smallest error on the
model's calibration runs.

This method is our own. The inner products of the residuals at any two times of a run hardly depend on the
prompt (MagCache, arXiv 2506.09045, observed this for their size), and these inner products determine the best
linear prediction. ``predictors.Kriging`` has the equations and sources. The method remembers tensors of one
place only, has no threshold, and measures nothing during a run.
"""

from __future__ import annotations

from ..method import Method, first_knob, fits_mask, fits_steps, interval_knob, knob, mask_knob
from ..plans import ModelFacts, Plan, Stack
from ..predictors.kriging import Kriging as Best
from ..schedules import Interval, Mask
from ..strict import EngineError, Whole


class Kriging(Method):
    """Compute the steps of a mask, or one in N; in the other steps, predict the residual with calibrated
    weights.
    """

    name = "kriging"
    title = "Kriging"
    paper = "this project; the forecast: Matheron 1963"
    grain = "stack"
    always = {"interval": 1}

    interval: Whole = interval_knob(5)
    first: Whole = first_knob(1)
    settle: float = knob(
        0.75,
        "Settle",
        "Share of the earlier predictions' error that is corrected once a step is computed.",
        low=0,
        high=1,
        step=0.05,
    )
    steps_computation_mask: str = mask_knob()

    def plan(self, facts: ModelFacts) -> Plan:
        mask = self.steps_computation_mask
        fits_mask("steps_computation_mask", mask, facts)
        fits_steps("first", self.first, facts)
        if mask.startswith("0"):
            raise EngineError(
                "steps_computation_mask: the mask starts with 0, which leaves nothing to predict from; "
                "start it with 1."
            )
        if facts.alike is None:
            raise EngineError(
                "kriging: this model has no calibration of how alike its steps are; choose a method "
                "that needs no calibration, such as fixed_mask."
            )
        schedule = Mask(mask) if mask else Interval(self.interval, self.first)
        return Plan(schedule, Best(facts.alike, self.settle), (Stack(0, facts.blocks),))
