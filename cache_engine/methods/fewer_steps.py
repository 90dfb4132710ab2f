"""The plain model with fewer steps. Caches must be compared with fewer steps, because these are often hard to
beat.

A cache can also be used within the fewer steps.
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

_parsed = lru_cache(maxsize=4096)(parse_recipe)  # a tune parses thousands of recipes, each many times


class FewerSteps(Method):
    """Run a share of the steps, as a run of its own: these steps are not a subset of the baseline's."""

    name = "fewer_steps"
    title = "Fewer steps"
    paper = ""
    grain = "none"
    always = {"fraction": 1.0}

    fraction: float = knob(
        0.34,
        "Share of the steps",
        "Share of the baseline's steps, rounded to whole steps. 1: all steps (exact).",
        low=0.01,
        high=1,
        step=0.01,
    )
    cache: str = Field(
        default="",
        title="Cache within them",
        max_length=400,
        description="A DBCache recipe for these steps, such as F1B0_W2I1M0MC3_R0.12_T1O1. Empty: no cache.",
    )

    def effective(self, request: RunRequest) -> RunRequest:
        """Return the request with this share of its steps, at least one step. ``request`` is resolved."""
        assert request.steps is not None
        return request.replaced(steps=self.of(request.steps))

    def of(self, steps: int) -> int:
        """Return this share of ``steps``, rounded, and at least 1."""
        return max(1, round(steps * self.fraction))

    @property
    def within(self) -> Method | None:
        """Return the cache used within the fewer steps. Raises EngineError for a recipe
        that cannot be read.
        """
        return _parsed(self.cache) if self.cache.strip() else None

    def plan(self, facts: ModelFacts) -> Plan:
        """Return the plan of the run with fewer steps. ``facts`` describes that run."""
        return Plan(Always(), Reuse(), sites=()) if self.within is None else self.within.plan(facts)
