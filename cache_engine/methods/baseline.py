"""The plain model, which computes every block at every step. The plain model is one
side of every comparison.
"""

from __future__ import annotations

from ..method import Method
from ..plans import ModelFacts, Plan
from ..predictors import Reuse
from ..schedules import Always


class Baseline(Method):
    """Compute every block at every step, through the same code path as every cache."""

    name = "baseline"
    title = "Baseline"
    paper = ""
    grain = "none"
    always = {}

    def plan(self, facts: ModelFacts) -> Plan:
        return Plan(Always(), Reuse(), sites=())
