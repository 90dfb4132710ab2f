"""Tests pipelines that start from a picture and skip the first timesteps: a run's steps are those of its
loop.
"""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import diffusers
import pytest
import torch
from diffusers import (
    DDIMScheduler,
    FlowMatchEulerDiscreteScheduler,
    FlowMatchHeunDiscreteScheduler,
    FluxImg2ImgPipeline,
)
from torch import Tensor

from cache_engine.method import METHODS
from cache_engine.sites.attach import attached
from cache_engine.sites.clock import Clock
from cache_engine.strict import EngineError
from tests.engine.runs import Pipe, modes
from tests.engine.tiny_models import Calls, tiny
from tests.tiny_pipeline import noise, tiny_pipeline

MASK = METHODS["fixed_mask"]


def from_picture() -> Pipe:
    base = tiny_pipeline()
    no_text: dict[str, Any] = dict.fromkeys(("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2"))
    pipe = FluxImg2ImgPipeline(base.scheduler, base.vae, transformer=base.transformer, **no_text)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def redraw(pipe: Pipe, strength: float, steps: int = 10) -> Tensor:
    picture = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    return pipe(
        image=picture,
        strength=strength,
        prompt_embeds=noise(1, 1, 6, 32),
        pooled_prompt_embeds=noise(2, 1, 32),
        num_inference_steps=steps,
        height=32,
        width=32,
        generator=torch.Generator().manual_seed(5),
        output_type="latent",
    ).images


@pytest.mark.parametrize(("strength", "steps"), [(1.0, 10), (0.5, 5), (0.1, 1)])
def test_the_steps_are_those_that_are_made(strength: float, steps: int) -> None:
    pipe, clock = from_picture(), Clock(torch.device("cpu"))
    bare = redraw(pipe, strength)
    with attached(pipe, METHODS["baseline"](), clock=clock) as session:
        assert torch.equal(redraw(pipe, strength), bare)
        assert session.step == session.total == len(session.trace) == steps
        assert clock.loop_ends is not None
        redraw(pipe, 1.0)
        assert session.step == session.total == 10


def test_a_mask_has_a_digit_for_each_step_that_is_made() -> None:
    pipe = from_picture()
    with attached(pipe, MASK(steps_computation_mask="11010")) as session:
        redraw(pipe, 0.5)
    assert modes(session) == "CCcCc"
    with (
        attached(pipe, MASK(steps_computation_mask="1101011111")),
        pytest.raises(EngineError, match="has 10 digits for 5 steps"),
    ):
        redraw(pipe, 0.5)


def test_a_pipeline_that_tells_its_scheduler_nothing() -> None:
    """Wan's video pipeline only tells how many timesteps its loop has."""
    no_parts: dict[str, Any] = dict.fromkeys(("tokenizer", "text_encoder", "vae"))
    pipe = diffusers.WanVideoToVideoPipeline(
        transformer=tiny("WanTransformer3DModel"), scheduler=FlowMatchEulerDiscreteScheduler(), **no_parts
    )
    pipe.set_progress_bar_config(disable=True)
    with attached(pipe, MASK(steps_computation_mask="1010")) as session:
        pipe(
            prompt_embeds=noise(1, 1, 6, 32),
            latents=noise(2, 1, 4, 1, 8, 8),
            strength=0.5,
            num_inference_steps=8,
            guidance_scale=1.0,
            height=64,
            width=64,
            output_type="latent",
        )
        assert session.step == session.total == 4
    assert modes(session) == "CcCc"


def looped(scheduler: Any, start: int, tell: bool = False) -> None:
    """Run a hand-written loop with ten steps that skips the first ``start`` timesteps."""
    pipe, calls = (
        SimpleNamespace(transformer=tiny("FluxTransformer2DModel"), scheduler=scheduler),
        Calls("FluxTransformer2DModel"),
    )
    with attached(pipe, METHODS["fora"](interval=2)) as session, torch.inference_mode():
        scheduler.set_timesteps(10)
        if tell:
            scheduler.set_begin_index(start)
        given = calls.at(0)
        for step, time in enumerate(scheduler.timesteps[start:]):
            given |= {"timestep": time.reshape(1) / 1000}
            given["hidden_states"] = scheduler.step(
                pipe.transformer(**given)[0], time, given["hidden_states"]
            ).prev_sample
            assert session.step == step + 1
        assert session.step == session.total


@pytest.mark.parametrize("scheduler", [FlowMatchEulerDiscreteScheduler, DDIMScheduler])
def test_a_loop_of_ones_own_over_all_timesteps(scheduler: Any) -> None:
    looped(scheduler(), 0)


@pytest.mark.parametrize("scheduler", [FlowMatchEulerDiscreteScheduler, FlowMatchHeunDiscreteScheduler])
def test_a_loop_of_ones_own_that_tells_where_it_begins(scheduler: Any) -> None:
    """Heun's scheduler has two timesteps, each with a call, for every step."""
    looped(scheduler(), 4, tell=True)


@pytest.mark.parametrize("scheduler", [FlowMatchEulerDiscreteScheduler, DDIMScheduler])
def test_a_loop_that_nobody_was_told_of_is_refused_at_its_first_step(scheduler: Any) -> None:
    """DDIM's scheduler has no index of its steps: its timestep tells which one it is."""
    with pytest.raises(EngineError, match="steps: the run begins at step 4 of 10, but the pipeline told"):
        looped(scheduler(), 4)
