"""Δ-DiT: in a skipped step, a group of blocks does not run; the residual of its last computed step is added
to the current input.

Paper: "Δ-DiT: A Training-Free Acceleration Method Tailored for Diffusion Transformers" (arXiv 2406.01125),
section 4. The paper's rule has two stages: it skips the rear blocks in the early steps (they draw details)
and the front blocks in the late steps (they draw outlines). The published FLUX rows do not follow this rule:
they skip all single blocks in every stage, so this is the default here. The authors' row for N = 3 also runs
some other compute in every second skipped step. Here N = 3 means that one step in three is computed and that
nothing else runs.
"""

from __future__ import annotations

from typing import Literal

from ..method import Method, interval_knob, knob
from ..plans import ModelFacts, Plan, Stack
from ..predictors import Reuse
from ..schedules import Interval
from ..strict import EngineError, Whole


class DeltaDiT(Method):
    """Compute one step in N; in the other steps, add a group of blocks' last residual instead of running
    them.
    """

    name = "delta_dit"
    title = "Δ-DiT"
    paper = "arXiv 2406.01125"
    grain = "stack"
    always = {"interval": 1}

    interval: Whole = interval_knob(2)
    rule: Literal["singles", "staged"] = knob(
        "singles",
        "Which blocks",
        "singles: skip all single blocks, as in the published FLUX rows. staged: skip the rear blocks "
        "early and the front blocks late, as in the paper.",
    )
    ratio: float = knob(
        0.66,
        "Share of blocks",
        "Share of the blocks that are skipped, if the rule is staged.",
        low=0.01,
        high=1,
        step=0.01,
    )
    fraction: float = knob(
        0.5,
        "Early share",
        "Share of the steps in which the rear blocks are skipped, if the rule is staged.",
        low=0,
        high=1,
        step=0.01,
    )

    def plan(self, facts: ModelFacts) -> Plan:
        return Plan(
            Interval(self.interval),
            Reuse(),
            self._staged(facts) if self.rule == "staged" else self._singles(facts),
        )

    def _singles(self, facts: ModelFacts) -> tuple[Stack, ...]:
        if len(facts.sections) < 2:
            raise EngineError(
                "rule: this model has only one list of blocks, so it has no single blocks to skip; "
                "choose staged."
            )
        return (Stack(facts.sections[0], facts.blocks),)

    def _staged(self, facts: ModelFacts) -> tuple[Stack, ...]:
        skipped = max(1, round(self.ratio * facts.blocks))
        turn = round(self.fraction * facts.steps)
        return (
            Stack(facts.blocks - skipped, facts.blocks, steps=(0, turn)),
            Stack(0, skipped, steps=(turn, facts.steps)),
        )
