"""What a cache will hold in memory, from shapes alone: to be said before a run, not found out in it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil

from .model import Section
from .models.catalog import spec_of
from .plans import Columns, Plan, Site, Stack, Tokens, active_sites
from .records import RunRequest

BYTES = {"bfloat16": 2, "float16": 2, "float32": 4}  # of one number


def cache_bytes(
    request: RunRequest, plan: Plan, *, computed: int | None = None, dtype: str = "bfloat16"
) -> int:
    """Return the bytes of one run's cache at its fullest, all streams together. ``request`` is resolved.

    computed: how many steps are computed, which bounds what is remembered; None takes all steps.
    dtype: torch's name of the type that the model runs in.
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
    """How many tokens' worth of channels one stream holds. ``tokens``: of the image, and of the text where
    it is carried.
    """
    if not plan.sites:
        return 0
    kept = (
        min(plan.predictor.keep, computed) + 2 * plan.predictor.uses_last_prediction
    )  # the value in use now, and one from before
    turns = {site.steps[0] if site.steps else 0 for site in plan.sites}
    held = max(
        sum(
            sum(columns(site, sections, lengths, tokens))
            if isinstance(site, Columns)
            else tensors(site, sections, lengths) * sum(tokens)
            for site in active_sites(plan, step)
        )
        for step in turns
    )  # of two stages one at a time
    return held * kept + (tokens[0] if plan.signal else 0)


def columns(
    site: Columns, sections: Sequence[Section], lengths: Sequence[int], tokens: Sequence[int]
) -> Iterator[int]:
    """What each block that runs in part holds: of its attention a tensor, of its feed-forward the result, all
    that entered its last layer and the groups' means.
    """
    sections_of_blocks = [
        section for section, length in zip(sections, lengths, strict=True) for _ in range(length)
    ]
    for section in sections_of_blocks[site.dense_blocks :]:
        run = sum(tokens) if section.joint else tokens[0]
        width = sum(neurons.width for neurons in section.neurons.values())
        yield sum(tokens) + run * (1 + width + section.joint) + ceil(run / site.rows) * width


def marks(plan: Plan, lengths: Sequence[int], tokens: Sequence[int], heads: int) -> int:
    """Bytes of what one stream holds beside tensors of channels: a score and a step of each token, or the
    keys that were chosen.
    """
    found, met = 0, sum(tokens)
    for site in plan.sites:
        if isinstance(site, Tokens):
            found += 8 * met * sum(lengths)
        elif isinstance(site, Columns):
            found += (
                4
                * heads
                * ceil(met / site.queries)
                * max(1, round(site.keys * met))
                * (sum(lengths) - site.dense_blocks)
            )
    return found


def tensors(site: Site, sections: Sequence[Section], lengths: Sequence[int]) -> int:
    """How many tensors as long as image and text together a site holds of one computed step."""
    if isinstance(site, Stack):
        return parts(site, sections, lengths)
    attentions = isinstance(site, Tokens)  # of single blocks too, where no output shows it
    return sum(
        (section.streams + (attentions and section.joint)) * length
        for section, length in zip(sections, lengths, strict=True)
    )


def parts(stack: Stack, sections: Sequence[Section], lengths: Sequence[int]) -> int:
    """Residuals of a stack: one for each run of block lists that carry the same tensors."""
    carried, start = [], 0
    for section, length in zip(sections, lengths, strict=True):
        within = start < stack.stop and stack.start < start + length
        if within and (not carried or carried[-1] != (section.takes, section.returns)):
            carried.append((section.takes, section.returns))
        start += length
    return len(carried)
