"""MagCache: all blocks are skipped while the calibrated size of their residual changes little.

Paper: "MagCache: Fast Video Generation with Magnitude-Aware Cache" (arXiv 2506.09045). The size of the
residual over a run hardly depends on the prompt, so ratios that were measured once determine the schedule
before the run. The authors' FLUX script always computes one landmark of the 28 steps; diffusers' version has
no such landmark (-1).
"""

from __future__ import annotations

from ..method import Method, knob
from ..plans import ModelFacts, Plan, Stack
from ..predictors import Reuse
from ..schedules import Magnitude
from ..strict import EngineError, Whole


class MagCache(Method):
    """Skip all blocks while the expected error of reusing the residual stays below the threshold."""

    name = "magcache"
    title = "MagCache"
    paper = "arXiv 2506.09045"
    grain = "stack"
    always = {"threshold": 0.0}

    threshold: float = knob(
        0.24,
        "Threshold",
        "Sum of the expected errors at which a step is computed. 0: every step is computed (exact).",
        low=0,
        high=2,
        step=0.01,
    )
    max_continuous_cached_steps: Whole = knob(
        5, "Max in a row", "Most skipped steps in a row before a computed step.", low=1, high=200, step=1
    )
    fraction: float = knob(
        0.1, "First share", "This share of the steps at the start is computed.", low=0, high=1, step=0.01
    )
    landmark: Whole = knob(
        11,
        "Landmark",
        "Steps that belong to this entry of the ratios (28 entries for FLUX.1-dev) are always "
        "computed. -1: none.",
        low=-1,
        high=200,
        step=1,
    )

    def plan(self, facts: ModelFacts) -> Plan:
        if facts.ratios is None:
            raise EngineError(
                "magcache: its ratios have not been measured on this model; choose FLUX.1-dev, which "
                "has published ratios, or a method that needs no calibration, such as dbcache."
            )
        schedule = Magnitude(
            facts.ratios, self.threshold, self.max_continuous_cached_steps, self.fraction, self.landmark
        )
        return Plan(schedule, Reuse(), (Stack(0, facts.blocks),))
