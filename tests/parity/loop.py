"""Tiny random models and a hand-written denoising loop, on which both cache-dit and this engine run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from diffusers import FluxTransformer2DModel, QwenImageTransformer2DModel
from torch import Tensor

CFG_SCALE = 3.0


def tiny_flux(dtype: torch.dtype = torch.float32) -> FluxTransformer2DModel:
    """Make a FLUX with 2 double and 4 single blocks, 32 channels, and random weights that are the same every
    time.
    """
    torch.manual_seed(0)
    model: Any = FluxTransformer2DModel(
        patch_size=1,
        in_channels=4,
        num_layers=2,
        num_single_layers=4,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        pooled_projection_dim=32,
        guidance_embeds=False,
        axes_dims_rope=(4, 4, 8),
    )
    return model.eval().to(dtype=dtype)


def tiny_qwen_image() -> QwenImageTransformer2DModel:
    """Make a Qwen-Image with 6 double blocks, 32 channels, and random weights that are
    the same every time.
    """
    torch.manual_seed(0)
    model: Any = QwenImageTransformer2DModel(
        patch_size=1,
        in_channels=4,
        out_channels=4,
        num_layers=6,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        guidance_embeds=False,
        axes_dims_rope=(4, 4, 8),
    )
    return model.eval()


def control_samples(side: int = 4) -> dict[str, Any]:
    """Return the samples that a ControlNet would add after each block, (1, side**2, 32): one for the double
    blocks, two for the single blocks.
    """
    generator = torch.Generator().manual_seed(2)
    first, *rest = (torch.randn(1, side * side, 32, generator=generator) for _ in range(3))
    return {"controlnet_block_samples": [first], "controlnet_single_block_samples": rest}


@torch.inference_mode()
def denoise(
    model: FluxTransformer2DModel | QwenImageTransformer2DModel,
    steps: int,
    streams: tuple[str, ...] = ("cond",),
    side: int | Callable[[int], int] = 4,
    dtype: torch.dtype = torch.float32,
    broken_from: int | None = None,
    **more: Any,
) -> Tensor:
    """Denoise with Euler steps from sigma 1 to 0. With two streams this is true CFG, with the conditional
    call first. Latents: (1, side**2, 4).

    side: may be a function of the step; where its value changes, the loop starts from fresh noise.
    broken_from: the step from which the latents are not numbers. more: arguments for every call of the model.
    """
    generator = torch.Generator().manual_seed(1)
    side_at = side if callable(side) else lambda step: side

    def noise(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator).to(dtype)

    latents = noise(1, side_at(0) ** 2, 4)
    texts = {name: (noise(1, 6, 32), noise(1, 32)) for name in ("cond", "uncond")}

    for step in range(steps):
        width = side_at(step)
        if latents.shape[1] != width**2:
            latents = noise(1, width**2, 4)
        if step == broken_from:
            latents = latents * torch.nan
        sigma = torch.full((1,), 1 - step / steps, dtype=dtype)
        collected = [
            model(
                hidden_states=latents,
                timestep=sigma,
                return_dict=False,
                **_described(model, width, *texts[name]),
                **more,
            )[0]
            for name in streams
        ]
        velocity = (
            collected[0] if len(collected) == 1 else collected[1] + CFG_SCALE * (collected[0] - collected[1])
        )
        latents = latents - velocity / steps
    return latents


def _described(
    model: FluxTransformer2DModel | QwenImageTransformer2DModel, width: int, text: Tensor, pooled: Tensor
) -> dict[str, Any]:
    """Return the arguments that tell each model its text and the places of its tokens."""
    if isinstance(model, QwenImageTransformer2DModel):
        return {"encoder_hidden_states": text, "img_shapes": [[(1, width, width)]]}
    place = torch.arange(width**2)
    image_ids = torch.stack([torch.zeros_like(place), place // width, place % width], dim=1).to(text.dtype)
    return {
        "encoder_hidden_states": text,
        "pooled_projections": pooled,
        "img_ids": image_ids,
        "txt_ids": torch.zeros(text.shape[1], 3, dtype=text.dtype),
    }
