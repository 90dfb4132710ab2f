"""Tests against diffusers' own caches on separate models, and against TaylorSeer's recursion written out with
hooks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers.hooks.first_block_cache import FirstBlockCacheConfig
from diffusers.hooks.mag_cache import MagCacheConfig
from torch import Tensor, nn

from cache_engine.method import Method, method_from
from cache_engine.plans import ModelFacts, Plan
from cache_engine.sites.attach import attached
from tests.parity.loop import denoise, tiny_flux

STEPS = 16
RATIOS = (1.0, 1.2, 1.1, 1.05, 0.97, 1.03, 1.01, 0.94, 0.99, 0.9)
BOTH = ("cond", "uncond")


def made(name: str, **knobs: Any) -> Method:
    return method_from({"name": name, **knobs})


def ours(
    method: Method, streams: tuple[str, ...], plan: Callable[[ModelFacts], Plan] | None = None
) -> tuple[Tensor, str]:
    model, maker = tiny_flux(), SimpleNamespace(plan=plan) if plan else method
    with attached(model, maker, steps=STEPS, streams=streams) as session:
        session.begin()
        outputs = denoise(model, STEPS, streams)
    return outputs, "".join(call.mode for call in session.trace)


def theirs(config: Any, streams: tuple[str, ...]) -> Tensor:
    """diffusers keeps one state for each name of a cache context."""
    model = tiny_flux()
    model.enable_cache(config)
    calls = 0

    def called(**inputs: Any) -> Any:
        nonlocal calls
        calls += 1
        with model.cache_context(streams[(calls - 1) % len(streams)]):
            return model(**inputs)

    return denoise(called, STEPS, streams)  # type: ignore[arg-type]


@pytest.mark.parametrize("streams", [("cond",), BOTH])
@pytest.mark.parametrize("threshold", [0.05, 0.35, 0.6, 0.95])
def test_dbcache_of_one_front_block_is_first_block_cache_bit_for_bit(
    threshold: float, streams: tuple[str, ...]
) -> None:
    method = made(
        "dbcache",
        Fn_compute_blocks=1,
        Bn_compute_blocks=0,
        max_warmup_steps=0,
        taylorseer_order=0,
        residual_diff_threshold=threshold,
    )
    outputs, schedule = ours(method, streams)
    assert torch.equal(outputs, theirs(FirstBlockCacheConfig(threshold=threshold), streams))
    assert ("c" in schedule) == (threshold > 0.1)


@pytest.mark.parametrize("streams", [("cond",), BOTH])
@pytest.mark.parametrize(("threshold", "longest", "start"), [(0.06, 3, 0.2), (0.24, 5, 0.1), (0.5, 2, 0.0)])
def test_magcache_is_diffusers_magcache_on_the_same_ratios(
    threshold: float, longest: int, start: float, streams: tuple[str, ...]
) -> None:
    method = made(
        "magcache", threshold=threshold, max_continuous_cached_steps=longest, fraction=start, landmark=-1
    )
    outputs, schedule = ours(method, streams, lambda facts: method.plan(facts._replace(ratios=RATIOS)))
    config = MagCacheConfig(
        threshold=threshold,
        max_skip_steps=longest,
        retention_ratio=start,
        num_inference_steps=STEPS,
        mag_ratios=list(RATIOS),
    )
    assert torch.equal(outputs, theirs(config, streams))
    assert "cc" in schedule


class Ladder:
    """The paper's recursion on one module's output, as a forward hook that returns the forecast instead."""

    def __init__(self, order: int) -> None:
        self.order, self.rungs, self.at = order, [], -1

    def hook(
        self, clock: dict[str, int], computed: set[int], module: nn.Module, args: Any, output: Any
    ) -> Any:
        step = clock["step"]
        values = output if isinstance(output, tuple) else (output,)
        if step in computed:
            fresh = [values]
            for earlier in self.rungs[: self.order] if step >= 2 else []:
                fresh.append(tuple((now - then) / (step - self.at) for now, then in zip(fresh[-1], earlier)))
            self.rungs, self.at = fresh, step
            return output
        ahead = step - self.at
        predicted = tuple(
            sum(rung * ahead**power / math.factorial(power) for power, rung in enumerate(rungs))
            for rungs in zip(*self.rungs)
        )
        return predicted if isinstance(output, tuple) else predicted[0]


@pytest.mark.parametrize("order", [0, 1, 2])
def test_taylorseer_serves_the_recursion_of_its_paper_at_every_module(order: int) -> None:
    outputs, schedule = ours(made("taylorseer", interval=4, order=order, first=3), ("cond",))
    model, clock = tiny_flux(), {"step": -1}
    computed = {step for step, mode in enumerate(schedule) if mode == "C"}
    model.register_forward_pre_hook(lambda *_: clock.update(step=clock["step"] + 1))
    served: list[Any] = [
        module for block in model.transformer_blocks for module in (block.attn, block.ff, block.ff_context)
    ]
    served += [block.proj_out for block in model.single_transformer_blocks]
    for module in served:
        ladder = Ladder(order)
        module.register_forward_hook(lambda *call, ladder=ladder: ladder.hook(clock, computed, *call))
    expected = denoise(model, STEPS)
    assert computed == {0, 1, 2, 6, 10, 14}
    assert torch.allclose(outputs, expected, atol=2e-6)
    assert not torch.allclose(outputs, denoise(tiny_flux(), STEPS), atol=1e-4)


def test_attention_before_its_projection_gives_what_attention_after_it_gives() -> None:
    """The projection is linear, so reuse before and after it agree except for rounding."""
    after, _ = ours(made("fora", interval=3), BOTH)
    before, _ = ours(made("fora", interval=3, before_projection=True), BOTH)
    assert torch.allclose(after, before, atol=1e-6)
