"""The honest opponent: the plain model with fewer steps, often hard to beat. Within them a cache may run as
well.
"""

from __future__ import annotations

from functools import lru_cache

from pydantic import Field

from ..method import Method, knob
from ..plans import ModelFacts, Plan
from ..predictors import Reuse
from ..recipe import parse_recipe
from ..records import RunRequest
from ..schedules import Always

_parsed = lru_cache(maxsize=4096)(parse_recipe)  # a tune asks for thousands, again and again


class FewerSteps(Method):
    """A share of the steps: a run of its own, not a subset of the baseline's steps. Every block at every
    step, or as ``cache`` says.
    """

    name = "fewer_steps"
    title = "Fewer steps"
    paper = ""
    grain = "none"
    always = {"fraction": 1.0}

    fraction: float = knob(
        0.34,
        "Share of the steps",
        "Of the baseline's steps, rounded. 1: all, bit-equal.",
        low=0.01,
        high=1,
        step=0.01,
    )
    cache: str = Field(
        default="",
        title="Cache within them",
        max_length=400,
        description="A recipe of DBCache, such as F1B0_W2I1M0MC3_R0.12_T1O1. Empty: every block of every "
        "step.",
    )

    def effective(self, request: RunRequest) -> RunRequest:
        """The request with its share of steps, at least one. ``request`` is resolved."""
        assert request.steps is not None
        return request.replaced(steps=self.of(request.steps))

    def of(self, steps: int) -> int:
        """How many of so many steps."""
        return max(1, round(steps * self.fraction))

    @property
    def within(self) -> Method | None:
        """What runs in the steps that are left. Raises EngineError for a recipe that cannot be read."""
        return _parsed(self.cache) if self.cache.strip() else None

    def plan(self, facts: ModelFacts) -> Plan:
        """``facts``: of the run with fewer steps."""
        return Plan(Always(), Reuse(), sites=()) if self.within is None else self.within.plan(facts)
