"""TeaCache: all blocks are skipped while their modulated input changes little.

Paper: "Timestep Embedding Tells: It's Time to Cache" (arXiv 2411.19108). The step-to-step change of the first
block's modulated input is rescaled by a polynomial that was fitted to the model. The rescaled changes are
added up and compared with a threshold. The first and the last step are computed. The residual of all blocks
is reused. Differences: the change is measured in float32 whatever the model's dtype, and the text's residual
is reused too (no later layer reads the text after the last block).
"""

from __future__ import annotations

from ..method import Method, knob
from ..plans import ModelFacts, Plan, Signal, Stack
from ..predictors import Reuse
from ..schedules import Accumulated
from ..strict import EngineError


class TeaCache(Method):
    """Skip all blocks until the rescaled changes of their input add up to the threshold."""

    name = "teacache"
    title = "TeaCache"
    paper = "arXiv 2411.19108"
    grain = "stack"
    always = {"threshold": 0.0}

    threshold: float = knob(
        0.6,
        "Threshold",
        "Sum of the rescaled changes at which a step is computed. 0: every step is computed (exact).",
        low=0,
        high=5,
        step=0.05,
    )

    def plan(self, facts: ModelFacts) -> Plan:
        if facts.polynomial is None:
            raise EngineError(
                "teacache: its polynomial has not been fitted to this model; choose FLUX.1-dev, which "
                "has a published polynomial, or a method that needs no calibration, such as dbcache."
            )
        return Plan(
            Accumulated(self.threshold, facts.polynomial),
            Reuse(),
            (Stack(0, facts.blocks),),
            Signal("modulated_input", "previous"),
        )
