"""ToCa: partial steps reuse the attention, and run the feed-forward for the tokens that need it most.

Paper: "Accelerating Diffusion Transformers with Token-wise Feature Caching" (arXiv 2410.05317). The share of
tokens by depth and the schedule are those of the authors' code for FLUX: the first steps are computed, then
one step in N. A token's need is its score at the last computed step plus its age: ``age_weight`` for every N
steps since the token was last run. A block's scores are scaled to length 1. The score is one of these:
- the length of the token's value vector (v_norm), which works with fast attention; low_v_norm prefers short
  values, as DuCa's code for DiT does;
- the length of the token's key vector before normalisation;
- the attention that the token gets; measuring it costs a tenth of a step more at every computed step;
- nothing: the age alone decides.

Intended differences: attention is remembered after its output projection, so the projection does not run in
partial steps; the single blocks' first layer runs for the chosen tokens without a copy of its weights.

Memory: every module's output, and the attention of single blocks (FLUX.1-dev, 1024 x 1024: 3.2 GB in
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
        "Share of the tokens that run in a partial step. The first blocks of each kind run more "
        "tokens, the last ones fewer. 0: none.",
        low=0,
        high=1,
        step=0.01,
    )


def score_knob() -> Any:
    return knob(
        "v_norm",
        "Which tokens",
        "Which tokens run first: those with long (or short) value vectors, with long key vectors, with "
        "much attention (costs a tenth of a computed step), or the oldest.",
    )


def age_knob() -> Any:
    return knob(
        0.25,
        "Age counts",
        "A token's score grows by this much for every interval in which it did not run. 0: age does "
        "not matter.",
        low=0,
        high=2,
        step=0.05,
    )


def token_site(ratio: float, score: Score, age_weight: float, interval: int) -> Tokens:
    """Return the token site of these knobs. For the score "age", every weight gives the
    same order of tokens.
    """
    return Tokens(ratio, score, 1.0 if score == "age" else age_weight / interval)


class ToCa(Method):
    """Compute one step in N; in the other steps, reuse attention and run the feed-forward for some tokens."""

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
