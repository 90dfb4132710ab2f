"""The real transformer classes of diffusers, tiny and with random weights, and the arguments of one call of
each.
"""

from __future__ import annotations

from typing import Any

import diffusers
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from cache_engine.flops import tensors
from cache_engine.models.generic import TRANSFORMERS
from cache_engine.records import RunRequest

REQUEST = RunRequest(model="-", prompt="-", width=64, height=64, max_sequence_length=6)
DOUBLE_AND_SINGLE = dict(num_layers=2, num_single_layers=2, attention_head_dim=16, num_attention_heads=2)
LIKE_FLUX = dict(
    patch_size=1, in_channels=4, joint_attention_dim=32, axes_dims_rope=(4, 4, 8), **DOUBLE_AND_SINGLE
)
COGVIEW = dict(
    in_channels=4,
    out_channels=4,
    num_layers=3,
    attention_head_dim=16,
    num_attention_heads=2,
    text_embed_dim=32,
    time_embed_dim=32,
    condition_dim=8,
    sample_size=8,
)
CONFIGS: dict[str, dict[str, Any]] = {
    "AuraFlowTransformer2DModel": dict(
        sample_size=8,
        in_channels=4,
        num_mmdit_layers=2,
        num_single_dit_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        caption_projection_dim=32,
        pos_embed_max_size=64,
    ),
    "BriaTransformer2DModel": LIKE_FLUX | dict(pooled_projection_dim=None),
    "BriaFiboTransformer2DModel": LIKE_FLUX | dict(text_encoder_dim=16),
    "ChromaTransformer2DModel": LIKE_FLUX
    | dict(approximator_num_channels=8, approximator_hidden_dim=32, approximator_layers=1),
    "CogView3PlusTransformer2DModel": COGVIEW | dict(pos_embed_max_size=16),
    "CogView4Transformer2DModel": COGVIEW | dict(rope_axes_dim=(16, 16)),
    "ErnieImageTransformer2DModel": dict(
        hidden_size=32,
        num_attention_heads=2,
        num_layers=3,
        ffn_hidden_size=64,
        in_channels=4,
        out_channels=4,
        text_in_dim=32,
        rope_axes_dim=(4, 4, 8),
    ),
    "Flux2Transformer2DModel": dict(
        in_channels=4,
        joint_attention_dim=32,
        timestep_guidance_channels=16,
        axes_dims_rope=(4, 4, 4, 4),
        guidance_embeds=False,
        **DOUBLE_AND_SINGLE,
    ),
    "FluxTransformer2DModel": LIKE_FLUX | dict(pooled_projection_dim=32, guidance_embeds=False),
    "HiDreamImageTransformer2DModel": dict(
        patch_size=2,
        in_channels=4,
        out_channels=4,
        caption_channels=(32, 24),
        text_emb_dim=32,
        num_routed_experts=2,
        num_activated_experts=1,
        axes_dims_rope=(8, 4, 4),
        max_resolution=(16, 16),
        llama_layers=(0, 1, 1, 0),
        force_inference_output=True,
        **DOUBLE_AND_SINGLE,
    ),
    "HunyuanImageTransformer2DModel": dict(
        in_channels=4,
        out_channels=4,
        num_refiner_layers=1,
        text_embed_dim=32,
        rope_axes_dim=(8, 8),
        **DOUBLE_AND_SINGLE,
    ),
    "Krea2Transformer2DModel": dict(
        in_channels=4,
        num_layers=3,
        attention_head_dim=16,
        num_attention_heads=2,
        num_key_value_heads=1,
        intermediate_size=64,
        timestep_embed_dim=16,
        text_hidden_dim=32,
        num_text_layers=2,
        text_num_attention_heads=2,
        text_num_key_value_heads=2,
        text_intermediate_size=64,
        num_layerwise_text_blocks=1,
        num_refiner_text_blocks=1,
        axes_dims_rope=(4, 4, 8),
    ),
    "LongCatImageTransformer2DModel": LIKE_FLUX | dict(pooled_projection_dim=32),
    "Lumina2Transformer2DModel": dict(
        sample_size=8,
        in_channels=4,
        hidden_size=32,
        num_layers=3,
        num_refiner_layers=1,
        num_attention_heads=2,
        num_kv_heads=1,
        multiple_of=8,
        axes_dim_rope=(4, 4, 8),
        axes_lens=(32, 32, 32),
        cap_feat_dim=32,
    ),
    "OmniGenTransformer2DModel": dict(
        hidden_size=32,
        num_attention_heads=2,
        num_key_value_heads=2,
        intermediate_size=64,
        num_layers=3,
        vocab_size=64,
        pad_token_id=0,
        pos_embed_max_size=16,
        time_step_dim=16,
        rope_scaling=dict(long_factor=[1.0] * 8, short_factor=[1.0] * 8),
    ),
    "OvisImageTransformer2DModel": LIKE_FLUX | dict(out_channels=4),
    "PRXTransformer2DModel": dict(
        in_channels=4, context_in_dim=32, hidden_size=32, num_heads=2, depth=3, axes_dim=[8, 8]
    ),
    "PixArtTransformer2DModel": dict(
        sample_size=8,
        num_layers=3,
        attention_head_dim=16,
        num_attention_heads=2,
        cross_attention_dim=32,
        caption_channels=32,
    ),
    "QwenImageTransformer2DModel": dict(
        in_channels=16,
        out_channels=4,
        num_layers=3,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        axes_dims_rope=(4, 4, 8),
    ),
    "SD3Transformer2DModel": dict(
        sample_size=8,
        in_channels=4,
        num_layers=3,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        caption_projection_dim=32,
        pooled_projection_dim=32,
        out_channels=4,
        pos_embed_max_size=16,
    ),
    "SanaTransformer2DModel": dict(
        in_channels=4,
        out_channels=4,
        num_layers=3,
        attention_head_dim=16,
        num_attention_heads=2,
        num_cross_attention_heads=2,
        cross_attention_head_dim=16,
        cross_attention_dim=32,
        caption_channels=32,
        sample_size=8,
    ),
    "ZImageTransformer2DModel": dict(
        in_channels=4,
        dim=32,
        n_layers=3,
        n_refiner_layers=1,
        n_heads=2,
        n_kv_heads=2,
        cap_feat_dim=32,
        axes_dims=[4, 4, 8],
        axes_lens=[64, 32, 32],
    ),
    "LTXVideoTransformer3DModel": dict(
        in_channels=4,
        out_channels=4,
        num_layers=3,
        attention_head_dim=16,
        num_attention_heads=2,
        cross_attention_dim=32,
        caption_channels=32,
    ),
    "WanTransformer3DModel": dict(
        num_layers=3,
        attention_head_dim=16,
        num_attention_heads=2,
        in_channels=4,
        out_channels=4,
        text_dim=32,
        freq_dim=32,
        ffn_dim=64,
        rope_max_seq_len=32,
    ),
}


