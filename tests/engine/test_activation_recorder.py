"""Tests the recorder on transformers that join image and text in some blocks, each in its own order."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cache_engine.method import METHODS
from cache_engine.models.catalog import sections_of
from cache_engine.sites.activation_recorder import ActivationRecorder, last_of, recording_activations
from cache_engine.sites.attach import attached
from cache_engine.sites.blocks import numbered
from cache_engine.sites.clock import Clock
from cache_engine.whatif.error_propagation import _Loop, as_they_are, propagate_errors
from tests.engine.tiny_models import CONFIGS, Calls, tiny

STEPS = 14
SIGMAS = [1 - step / STEPS for step in range(STEPS + 1)]
JOINED = (
    "AuraFlowTransformer2DModel",
    "BriaFiboTransformer2DModel",
    "ChromaTransformer2DModel",
    "Flux2Transformer2DModel",
    "HiDreamImageTransformer2DModel",
)
HEARD = (
    "BriaTransformer2DModel",
    "BriaFiboTransformer2DModel",
    "Flux2Transformer2DModel",
    "FluxTransformer2DModel",
    "LongCatImageTransformer2DModel",
    "OvisImageTransformer2DModel",
    "QwenImageTransformer2DModel",
)


def one_token(call: dict[str, Any]) -> dict[str, Any]:
    """Return the call with only one token of text."""
    return call | {
        "encoder_hidden_states": call["encoder_hidden_states"][:, :1],
        "txt_ids": call["txt_ids"][:1],
    }


@torch.no_grad()
def watched(model: nn.Module, calls: list[dict[str, Any]]) -> ActivationRecorder:
    clock = Clock(torch.device("cpu"))
    with (
        attached(model, METHODS["baseline"](), steps=len(calls), clock=clock) as session,
        recording_activations(model, session, clock, lambda size: size) as recorder,
    ):
        session.begin()
        for call in calls:
            model(**call, return_dict=False)
    return recorder


@pytest.mark.parametrize("name", JOINED)
def test_what_is_kept_of_joined_blocks_is_the_image(name: str) -> None:
    """The test finds out which tokens of a joined block are the image: those on which the model's answer
    depends.
    """
    model, calls = tiny(name), Calls(name)
    blocks = numbered(model, sections_of(model))
    seen: dict[int, Tensor] = {}

    def keep(index: int) -> Any:
        def hook(module: nn.Module, args: Any, result: Any) -> None:
            seen[index] = (
                result if isinstance(result, Tensor) else blocks[index].outputs(result)["hidden_states"]
            )
            seen[index].retain_grad()

        return hook

    for parameter in model.parameters():
        parameter.requires_grad_()
    hooks = [block.module.register_forward_hook(keep(block.number)) for block in blocks]
    answer = model(**calls.at(0), return_dict=False)[0]
    answer.square().sum().backward()
    for hook in hooks:
        hook.remove()
    last = seen[len(blocks) - 1]
    assert last.grad is not None
    image = last.grad[0].abs().sum(dim=1) > 0
    values = torch.from_numpy(watched(model, [calls.at(0)]).fetched().values[0])
    for index in range(len(blocks)):
        tokens = seen[index][0] if seen[index].shape[1] == int(image.sum()) else seen[index][0][image]
        assert torch.allclose(values[index + 1], tokens.detach().flatten(), atol=1e-6), index


@pytest.mark.parametrize("name", ["Flux2Transformer2DModel", "BriaFiboTransformer2DModel"])
def test_what_blocks_hand_on_is_in_one_order(name: str) -> None:
    """A gradient behind the last block belongs to the image, which comes first; so the image must come first
    in the records of all blocks.
    """
    model, calls = tiny(name), Calls(name)
    recorder = watched(model, [calls.at(step) for step in range(STEPS)])
    recorded_calls = recorder.recorded_calls()
    assert recorded_calls is not None
    image = torch.from_numpy(recorder.fetched().values)
    assert all(
        torch.equal(tensors[:, : image.shape[2]], samples)
        for tensors, samples in zip(recorded_calls.block_tensors, image)
    )
    loop = _Loop(model, recorded_calls, SIGMAS, (1.0,), None)
    _, behind = loop.gradients(
        0, 0, torch.randn(2, *recorded_calls.answers[0].shape[1:], generator=torch.Generator().manual_seed(0))
    )
    assert behind[-1, :, : image.shape[2]].any()
    assert not behind[-1, :, image.shape[2] :].any()


@pytest.mark.parametrize("name", HEARD)
def test_error_propagation_of_every_transformer_that_is_heard(name: str) -> None:
    model, calls = tiny(name), Calls(name)
    recorded_calls = watched(model, [calls.at(step) for step in range(STEPS)]).recorded_calls()
    assert recorded_calls is not None
    propagation = propagate_errors(model, recorded_calls, SIGMAS, (1.0,), as_they_are)
    assert propagation is not None


@pytest.mark.parametrize("name", [name for name in CONFIGS if name not in HEARD])
def test_what_is_not_heard_is_recorded_all_the_same(name: str) -> None:
    model, calls = tiny(name), Calls(name)
    recorder = watched(model, [calls.at(step) for step in range(2)])
    assert recorder.fetched().values.any()
    assert recorder.recorded_calls() is None


@pytest.mark.parametrize("image", [1, 4])
def test_error_propagation_of_one_token_of_text_and_of_image(image: int) -> None:
    """One row of positions must not look like a batch of one."""
    name = "FluxTransformer2DModel"
    model, calls = tiny(name), Calls(name)
    given = [one_token(calls.at(step)) for step in range(STEPS)]
    given = [
        call | {"hidden_states": call["hidden_states"][:, :image], "img_ids": call["img_ids"][:image]}
        for call in given
    ]
    recorded_calls = watched(model, given).recorded_calls()
    assert last_of(model) is not None
    assert recorded_calls is not None
    assert propagate_errors(model, recorded_calls, SIGMAS, (1.0,), as_they_are) is not None
