"""The honest opponent: the plain model with fewer steps. No cache, no code, and often hard to beat."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from ..method import Method, knob
from ..predictors import Reuse
from ..records import ModelFacts, Plan, RunRequest
from ..schedules import Always


class FewerSteps(Method):
    """Every block at every step, for a share of the steps: a run of its own, not a subset of the baseline's steps."""

    name: ClassVar[str] = "fewer_steps"
    title: ClassVar[str] = "Fewer steps"
    paper: ClassVar[str] = ""
    grain: ClassVar[Literal["none"]] = "none"
    always: ClassVar[dict[str, Any]] = {"fraction": 1.0}

    fraction: float = knob(0.34, "Share of the steps", "Of the baseline's steps, rounded. 1: all, bit-equal.",
                           low=0.01, high=1, step=0.01)

    def effective(self, request: RunRequest) -> RunRequest:
        """The request with its share of steps, at least one. ``request`` is resolved."""
        assert request.steps is not None
        return request.replaced(steps=max(1, round(request.steps * self.fraction)))

    def plan(self, facts: ModelFacts) -> Plan:
        return Plan(Always(), Reuse(), sites=())
