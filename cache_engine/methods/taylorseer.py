"""TaylorSeer: in skipped steps, module outputs are predicted by a Taylor series of finite differences.

Paper: "From Reusing to Forecasting: Accelerating Diffusion Models with TaylorSeers" (arXiv 2503.06923). The
first steps are computed, then one step in N. As in the paper's code, distances are counted in steps,
differences start at step 2, and each difference is divided by its own gap. The "lite" form predicts one
tensor: the last block's output.
"""

from __future__ import annotations

from typing import Literal

from ..method import Method, first_knob, fits_steps, has_modules, interval_knob, knob, order_knob
from ..plans import ModelFacts, Modules, Plan, Stack
from ..predictors import Taylor
from ..schedules import Interval
from ..strict import Whole


class TaylorSeer(Method):
    """Compute one step in N; in the other steps, predict every module's output."""

    name = "taylorseer"
    title = "TaylorSeer"
    paper = "arXiv 2503.06923"
    grain = "module"
    always = {"interval": 1}

    interval: Whole = interval_knob(4)
    order: Whole = order_knob(2)
    first: Whole = first_knob(3)
    site: Literal["modules", "stack"] = knob(
        "modules",
        "Forecast what",
        "modules: predict every module's output, as published. stack: predict the last block's output "
        "alone, with one tensor for each order (lite).",
    )

    def plan(self, facts: ModelFacts) -> Plan:
        fits_steps("first", self.first, facts)
        if self.site == "modules":
            has_modules(self.name, facts)
        site = Modules() if self.site == "modules" else Stack(0, facts.blocks, residual=False)
        return Plan(Interval(self.interval, self.first), Taylor(self.order), (site,))
