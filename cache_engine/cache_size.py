"""Computes a cache's memory from shapes alone, so that the page can show it before a run."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil

from .model import Section
from .models.catalog import spec_of
from .plans import Columns, Plan, Site, Stack, Tokens, active_sites
from .records import RunRequest

BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}  # bytes of one number


def cache_bytes(
    request: RunRequest, plan: Plan, *, computed: int | None = None, dtype: str = "bfloat16"
) -> int:
    """Return the bytes of one run's cache at its fullest, all streams together. ``request`` is resolved.

    computed: the number of computed steps, which limits how many values are remembered; None means all steps.
    dtype: torch's name for the type of the model's numbers.
    """
    spec = spec_of(request.model)
    facts, inputs = spec.facts(request), spec.inputs(request)
    tokens = [inputs[name][-2] for name in spec.sections[0].takes]
    channels = spec.config["num_attention_heads"] * spec.config["attention_head_dim"]
    count = numbers(plan, spec.sections, facts.sections, tokens, min(computed or facts.steps, facts.steps))
    noted = marks(plan, facts.sections, tokens, spec.config["num_attention_heads"])
    return (count * channels * BYTES[dtype] + noted) * len(facts.streams)


def numbers(
    plan: Plan, sections: Sequence[Section], lengths: Sequence[int], tokens: Sequence[int], computed: int
) -> int:
    """Return how many vectors one stream's cache holds; each has ``channels`` numbers.

    tokens: number of the image's tokens, and of the text's tokens if the blocks carry the text.
    """
    if not plan.sites:
        return 0
    # a predictor that uses the last prediction keeps two more values: the current prediction and the earlier
    # one
    values = min(plan.predictor.keep, computed) + 2 * plan.predictor.uses_last_prediction
    turns = {site.steps[0] if site.steps else 0 for site in plan.sites}
    size = max(  # only one of a run's stages holds memory at a time
        sum(
            sum(columns(site, sections, lengths, tokens))
            if isinstance(site, Columns)
            else tensors(site, sections, lengths) * sum(tokens)
            for site in active_sites(plan, step)
        )
        for step in turns
    )
    return size * values + (tokens[0] if plan.signal else 0)


def columns(
    site: Columns, sections: Sequence[Section], lengths: Sequence[int], tokens: Sequence[int]
) -> Iterator[int]:
    """Yield the number of vectors that each partly computed block holds.

    The vectors are the attention's result, the feed-forward's result, all inputs of the feed-forward's last
    layer, and the means of the groups.
    """
    sections_of_blocks = [
        section for section, length in zip(sections, lengths, strict=True) for _ in range(length)
    ]
    for section in sections_of_blocks[site.dense_blocks :]:
        run = sum(tokens) if section.joint else tokens[0]
        width = sum(neurons.width for neurons in section.neurons.values())
        yield sum(tokens) + run * (1 + width + section.joint) + ceil(run / site.rows) * width


def marks(plan: Plan, lengths: Sequence[int], tokens: Sequence[int], heads: int) -> int:
    """Return the bytes of one stream's bookkeeping: each token's score and step, or the chosen keys."""
    size, count = 0, sum(tokens)
    for site in plan.sites:
        if isinstance(site, Tokens):
            size += 8 * count * sum(lengths)
        elif isinstance(site, Columns):
            size += (
                4
                * heads
                * ceil(count / site.queries)
                * max(1, round(site.keys * count))
                * (sum(lengths) - site.dense_blocks)
            )
    return size


def tensors(site: Site, sections: Sequence[Section], lengths: Sequence[int]) -> int:
    """Return how many tensors of one computed step a site holds. Each tensor is as long as image and text
    together.
    """
    if isinstance(site, Stack):
        return parts(site, sections, lengths)
    # token sites also keep the attention of single blocks, which is not an output module
    attentions = isinstance(site, Tokens)
    return sum(
        (section.streams + (attentions and section.joint)) * length
        for section, length in zip(sections, lengths, strict=True)
    )


def parts(stack: Stack, sections: Sequence[Section], lengths: Sequence[int]) -> int:
    """Return the number of a stack's residuals: one for each run of block lists that
    carry the same tensors.
    """
    carried, start = [], 0
    for section, length in zip(sections, lengths, strict=True):
        within = start < stack.stop and stack.start < start + length
        if within and (not carried or carried[-1] != (section.takes, section.returns)):
            carried.append((section.takes, section.returns))
        start += length
    return len(carried)
