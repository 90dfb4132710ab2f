"""A model is cached only if nothing happens between its blocks: the same input twice gives the same result.

Every class that ``attached`` accepts is tried, from the table and from diffusers' own registry of blocks.
"""

from __future__ import annotations

import inspect
import sys
from functools import cache
from typing import Any

import pytest
import torch
from diffusers.hooks._helpers import TransformerBlockRegistry
from diffusers.models import controlnets, transformers
from diffusers.models.attention import BasicTransformerBlock
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from cache_engine.methods.dbcache import DBCache
from cache_engine.models.generic import TRANSFORMERS, registered
from cache_engine.sites.attach import attached
from cache_engine.strict import EngineError
from tests.engine.registry_models import ROWS, answer, call_of, made
from tests.engine.tiny_models import Calls, tiny

BETWEEN = "^this model reads or changes the results of its blocks between the blocks"
CONTROL = "^a control signal"
REFUSED = {
    "FluxControlNetModel": BETWEEN,
    "LatteTransformer3DModel": BETWEEN,
    "MotifVideoTransformer3DModel with a decoder": BETWEEN,
    "QwenImageControlNetModel": BETWEEN,
    "SD3ControlNetModel": BETWEEN,
    "WanVACETransformer3DModel": CONTROL,
}


@cache
def model_and_call(row: str) -> tuple[nn.Module, dict[str, Any]]:
    if row in TRANSFORMERS:
        return tiny(row), Calls(row).at(0)
    return made(row), call_of(row)


@torch.no_grad()
def twice(model: nn.Module, call: dict[str, Any], back: int = 0) -> tuple[list[Tensor], list[Tensor], int]:
    """The computed and the cached answer to one input, and the blocks that the cached one ran."""
    method = DBCache(
        Fn_compute_blocks=1,
        max_warmup_steps=1,
        residual_diff_threshold=1,
        taylorseer_order=0,
        Bn_compute_blocks=back,
    )
    with attached(model, method, steps=2) as session:
        session.begin()
        computed, cached = answer(model(**call)), answer(model(**call))
    assert "".join(step.mode for step in session.trace) == "Cc"
    return computed, cached, session.trace[1].blocks_run


@pytest.mark.parametrize("row", [*sorted(TRANSFORMERS), *ROWS])
def test_the_same_input_twice_gives_the_same_result_or_is_refused(row: str) -> None:
    model, call = model_and_call(row)
    if row in REFUSED:
        with pytest.raises(EngineError, match=REFUSED[row]):
            twice(model, call)
        return
    with torch.no_grad():
        bare = answer(model(**call))
    for back in (0, 1):
        computed, cached, blocks_run = twice(model, call, back)
        assert blocks_run == 1 + back
        assert all(map(torch.equal, computed, bare))
        for ours, theirs in zip(cached, computed, strict=True):
            assert float((ours - theirs).abs().max() / theirs.abs().max()) < 1e-4


def test_every_class_that_the_registry_knows_is_among_them() -> None:
    """A class of a new diffusers fails here until it was tried."""
    TransformerBlockRegistry._register()
    blocks = TransformerBlockRegistry._registry
    tried = {*TRANSFORMERS, *(row.split()[0] for row in ROWS)}
    collected = set()
    for name in dir(transformers) + dir(controlnets):
        kind = getattr(transformers, name, None) or getattr(controlnets, name)
        if not (inspect.isclass(kind) and issubclass(kind, ModelMixin)):
            continue
        named = vars(sys.modules[kind.__module__])
        used = {block for block in blocks if named.get(block.__name__) is block}
        if any(f"{block.__name__}(" in inspect.getsource(kind) for block in used):
            collected.add(name)
    assert len(collected) > 20
    assert collected <= tried


class Custom(nn.Module):
    """Somebody's own model, made of blocks that diffusers registers."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.blocks = nn.ModuleList(BasicTransformerBlock(32, 2, 16) for _ in range(4))

    def forward(self, hidden_states: Tensor, act: str = "") -> Tensor:
        taken = hidden_states
        for number, block in enumerate(self.blocks):
            hidden_states = block(hidden_states)
            if number == 1:
                taken = hidden_states
                if act == "in place":
                    hidden_states += 1
                elif act == "a new tensor":
                    hidden_states = hidden_states + 1
                elif act == "a part":
                    hidden_states = hidden_states[:, :3]
        return hidden_states + taken if act == "read later" else hidden_states


@pytest.mark.parametrize("act", ["in place", "a new tensor", "a part", "read later"])
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_whatever_is_done_between_the_blocks_is_found(act: str, mode: Any) -> None:
    model = Custom().eval()
    call: dict[str, Any] = {
        "hidden_states": torch.randn(1, 6, 32, generator=torch.Generator().manual_seed(1))
    }
    with mode():
        assert all(map(torch.allclose, *twice(model, call)[:2]))
        with pytest.raises(EngineError, match=BETWEEN):
            twice(model, call | {"act": act})


def test_lists_that_run_in_turns_are_no_range_of_blocks() -> None:
    """Latte runs a block of each list in turn; the engine numbers one list after the other."""
    model, _ = model_and_call("LatteTransformer3DModel")
    assert [section.path for section in registered(model) or ()] == [
        "transformer_blocks",
        "temporal_transformer_blocks",
    ]
