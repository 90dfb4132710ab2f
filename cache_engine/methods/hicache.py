"""HiCache: TaylorSeer with scaled Hermite polynomials instead of powers, which damps predictions over many
steps.

Paper: "HiCache: Training-free Acceleration of Diffusion Models via Hermite Polynomial-based Feature Caching"
(arXiv 2508.16984). The polynomials are evaluated k steps ahead. The authors' first code took -k; they
corrected this error in later work.
"""

from __future__ import annotations

from ..method import Method, first_knob, fits_steps, has_modules, interval_knob, knob, order_knob
from ..plans import ModelFacts, Modules, Plan
from ..predictors import Hermite
from ..schedules import Interval
from ..strict import Whole


class HiCache(Method):
    """Compute one step in N; in the other steps, predict every module's output, with damping."""

    name = "hicache"
    title = "HiCache"
    paper = "arXiv 2508.16984"
    grain = "module"
    always = {"interval": 1}

    interval: Whole = interval_knob(5)
    order: Whole = order_knob(2)
    first: Whole = first_knob(3)
    sigma: float = knob(
        0.5,
        "Scale",
        "Strength of the prediction: the slope is multiplied by 2 sigma², so sigma 0.5 halves it.",
        low=0.05,
        high=1,
        step=0.05,
    )

    def plan(self, facts: ModelFacts) -> Plan:
        has_modules(self.name, facts)
        fits_steps("first", self.first, facts)
        return Plan(Interval(self.interval, self.first), Hermite(self.order, sigma=self.sigma), (Modules(),))
