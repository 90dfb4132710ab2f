"""FORA: in skipped steps, module outputs are reused, for a fixed number of steps.

Paper: "FORA: Fast-Forward Caching in Diffusion Transformer Acceleration" (arXiv 2407.01425). Every N-th step
is computed. In the other steps, the last computed outputs of attention and feed-forward are used with the
current step's gates. The original also computes the last step; its FLUX ports and this version do not.
"""

from __future__ import annotations

from ..method import Method, first_knob, fits_steps, has_modules, interval_knob, knob
from ..plans import ModelFacts, Modules, Plan
from ..predictors import Reuse
from ..schedules import Interval
from ..strict import Whole


class FORA(Method):
    """Compute one step in N; in the other steps, reuse every module's output."""

    name = "fora"
    title = "FORA"
    paper = "arXiv 2407.01425"
    grain = "module"
    always = {"interval": 1}

    interval: Whole = interval_knob(3)
    first: Whole = first_knob(1)
    before_projection: bool = knob(
        False,
        "Before projection",
        "Remember the attention's result before its output projection. The output projection then runs in "
        "cached steps too, which costs 2 % of a step's compute. The published row for N = 3 includes it.",
    )

    def plan(self, facts: ModelFacts) -> Plan:
        has_modules(self.name, facts)
        fits_steps("first", self.first, facts)
        return Plan(
            Interval(self.interval, self.first), Reuse(), (Modules(before_projection=self.before_projection),)
        )