def tiny(name: str) -> nn.Module:
    """Make the class with random weights, which are the same every time. Adaptive norms that start at zero
    are filled too.
    """
    torch.manual_seed(0)
    model = getattr(diffusers, name)(**CONFIGS[name]).eval()
    for parameter in model.parameters():
        if parameter.ndim > 1 and not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    return model


class Calls:
    """One model's calls at successive steps: the picture changes slowly, and each stream has its own text."""

    def __init__(self, name: str, device: str = "cpu") -> None:
        self.described = TRANSFORMERS[name].call(dict(tiny(name).config), REQUEST)
        self.device = device

    def at(self, step: int, stream: str = "cond") -> dict[str, Any]:
        """The arguments of a step's call in a stream."""
        generator = torch.Generator().manual_seed(7 if stream == "cond" else 8)
        drift = torch.Generator().manual_seed(100 + step)

        def make(shape: tuple[int, ...], device: str) -> Tensor:
            fixed, moving = torch.randn(shape, generator=generator), torch.randn(shape, generator=drift)
            return (fixed + 0.05 * moving).to(device)

        arguments = tensors(self.described, self.device, make)
        for name in ("timestep", "timesteps", "t"):
            if name in arguments:
                arguments[name] = torch.full((1,), 1 - step / 20, device=self.device)
        if "input_ids" in arguments:  # a text that is not embedded yet
            arguments["input_ids"] += 1 if stream == "cond" else 2
        return arguments


def sample(result: Any) -> Tensor:
    """Return the tensor from the result of any transformer."""
    while not isinstance(result, Tensor):
        result = result[0]
    return result


WIDE: dict[str, dict[str, Any]] = {  # values that differ from the defaults
    "HiDreamImageTransformer2DModel": dict(
        patch_size=2,
        in_channels=16,
        out_channels=16,
        caption_channels=(512, 512),
        text_emb_dim=512,
        max_resolution=(32, 32),
        axes_dims_rope=(64, 32, 32),
        llama_layers=(0, 1),
        force_inference_output=True,
    ),
    "Lumina2Transformer2DModel": dict(num_refiner_layers=1),
    "OmniGenTransformer2DModel": dict(
        vocab_size=64, pad_token_id=0, rope_scaling=dict(long_factor=[1.0] * 48, short_factor=[1.0] * 48)
    ),
    "PixArtTransformer2DModel": dict(caption_channels=4096),
    "ZImageTransformer2DModel": dict(n_refiner_layers=1),
}


class NotFilled(TorchFunctionMode):
    """Replaces random weights by zeros: no test reads the values, and drawing them takes half a minute."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if getattr(func, "__module__", "") == "torch.nn.init":
            return (kwargs or {}).get("tensor", args[0] if args else None).data.zero_()
        return func(*args, **kwargs or {})


def wide(name: str) -> tuple[nn.Module, dict[str, Any]]:
    """Return the class with its default width and two blocks in each list, on the meta device, and the
    arguments of one call.

    A class whose forward reads values runs on the CPU, with one block a list and a quarter of the tokens.
    """
    device, blocks, side = ("cpu", 1, 128) if TRANSFORMERS[name].reads else ("meta", 2, 256)
    lengths = {section.length: blocks for section in TRANSFORMERS[name].sections}
    with torch.device(device), NotFilled():
        model = getattr(diffusers, name)(**WIDE.get(name, {}) | lengths).eval()
    request = REQUEST.replaced(width=side, height=side, max_sequence_length=side // 4)
    return model, tensors(TRANSFORMERS[name].call(dict(model.config), request), device, torch.ones)
