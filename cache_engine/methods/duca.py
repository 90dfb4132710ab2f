"""DuCa: after each computed step, aggressive steps that run no block alternate with steps that run some
tokens.

Paper: "Accelerating Diffusion Transformers with Dual Feature Caching" (arXiv 2412.18911). The first skipped
step of an interval is aggressive: no block runs, and the last block's output is taken from the step before,
which was computed or partial. The next step runs some tokens as ToCa does, which corrects part of the errors.
After that, the two kinds of steps alternate. Tokens are chosen by the length of their value vectors, so fast
attention can be used.

Intended difference: the FLUX port that made the published rows reuses the *input* of the last block, so its
aggressive steps leave that block out. Here the last block's output is reused, as in the paper.

Memory: as much as ToCa, plus the last block's output.
"""

from __future__ import annotations

from ..method import Method, first_knob, fits_steps, has_attention, interval_knob
from ..plans import ModelFacts, Plan, Score, Stack
from ..predictors import Reuse
from ..schedules import Interval
from ..strict import Whole
from .toca import age_knob, ratio_knob, score_knob, token_site


class DuCa(Method):
    """Compute one step in N; in the other steps, alternately skip all blocks or run some tokens."""

    name = "duca"
    title = "DuCa"
    paper = "arXiv 2412.18911"
    grain = "token"
    always = {"interval": 1}

    interval: Whole = interval_knob(5)
    first: Whole = first_knob(3)
    ratio: float = ratio_knob()
    score: Score = score_knob()
    age_weight: float = age_knob()

    def plan(self, facts: ModelFacts) -> Plan:
        has_attention(self.name, facts)
        fits_steps("first", self.first, facts)
        tokens = token_site(self.ratio, self.score, self.age_weight, self.interval)
        return Plan(
            Interval(self.interval, self.first, between=("c", "p")),
            Reuse(),
            (Stack(0, facts.blocks, residual=False), tokens),
        )
