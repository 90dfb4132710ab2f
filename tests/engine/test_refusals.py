"""Tests uses of a model in which skipped blocks would break the result or mislead: each is supported, or
refused by name.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from accelerate.hooks import AlignDevicesHook, add_hook_to_module
from diffusers.hooks import FirstBlockCacheConfig, apply_first_block_cache, apply_group_offloading
from torch import nn

from cache_engine.method import METHODS
from cache_engine.sites.attach import attached
from cache_engine.strict import EngineError
from tests.engine.tiny_models import Calls, sample, tiny

NAME = "FluxTransformer2DModel"
METHOD = METHODS["dbcache"](Fn_compute_blocks=1, max_warmup_steps=1, residual_diff_threshold=1)
CALLS = Calls(NAME)


def blocks(model: Any) -> list[nn.Module]:
    return [*model.transformer_blocks, *model.single_transformer_blocks]


def sequential(model: Any) -> None:
    for block in blocks(model):
        add_hook_to_module(block, AlignDevicesHook("cpu"))


def grouped(model: Any) -> None:
    apply_group_offloading(
        model,
        onload_device=torch.device("cpu"),
        offload_device=torch.device("cpu"),
        offload_type="block_level",
        num_blocks_per_group=1,
    )


def elsewhere(model: Any) -> None:
    model.single_transformer_blocks[1].to("meta")


def parallel(model: Any) -> None:
    model._parallel_config = SimpleNamespace()


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (sequential, "sequential offload, or a device map"),
        (grouped, "group offloading"),
        (elsewhere, r"on 2 devices \(cpu, meta\)"),
        (lambda model: model.compile(backend="eager"), "compiled as a whole"),
        (parallel, "context parallelism"),
        (
            lambda model: apply_first_block_cache(model, FirstBlockCacheConfig()),
            "disable the model's other cache",
        ),
    ],
    ids=["sequential", "group", "devices", "compiled", "parallel", "other cache"],
)
def test_refused_before_anything_runs(made: Callable[[Any], None], sentence: str) -> None:
    model = tiny(NAME)
    made(model)
    with pytest.raises(EngineError, match=sentence), attached(model, METHOD, steps=3):
        pytest.fail("attached")


@pytest.mark.parametrize(
    ("name", "argument", "value"),
    [
        (NAME, "controlnet_block_samples", [torch.zeros(1)]),
        (NAME, "controlnet_single_block_samples", [torch.zeros(1)]),
        ("SD3Transformer2DModel", "block_controlnet_hidden_states", [torch.zeros(1)]),
        ("SD3Transformer2DModel", "skip_layers", [1]),
        ("Flux2Transformer2DModel", "kv_cache", object()),
    ],
)
def test_arguments_that_act_between_blocks_are_refused(name: str, argument: str, value: Any) -> None:
    model, calls = tiny(name), Calls(name)
    with attached(model, METHOD, steps=3) as session, torch.inference_mode():
        session.begin()
        with pytest.raises(EngineError, match=r"run it without|switch it off"):
            model(**calls.at(0), **{argument: value})


@torch.inference_mode()
def test_compiled_blocks_are_cached_as_plain_ones_are() -> None:
    """Each block runs as it was compiled and is compiled once; the traced code contains none of our code."""
    traced: list[int] = []

    def backend(graph: Any, inputs: Any) -> Any:
        traced.append(len(graph.graph.nodes))
        return graph.forward

    def outputs(model: Any) -> tuple[list[torch.Tensor], str]:
        with attached(model, METHOD, steps=4) as session:
            session.begin()
            collected = [sample(model(**CALLS.at(step), return_dict=False)) for step in range(4)]
        return collected, "".join(call.mode for call in session.trace)

    plain, compiled = tiny(NAME), tiny(NAME)
    for block in blocks(compiled):
        block.compile(backend=backend, fullgraph=True)
    before = [set(vars(block)) for block in blocks(compiled)]
    ours, theirs = outputs(compiled), outputs(plain)
    assert ours[1] == theirs[1] == "Cccc"
    assert all(map(torch.equal, ours[0], theirs[0]))
    assert 0 < len(traced) <= 4
    once = len(traced)
    outputs(compiled)
    assert len(traced) == once
    assert [set(vars(block)) for block in blocks(compiled)] == before
    assert all(block._compiled_call_impl is not None for block in blocks(compiled))


@pytest.mark.parametrize("name", ["toca", "chipmunk"])
def test_compiled_blocks_are_not_run_in_part(name: str) -> None:
    model = tiny(NAME)
    for block in blocks(model):
        block.compile(backend="eager")
    with attached(model, METHODS[name](), steps=4) as session:
        session.begin()
        with pytest.raises(EngineError, match=r"^the blocks are compiled, "):
            model(**CALLS.at(0))


@pytest.mark.parametrize("first", ["hidden_states", "txt_ids", "timestep"])
@torch.inference_mode()
def test_a_batch_is_decided_as_one_and_costs_as_many(first: str) -> None:
    """The arguments may be named in any order."""
    model = tiny(NAME)
    with attached(model, METHOD, steps=2) as session:
        session.costs = lambda mode, step: 1.5
        session.begin()
        for step in range(2):
            call = CALLS.at(step)
            batch = {
                name: torch.cat([value, value]) if not name.endswith("ids") else value
                for name, value in call.items()
            }
            model(**{first: batch.pop(first)}, **batch)
    assert [call.tflops for call in session.trace] == [3.0, 3.0]
    assert [call.mode for call in session.trace] == ["C", "c"]
