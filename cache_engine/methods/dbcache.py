"""DBCache (dual block cache) with TaylorSeer: the first and last blocks run, and the residual of the middle
blocks is reused or predicted.

Source: cache-dit 1.5.3 (Apache-2.0; we took its behaviour, not its code). Intended differences from it:
- Settings that make no sense are errors here. cache-dit accepts them: with Fn + Bn >= blocks it runs blocks
  twice, with a limit of 0 it never caches, with a static mask that starts with 0 it fails during the run, it
  reads a mask of another length as zeros, and with a warm-up longer than the run it caches nothing.
- With a threshold of 1 or more, a step with another shape is still computed.
- The change is measured in float32, in warm-up steps too.
- Each stream of a guided run has its own steps and memory, without a setting by the user.
- The predictor foca follows the paper; cache-dit leaves out one of the paper's steps and a division.
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
    """Compute the first Fn and last Bn blocks; skip the blocks between them while the residual of the first
    blocks changes little.
    """

    name = "dbcache"
    title = "DBCache + TaylorSeer"
    paper = "cache-dit; forecast: arXiv 2503.06923"
    grain = "stack"
    always = {"residual_diff_threshold": 0.0}

    Fn_compute_blocks: Whole = knob(
        1,
        "First blocks",
        "Blocks at the front that run in every step. More blocks: closer to the baseline, but slower.",
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
        "Most cached steps in a row before a computed step (-1: unlimited).",
        low=-1,
        high=200,
        step=1,
    )
    residual_diff_threshold: float = knob(
        0.12,
        "Threshold",
        "Steps that change less than this are cached. 0: no step is cached (exact). 1: every step is.",
        low=0,
        high=1,
        step=0.01,
    )
    taylorseer_order: Whole = knob(
        1,
        "Taylor order",
        "Degree in time of the prediction for a cached step. 0: the last value is repeated.",
        low=0,
        high=3,
        step=1,
    )
    predictor: PredictorName = knob(
        "taylor", "Forecast", "How a cached step is predicted if the order is 1 or more."
    )
    steps_computation_mask: str = mask_knob()
    steps_computation_policy: Literal["dynamic", "static"] = knob(
        "dynamic",
        "Mask policy",
        "dynamic: limits and threshold decide the steps with 0. static: the mask alone decides.",
    )
    streak_rule: StreakRule = knob(
        "1.5.3",
        "Rule for runs",
        "How cached steps in a row are counted: as in cache-dit 1.5.3, or as in the earlier versions "
        "that made the published tables.",
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
                raise EngineError(
                    f"{name}: 0 means that no step is ever cached; choose 1 or more, or -1 for no limit."
                )
        fits_mask("steps_computation_mask", mask, facts)
        if mask.startswith("0") and self.steps_computation_policy == "static":
            raise EngineError(
                "steps_computation_mask: a static mask that starts with 0 leaves nothing to reuse; "
                "start it with 1."
            )
