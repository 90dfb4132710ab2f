"""A real FluxPipeline of diffusers' own classes, tiny and with random weights, for tests that need a pipeline
but no picture.
"""

from __future__ import annotations

from typing import Any

import torch
from diffusers import AutoencoderKL, FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from torch import Tensor


def tiny_pipeline(seed: int = 0) -> FluxPipeline:
    """Make a pipeline with 2 double and 4 single blocks and 32 channels. It has no text encoders, so ``draw``
    passes embeddings.
    """
    torch.manual_seed(seed)
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=2,
        num_single_layers=4,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        guidance_embeds=False,
        axes_dims_rope=(4, 4, 8),
    ).eval()
    vae = AutoencoderKL(
        block_out_channels=(8,), norm_num_groups=4, latent_channels=4, shift_factor=0.0, scaling_factor=1.0
    ).eval()
    no_text: dict[str, Any] = dict.fromkeys(("text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2"))
    pipe = FluxPipeline(
        FlowMatchEulerDiscreteScheduler(shift=1.0, use_dynamic_shifting=True),
        vae,
        transformer=transformer,
        **no_text,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def noise(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def draw(pipe: Any, *, steps: int = 6, size: int = 32, guided: bool = False, **more: Any) -> Tensor:
    """Return the final latents (1, tokens, 16) from fixed noise and embeddings; with output_type="pt", the
    picture (1, 3, size, size).
    """
    arguments: dict[str, Any] = dict(
        prompt_embeds=noise(1, 1, 6, 32),
        pooled_prompt_embeds=noise(2, 1, 32),
        num_inference_steps=steps,
        height=size,
        width=size,
        generator=torch.Generator().manual_seed(5),
        output_type="latent",
    )
    if guided:
        arguments |= dict(
            negative_prompt_embeds=noise(3, 1, 6, 32),
            negative_pooled_prompt_embeds=noise(4, 1, 32),
            true_cfg_scale=3.0,
        )
    return pipe(**arguments | more).images
