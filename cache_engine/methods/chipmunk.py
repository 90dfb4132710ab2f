"""Chipmunk: partial steps compute attention for some keys and the feed-forward for some neurons.

Source: "Chipmunk: Training-Free Acceleration of Diffusion Transformers with Dynamic Column-Sparse Deltas"
(Sandy Research, 2025; code: sandyresearch/chipmunk, Apache-2.0), with the released settings for FLUX: 16.5 %
of the keys, 30 % of the neurons, the first two blocks whole, everything computed at the first two steps and
at every tenth. The authors' own kernels make the method fast. This version is a reference in plain PyTorch
and slower than the plain model: it shows the method's picture and the compute that the method takes.

Differences to the original:
- Groups are neighbours in the model's own order of tokens, not tiles of the picture.
- Keys are chosen at each computed step, not once in a run.
- 5 % of the neurons are chosen in rotation, as part of the share, not at random in addition to it.
- Shares are not rounded up to the sizes that a kernel needs.
- Each step is either computed or partial as a whole, so the feed-forward is computed at step 1 too.
- No step is skipped completely.

Memory for every block but the first ones: the attention's result without the chosen keys, the numbers of
these keys, the feed-forward's result, all its neurons, and in single blocks the attention (FLUX.1-dev, 1024 x
1024: 10.3 GB in bfloat16).
"""

from __future__ import annotations

from ..method import Method, first_knob, fits_steps, has_attention, interval_knob, knob
from ..plans import Columns, ModelFacts, Plan
from ..predictors import Reuse
from ..schedules import Interval
from ..strict import EngineError, Whole


class Chipmunk(Method):
    """Compute one step in N; in the other steps, compute some keys and neurons only. Without the authors'
    kernels it saves no time.
    """

    name = "chipmunk"
    title = "Chipmunk (saves compute, not time)"
    paper = "Sandy Research, 2025"
    grain = "column"
    always = {"interval": 1}

    interval: Whole = interval_knob(10)
    first: Whole = first_knob(2)
    keys: float = knob(
        0.165,
        "Share of keys",
        "Share of the keys that each group of 192 tokens attends to in a partial step. Saves compute, "
        "not time. 1: all keys.",
        low=0.005,
        high=1,
        step=0.005,
    )
    neurons: float = knob(
        0.3,
        "Share of neurons",
        "Share of the neurons that each group of 128 tokens runs in a partial step. Saves compute, not "
        "time. 1: all neurons.",
        low=0.05,
        high=1,
        step=0.05,
    )
    dense_blocks: Whole = knob(
        2,
        "Whole blocks",
        "This many blocks at the front run completely in every step.",
        low=0,
        high=100,
        step=1,
    )

    def plan(self, facts: ModelFacts) -> Plan:
        has_attention(self.name, facts)
        fits_steps("first", self.first, facts)
        if self.dense_blocks >= facts.blocks:
            raise EngineError(
                f"dense_blocks: {self.dense_blocks} leaves none of {facts.blocks} blocks to run in "
                f"part; choose {facts.blocks - 1} or less."
            )
        sites = (Columns(self.keys, self.neurons, self.dense_blocks),) if self.interval > 1 else ()
        return Plan(Interval(self.interval, self.first, between=("p",)), Reuse(), sites)
