"""FoCa: every skipped step is predicted, and the prediction is then corrected (calibrated).

Paper: "Forecast then Calibrate" (arXiv 2508.16211), eq. 6 to 8: a BDF2 predictor and a Heun corrector on
module outputs, with TaylorSeer's schedule. The closed form keeps three tensors for each module.
``predictors.FoCa`` has the equations, and the differences from cache-dit's predictor of that name. The
authors' code is not public; our sources are the equations and the published compute.
"""

from __future__ import annotations

from ..method import Method, first_knob, fits_steps, has_modules, interval_knob
from ..plans import ModelFacts, Modules, Plan
from ..predictors import FoCa as Corrected
from ..schedules import Interval
from ..strict import Whole


class FoCa(Method):
    """Compute one step in N; in the other steps, predict every module's output and correct the prediction."""

    name = "foca"
    title = "FoCa"
    paper = "arXiv 2508.16211"
    grain = "module"
    always = {"interval": 1}

    interval: Whole = interval_knob(5)
    first: Whole = first_knob(3)

    def plan(self, facts: ModelFacts) -> Plan:
        has_modules(self.name, facts)
        fits_steps("first", self.first, facts)
        return Plan(Interval(self.interval, self.first), Corrected(), (Modules(),))
