"""A mask of computed steps that was searched for once, the same for every prompt.

Sources: adaptive methods keep choosing the same few schedules, so one fixed mask carries over from prompt to
prompt (Golden Path Hypothesis, nanguoyu, 2026: an exhaustive search over 50-step FLUX.1-dev runs with plain
reuse); the masks of 13 steps that BudCache and MeanCache arrived at. Theirs are for 50 steps; for another
count each place keeps its share of the run.
"""

from __future__ import annotations

from typing import Literal

from ..method import Method, fits_mask, has_modules, knob, mask_knob, order_knob
from ..plans import ModelFacts, Modules, Plan, Stack
from ..predictors import PredictorName, predictor_named
from ..schedules import Mask
from ..strict import EngineError, Whole

SEARCHED_FOR = 50  # steps
SEARCHED = {
    "golden 9": (0, 1, 2, 4, 6, 13, 24, 41, 49),
    "golden 9b": (0, 1, 2, 4, 6, 11, 21, 38, 49),
    "budcache 13": (0, 1, 2, 3, 4, 6, 11, 15, 21, 29, 39, 45, 49),
    "meancache 13": (0, 1, 2, 3, 4, 6, 9, 13, 18, 25, 34, 43, 49),
}


class FixedMask(Method):
    """Compute the steps of a searched mask; the rest is one remembered residual, reused or forecast."""

    name = "fixed_mask"
    title = "Searched mask"
    paper = "Golden Path Hypothesis (2026)"
    grain = "stack"
    always = {"mask": "every step"}

    mask: Literal["golden 9", "golden 9b", "budcache 13", "meancache 13", "every step"] = knob(
        "golden 9",
        "Searched mask",
        "Which published mask, by its number of computed steps in 50. every step: bit-equal.",
    )
    steps_computation_mask: str = mask_knob()
    predictor: PredictorName = knob(
        "taylor", "Forecast", "What predicts a skipped step where the order is 1 or more."
    )
    order: Whole = order_knob(0)
    site: Literal["stack", "modules"] = knob(
        "stack",
        "Predict what",
        "stack: what all blocks add together, one tensor. modules: every module's output.",
    )

    def plan(self, facts: ModelFacts) -> Plan:
        own = self.steps_computation_mask
        fits_mask("steps_computation_mask", own, facts)
        if own.startswith("0"):
            raise EngineError(
                "steps_computation_mask: starts with 0, so there is nothing to reuse; start it with 1."
            )
        if self.site == "modules":
            has_modules(self.name, facts)
        site = Modules() if self.site == "modules" else Stack(0, facts.blocks)
        return Plan(
            Mask(own or self._digits(facts.steps)), predictor_named(self.predictor, self.order), (site,)
        )

    def _digits(self, steps: int) -> str:
        """The searched mask for a run of ``steps`` steps, ends on ends."""
        if self.mask == "every step":
            return "1" * steps
        places = {round(step * (steps - 1) / (SEARCHED_FOR - 1)) for step in SEARCHED[self.mask]}
        return "".join("1" if step in places else "0" for step in range(steps))
