"""The plain model: every block at every step. The other side of every comparison."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from ..method import Method
from ..plans import ModelFacts, Plan
from ..predictors import Reuse
from ..schedules import Always


class Baseline(Method):
    """Always computes; runs through the same code path as every cache."""

    name: ClassVar[str] = "baseline"
    title: ClassVar[str] = "Baseline"
    paper: ClassVar[str] = ""
    grain: ClassVar[Literal["none"]] = "none"
    always: ClassVar[dict[str, Any]] = {}

    def plan(self, facts: ModelFacts) -> Plan:
        return Plan(Always(), Reuse(), sites=())
