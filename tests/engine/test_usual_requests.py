"""What users ask of a pipeline besides one plain picture. Under a cache that computes every step, the result
is the pipeline's own, bit for bit. Under a cache that reuses, a request does not depend on the one
before.
"""

from __future__ import annotations

from typing import Any

import diffusers
import pytest
import torch
from diffusers import WanPipeline
from torch import Tensor

from cache_engine.sites.attach import attached
from cache_engine.strict import EngineError
from tests.engine.runs import CACHING, COMPUTING, STEPS, Pipe, modes
from tests.engine.tiny_models import tiny
from tests.tiny_pipeline import draw, noise, tiny_pipeline

REUSE = CACHING["reuse"]
FLOW = {"use_flow_sigmas": True, "prediction_type": "flow_prediction"}
SCHEDULERS = (  # of one and of two calls a step, with and without noise in each step
    *((name, {}) for name in ("FlowMatchEulerDiscreteScheduler", "FlowMatchHeunDiscreteScheduler")),
    *((name, {}) for name in ("FlowMatchLCMScheduler", "FlowMapEulerDiscreteScheduler")),
    *((name, {}) for name in ("EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler")),
    *((name, {}) for name in ("HeunDiscreteScheduler", "LMSDiscreteScheduler", "EDMEulerScheduler")),
    *((name, FLOW) for name in ("DPMSolverMultistepScheduler", "DPMSolverSinglestepScheduler")),
    *((name, FLOW) for name in ("DEISMultistepScheduler", "SASolverScheduler", "UniPCMultistepScheduler")),
)


def wan(pipe: Pipe, callback: Any = None) -> Tensor:
    torch.manual_seed(0)  # some schedulers draw from torch's own numbers
    return pipe(
        prompt_embeds=noise(1, 1, 6, 32),
        negative_prompt_embeds=noise(4, 1, 6, 32),
        latents=noise(2, 1, 4, 1, 8, 8),
        num_inference_steps=STEPS,
        guidance_scale=3.0,
        height=64,
        width=64,
        num_frames=1,
        output_type="latent",
        callback_on_step_end=callback,
    ).frames


def wan_pipeline(scheduler: Any) -> Pipe:
    no_parts: dict[str, Any] = dict.fromkeys(("tokenizer", "text_encoder", "vae"))
    model: Any = tiny("WanTransformer3DModel")
    pipe = WanPipeline(transformer=model, scheduler=scheduler, **no_parts)
    pipe.set_progress_bar_config(disable=True)
    return pipe


@pytest.mark.parametrize(("scheduler", "options"), SCHEDULERS, ids=[name for name, _ in SCHEDULERS])
def test_each_scheduler_draws_its_own_picture(scheduler: str, options: dict[str, Any]) -> None:
    pipe = wan_pipeline(getattr(diffusers, scheduler)(**options))
    bare = wan(pipe)
    with attached(pipe, COMPUTING["threshold 0"]):
        assert torch.equal(wan(pipe), bare)
    with attached(pipe, REUSE) as session:
        cached = wan(pipe)
        assert torch.equal(wan(pipe), cached)
    assert "c" in modes(session)
    assert torch.isfinite(cached).all()
    assert not torch.equal(cached, bare)
    assert torch.equal(wan(pipe), bare)


@pytest.mark.parametrize(
    "more",
    [
        {"num_images_per_prompt": 3},
        {"prompt_embeds": noise(1, 2, 6, 32), "pooled_prompt_embeds": noise(2, 2, 32)},
        {"sigmas": [1.0, 0.7, 0.4, 0.3, 0.2, 0.1]},
    ],
    ids=["several pictures", "several prompts", "own noise levels"],
)
def test_batches_and_own_noise_levels(more: dict[str, Any]) -> None:
    pipe = tiny_pipeline()
    bare = draw(pipe, **more)
    for method in COMPUTING.values():
        with attached(pipe, method):
            assert torch.equal(draw(pipe, **more), bare)
    with attached(pipe, REUSE) as session:
        assert draw(pipe, **more).shape == bare.shape
    assert "c" in modes(session)


@pytest.mark.parametrize(
    "other", [{"size": 64}, {"steps": 9}, {"guided": True}, {"num_images_per_prompt": 2}]
)
def test_a_second_request_does_not_depend_on_the_first(other: dict[str, Any]) -> None:
    pipe = tiny_pipeline()
    with attached(pipe, REUSE):
        alone = draw(pipe)
    with attached(pipe, REUSE):
        first = draw(pipe, **other)
        assert torch.equal(draw(pipe), alone)
        assert torch.equal(draw(pipe, **other), first)


def test_a_prompt_that_is_exchanged_in_mid_run() -> None:
    pipe = tiny_pipeline()

    def exchange(pipe: Any, step: int, timestep: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        return {"prompt_embeds": noise(9, 1, 6, 32)} if step == 2 else {}

    more = {"callback_on_step_end": exchange, "callback_on_step_end_tensor_inputs": ["prompt_embeds"]}
    bare = draw(pipe, **more)
    assert not torch.equal(bare, draw(pipe))
    for method in COMPUTING.values():
        with attached(pipe, method):
            assert torch.equal(draw(pipe, **more), bare)


def test_guidance_that_ends_in_mid_run() -> None:
    """The pipeline then makes one call a step instead of two."""
    pipe = wan_pipeline(diffusers.FlowMatchEulerDiscreteScheduler())

    def end(pipe: Any, step: int, timestep: Any, tensors: dict[str, Tensor]) -> dict[str, Tensor]:
        pipe._guidance_scale = 1.0 if step >= 2 else 3.0
        return {}

    bare = wan(pipe, end)
    assert not torch.equal(bare, wan(pipe))
    with attached(pipe, COMPUTING["threshold 0"]) as session:
        assert torch.equal(wan(pipe, end), bare)
    assert (len(modes(session)), len(modes(session, "uncond"))) == (6, 3)


def test_weights_that_are_no_numbers_are_named_at_the_first_step() -> None:
    pipe = tiny_pipeline()
    layer: Any = pipe.transformer.transformer_blocks[1].attn.to_q
    with torch.no_grad():
        layer.weight[0, 0] = float("nan")
    with (
        pytest.raises(EngineError, match=r"^step 0: the picture contains values that are not numbers; "),
        attached(pipe, REUSE),
    ):
        draw(pipe)
