"""DuCa: between two computed steps, whole steps are skipped and some tokens refreshed, in turn.

Paper: "Accelerating Diffusion Transformers with Dual Feature Caching" (arXiv 2412.18911). The first skipped
step of an interval is an aggressive one: no block runs, and the last block's output is the one of the step
before, whether that was computed or partial. The next one is ToCa's, which sets right some of what went
wrong; and so on in turn. Tokens are chosen by their values' length, so fast attention stays.

Where this differs on purpose: the port to FLUX that the published rows were made with reuses what *enters*
the last block, so its aggressive steps leave that block out; here it is the output, as in the paper.

Kept: what ToCa keeps, and the last block's output.
"""

from __future__ import annotations

from ..method import Method, first_knob, fits_steps, has_attention, interval_knob
from ..plans import ModelFacts, Plan, Score, Stack
from ..predictors import Reuse
from ..schedules import Interval
from ..strict import Whole
from .toca import age_knob, ratio_knob, score_knob, token_site


class DuCa(Method):
    """Compute one step in N; in between skip all blocks and refresh some tokens, in turn."""

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
