"""ToCa: in a skipped step attention is reused, and the feed-forward refreshed for the tokens that need it
most.

Paper: "Accelerating Diffusion Transformers with Token-wise Feature Caching" (arXiv 2410.05317), with the
share of tokens by depth and the schedule of its code for FLUX: the first steps are computed, then one in N. A
token's need is its score at the last computed step and, added to it, its age: ``age_weight`` for every N
steps since it was run. Scores, each of length 1 over a block's tokens: the length of its value (v_norm, which
leaves fast attention alone) or of its key before it is normalised; how much attention it gets, which costs a
tenth of a step more wherever a step is computed; or age alone. low_v_norm prefers short values, as DuCa's
code for DiT does.

Where this differs on purpose: attention is remembered after its output projection, which then runs no more;
the single blocks' first layer is run for the chosen tokens without copying its weights.

Kept: every module's output, and of single blocks the attention too (FLUX.1-dev, 1024 x 1024: 3.2 GB in
bfloat16).
"""

from __future__ import annotations

from typing import Any

from ..method import Method, first_knob, fits_steps, has_attention, interval_knob, knob
from ..plans import ModelFacts, Plan, Score, Tokens
from ..predictors import Reuse
from ..schedules import Interval
from ..strict import Whole


def ratio_knob() -> Any:
    return knob(
        0.1,
        "Share of tokens",
        "How many tokens are run again in a partial step; more in the first blocks of each kind, fewer in "
        "the last. 0: none.",
        low=0,
        high=1,
        step=0.01,
    )


def score_knob() -> Any:
    return knob(
        "v_norm",
        "Which tokens",
        "What makes a token worth running: a long (or short) value, a long key, the attention it gets "
        "(costs a tenth of a computed step), or its age alone.",
    )


def age_knob() -> Any:
    return knob(
        0.25,
        "Age counts",
        "Added to a token's score for every interval that it was not run. 0: its age does not matter.",
        low=0,
        high=2,
        step=0.05,
    )


def token_site(ratio: float, score: Score, age_weight: float, interval: int) -> Tokens:
    """Tokens are never all of one score, so by age alone any weight will do."""
    return Tokens(ratio, score, 1.0 if score == "age" else age_weight / interval)


class ToCa(Method):
    """Compute one step in N; in between reuse attention and refresh some tokens' feed-forward."""

    name = "toca"
    title = "ToCa"
    paper = "arXiv 2410.05317"
    grain = "token"
    always = {"interval": 1}

    interval: Whole = interval_knob(12)
    first: Whole = first_knob(3)
    ratio: float = ratio_knob()
    score: Score = score_knob()
    age_weight: float = age_knob()

    def plan(self, facts: ModelFacts) -> Plan:
        has_attention(self.name, facts)
        fits_steps("first", self.first, facts)
        site = token_site(self.ratio, self.score, self.age_weight, self.interval)
        return Plan(Interval(self.interval, self.first, between=("p",)), Reuse(), (site,))
