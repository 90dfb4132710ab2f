"""A fixed mask of computed steps, found once by a search. The mask is the same for every prompt.

Adaptive methods choose the same few schedules again and again, so a fixed mask works for other prompts too.
Sources: Golden Path Hypothesis (nanguoyu, 2026), an exhaustive search over 50-step FLUX.1-dev runs with plain
reuse; and the masks with 13 computed steps that BudCache and MeanCache found. All masks are for 50 steps. In
a run of another length, each computed step keeps its position as a share of the run.
"""

from __future__ import annotations

from typing import Literal

from ..method import Method, fits_mask, has_modules, knob, mask_knob, order_knob
from ..plans import ModelFacts, Modules, Plan, Stack
from ..predictors import PredictorName, predictor_named
from ..schedules import Mask
from ..strict import EngineError, Whole

SEARCHED_FOR = 50  # number of steps of the runs that the searches used
SEARCHED = {
    "golden 9": (0, 1, 2, 4, 6, 13, 24, 41, 49),
    "golden 9b": (0, 1, 2, 4, 6, 11, 21, 38, 49),
    "budcache 13": (0, 1, 2, 3, 4, 6, 11, 15, 21, 29, 39, 45, 49),
    "meancache 13": (0, 1, 2, 3, 4, 6, 9, 13, 18, 25, 34, 43, 49),
}


class FixedMask(Method):
    """Compute the steps of a mask that a search found; in the other steps, reuse or predict one residual."""

    name = "fixed_mask"
    title = "Searched mask"
    paper = "Golden Path Hypothesis (2026)"
    grain = "stack"
    always = {"mask": "every step"}

    mask: Literal["golden 9", "golden 9b", "budcache 13", "meancache 13", "every step"] = knob(
        "golden 9",
        "Searched mask",
        "A published mask; its number says how many of 50 steps are computed. every step: exact.",
    )
    steps_computation_mask: str = mask_knob()
    predictor: PredictorName = knob(
        "taylor", "Forecast", "How a skipped step is predicted if the order is 1 or more."
    )
    order: Whole = order_knob(0)
    site: Literal["stack", "modules"] = knob(
        "stack",
        "Predict what",
        "stack: remember the residual of all blocks together, one tensor. modules: remember every "
        "module's output.",
    )

    def plan(self, facts: ModelFacts) -> Plan:
        own = self.steps_computation_mask
        fits_mask("steps_computation_mask", own, facts)
        if own.startswith("0"):
            raise EngineError(
                "steps_computation_mask: the mask starts with 0, which leaves nothing to reuse; start "
                "it with 1."
            )
        if self.site == "modules":
            has_modules(self.name, facts)
        site = Modules() if self.site == "modules" else Stack(0, facts.blocks)
        return Plan(
            Mask(own or self._digits(facts.steps)), predictor_named(self.predictor, self.order), (site,)
        )

    def _digits(self, steps: int) -> str:
        """Return the searched mask for a run of ``steps`` steps. The first and the last step are computed or
        skipped as in the mask of 50.
        """
        if self.mask == "every step":
            return "1" * steps
        places = {round(step * (steps - 1) / (SEARCHED_FOR - 1)) for step in SEARCHED[self.mask]}
        return "".join("1" if step in places else "0" for step in range(steps))
