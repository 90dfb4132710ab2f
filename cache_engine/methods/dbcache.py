"""DBCache (dual block cache) with TaylorSeer: first and last blocks run, the middle is reused or predicted.

Source: cache-dit 1.5.3 (Apache-2.0; we took its behaviour, not its code). Intended differences:
- Settings that make no sense are errors here. cache-dit accepts them: Fn + Bn >= blocks runs blocks twice, a
  limit of 0 never caches, a static mask that starts with 0 fails during the run, a mask of another length is
  read as zeros, and a warm-up longer than the run caches nothing.
- With a threshold of 1 or more, a change of shape still computes the step.
- The change is measured in float32, in warm-up steps too.
- Each stream of a guided run has its own steps and memory, without any setting by the user.
- The predictor foca follows the paper. cache-dit leaves out one of its steps and a division.
- The predictor dmd fits a whole batch at once.
"""

from __future__ import annotations

from typing import Literal

from ..method import Method, fits_mask, fits_steps, knob, mask_knob
from ..plans import ModelFacts, Plan, Signal, Stack
from ..predictors import PredictorName, predictor_named
from ..schedules import Drift, StreakRule
from ..strict import EngineError, Whole


class DBCache(Method):
    """Compute the first Fn and last Bn blocks; skip the middle while the front's residual moved little."""

    name = "dbcache"
    title = "DBCache + TaylorSeer"
    paper = "cache-dit; forecast: arXiv 2503.06923"
    grain = "stack"
    always = {"residual_diff_threshold": 0.0}

    Fn_compute_blocks: Whole = knob(
        1,
        "First blocks",
        "Blocks at the front that run in every step. More: closer to the baseline, slower.",
        low=1,
        high=100,
        step=1,
    )
    Bn_compute_blocks: Whole = knob(
        0,
        "Last blocks",
        "Blocks at the end that run in every step, after the skipped middle.",
        low=0,
        high=100,
        step=1,
    )
    max_warmup_steps: Whole = knob(
        4, "Warm-up steps", "This many steps at the start are computed.", low=0, high=200, step=1
    )
    warmup_interval: Whole = knob(
        1, "Warm-up interval", "During warm-up, compute every Nth step.", low=1, high=50, step=1
    )
    max_cached_steps: Whole = knob(
        -1,
        "Cached in all",
        "Most steps of a run that may be cached (-1: unlimited).",
        low=-1,
        high=200,
        step=1,
    )
    max_continuous_cached_steps: Whole = knob(
        -1,
        "Max in a row",
        "Most cached steps in a row before a computed one (-1: unlimited).",
        low=-1,
        high=200,
        step=1,
    )
    residual_diff_threshold: float = knob(
        0.12,
        "Threshold",
        "Steps that change less than this are cached. 0: none (exact). 1: all.",
        low=0,
        high=1,
        step=0.01,
    )
    taylorseer_order: Whole = knob(
        1,
        "Taylor order",
        "Degree of the prediction for a cached step. 0 repeats the last value.",
        low=0,
        high=3,
        step=1,
    )
    predictor: PredictorName = knob(
        "taylor", "Forecast", "How a cached step is predicted, if the order is 1 or more."
    )
    steps_computation_mask: str = mask_knob()
    steps_computation_policy: Literal["dynamic", "static"] = knob(
        "dynamic",
        "Mask policy",
        "dynamic: at zeros, limits and threshold still decide. static: the mask alone decides.",
    )
    streak_rule: StreakRule = knob(
        "1.5.3",
        "Rule for runs",
        "How cached steps in a row are counted: as cache-dit 1.5.3 does, or as earlier versions did, with "
        "which the published tables were made.",
    )

    def plan(self, facts: ModelFacts) -> Plan:
        self._fits(facts)
        front, stop = self.Fn_compute_blocks, facts.blocks - self.Bn_compute_blocks
        schedule = Drift(
            warmup=self.max_warmup_steps,
            interval=self.warmup_interval,
            threshold=self.residual_diff_threshold,
            max_cached=self.max_cached_steps,
            max_in_a_row=self.max_continuous_cached_steps,
            mask=self.steps_computation_mask,
            static=self.steps_computation_policy == "static",
            streak_rule=self.streak_rule,
        )
        predictor = predictor_named(self.predictor, self.taylorseer_order, first_difference=3)
        return Plan(schedule, predictor, (Stack(front, stop),), Signal("front_residual", "computed"))

    def _fits(self, facts: ModelFacts) -> None:
        front, back, mask = self.Fn_compute_blocks, self.Bn_compute_blocks, self.steps_computation_mask
        if front + back >= facts.blocks:
            raise EngineError(
                f"Fn_compute_blocks + Bn_compute_blocks: {front} + {back} leaves nothing to skip of "
                f"{facts.blocks} blocks; keep their sum at {facts.blocks - 1} or less."
            )
        fits_steps("max_warmup_steps", self.max_warmup_steps, facts, low=0)
        for name in ("max_cached_steps", "max_continuous_cached_steps"):
            if getattr(self, name) == 0:
                raise EngineError(f"{name}: 0 would never cache; choose 1 or more, or -1 for no limit.")
        fits_mask("steps_computation_mask", mask, facts)
        if mask.startswith("0") and self.steps_computation_policy == "static":
            raise EngineError(
                "steps_computation_mask: a static mask that starts with 0 has nothing to reuse; start it "
                "with 1."
            )
