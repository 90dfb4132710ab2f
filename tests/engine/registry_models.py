"""The classes known from diffusers' own registry of blocks, tiny; and the arguments of one call of each.

A size (tuple of whole numbers) stands for a random tensor.
"""

from __future__ import annotations

from typing import Any

import diffusers
import torch
from torch import Tensor, nn

HEADS = dict(num_attention_heads=2, attention_head_dim=16)
BASIC = dict(in_channels=4, num_layers=3, sample_size=8, **HEADS)
TEXT = dict(encoder_hidden_states=(1, 6, 32))
ONES = torch.ones(1, 6, dtype=torch.long)
CLOCK = dict(timestep=torch.tensor([500]))
FLUX = dict(
    patch_size=1,
    in_channels=4,
    num_layers=2,
    num_single_layers=2,
    joint_attention_dim=32,
    pooled_projection_dim=32,
    axes_dims_rope=(4, 4, 8),
    **HEADS,
)
HUNYUAN = dict(
    in_channels=4,
    out_channels=4,
    num_layers=2,
    num_single_layers=2,
    num_refiner_layers=1,
    guidance_embeds=False,
    text_embed_dim=32,
    pooled_projection_dim=32,
    rope_axes_dim=(4, 4, 8),
    **HEADS,
)
HUNYUAN_CALL = dict(
    TEXT,
    hidden_states=(1, 4, 2, 4, 4),
    encoder_attention_mask=ONES,
    pooled_projections=(1, 32),
    **CLOCK,
)
MOTIF = dict(
    in_channels=4,
    out_channels=4,
    num_layers=2,
    num_single_layers=4,
    text_embed_dim=32,
    rope_axes_dim=(4, 4, 8),
    **HEADS,
)
MOTIF_CALL = dict(TEXT, hidden_states=(1, 4, 2, 4, 4), encoder_attention_mask=ONES, **CLOCK)

# the name of a row: the class, and what tells rows of one class apart
ROWS: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    "CogVideoXTransformer3DModel": (
        dict(
            in_channels=4,
            out_channels=4,
            num_layers=3,
            time_embed_dim=16,
            text_embed_dim=32,
            sample_width=8,
            sample_height=8,
            sample_frames=5,
            max_text_seq_length=6,
            **HEADS,
        ),
        dict(TEXT, hidden_states=(1, 2, 4, 8, 8), **CLOCK),
    ),
    "Cosmos3OmniTransformer": (
        dict(
            dtype="float32",
            head_dim=16,
            hidden_size=32,
            intermediate_size=64,
            latent_channel=4,
            patch_latent_dim=16,
            num_attention_heads=2,
            num_hidden_layers=3,
            num_key_value_heads=1,
            vocab_size=64,
            rope_axes_dim=(4, 2, 2),
        ),
        dict(
            input_ids=torch.arange(6),
            text_indexes=torch.arange(6),
            position_ids=torch.arange(14).expand(3, -1),
            und_len=6,
            sequence_length=14,
            vision_tokens=[(1, 4, 2, 4, 4)],
            vision_token_shapes=[(2, 2, 2)],
            vision_sequence_indexes=torch.arange(6, 14),
            vision_mse_loss_indexes=torch.arange(6, 14),
            vision_timesteps=torch.full((8,), 500.0),
            vision_noisy_frame_indexes=[torch.arange(2)],
        ),
    ),
    "DiTTransformer2DModel": (
        dict(BASIC, norm_num_groups=2, num_embeds_ada_norm=1000),
        dict(hidden_states=(1, 4, 8, 8), class_labels=torch.tensor([3]), **CLOCK),
    ),
    "FluxControlNetModel": (
        FLUX,
        dict(
            TEXT,
            hidden_states=(1, 16, 4),
            controlnet_cond=(1, 16, 4),
            pooled_projections=(1, 32),
            img_ids=(16, 3),
            txt_ids=(6, 3),
            **CLOCK,
        ),
    ),
    "HunyuanVideoFramepackTransformer3DModel": (
        dict(HUNYUAN, has_image_proj=True, image_proj_dim=32, has_clean_x_embedder=True),
        dict(
            HUNYUAN_CALL,
            image_embeds=(1, 3, 32),
            indices_latents=torch.tensor([8, 9]),
            latents_clean=(1, 4, 1, 4, 4),
            indices_latents_clean=torch.tensor([0]),
            latents_history_2x=(1, 4, 2, 4, 4),
            indices_latents_history_2x=torch.tensor([1, 2]),
            latents_history_4x=(1, 4, 4, 8, 8),
            indices_latents_history_4x=torch.tensor([3, 4, 5, 6]),
        ),
    ),
    "HunyuanVideoTransformer3DModel": (HUNYUAN, HUNYUAN_CALL),
    "HunyuanVideoTransformer3DModel with a replaced token": (
        dict(HUNYUAN, image_condition_type="token_replace"),
        HUNYUAN_CALL,
    ),
    "Kandinsky5Transformer3DModel": (
        dict(
            in_text_dim=32,
            in_text_dim2=32,
            time_dim=16,
            model_dim=32,
            ff_dim=64,
            num_text_blocks=1,
            num_visual_blocks=3,
            axes_dims=(4, 4, 8),
        ),
        dict(
            hidden_states=(1, 2, 4, 4, 4),
            encoder_hidden_states=(1, 6, 32),
            pooled_projections=(1, 32),
            visual_rope_pos=[torch.arange(2), torch.arange(2), torch.arange(2)],
            text_rope_pos=torch.arange(6),
            timestep=torch.tensor([500.0]),
        ),
    ),
    "LatteTransformer3DModel": (
        dict(
            BASIC,
            patch_size=2,
            cross_attention_dim=32,
            caption_channels=32,
            norm_type="ada_norm_single",
            video_length=2,
            num_embeds_ada_norm=1000,
        ),
        dict(TEXT, hidden_states=(1, 4, 2, 8, 8), **CLOCK),
    ),
    "MochiTransformer3DModel": (
        dict(
            in_channels=4,
            num_layers=3,
            pooled_projection_dim=16,
            text_embed_dim=32,
            time_embed_dim=16,
            max_sequence_length=6,
            **HEADS,
        ),
        dict(TEXT, hidden_states=(1, 4, 2, 4, 4), encoder_attention_mask=ONES.bool(), **CLOCK),
    ),
    "MotifVideoTransformer3DModel": (MOTIF, MOTIF_CALL),
    "MotifVideoTransformer3DModel with a decoder": (dict(MOTIF, num_decoder_layers=2), MOTIF_CALL),
    "PriorTransformer": (
        dict(num_layers=3, embedding_dim=32, num_embeddings=6, **HEADS),
        dict(TEXT, hidden_states=(1, 32), proj_embedding=(1, 32), **CLOCK),
    ),
    "QwenImageControlNetModel": (
        dict(
            in_channels=16,
            out_channels=4,
            num_layers=3,
            joint_attention_dim=32,
            axes_dims_rope=(4, 4, 8),
            **HEADS,
        ),
        dict(
            TEXT,
            hidden_states=(1, 16, 16),
            controlnet_cond=(1, 16, 16),
            encoder_hidden_states_mask=ONES,
            img_shapes=[[(1, 4, 4)]],
            **CLOCK,
        ),
    ),
    "SD3ControlNetModel": (
        dict(
            BASIC,
            joint_attention_dim=32,
            caption_projection_dim=32,
            pooled_projection_dim=32,
            pos_embed_max_size=8,
        ),
        dict(
            TEXT,
            hidden_states=(1, 4, 8, 8),
            controlnet_cond=(1, 4, 8, 8),
            pooled_projections=(1, 32),
            **CLOCK,
        ),
    ),
    "Transformer2DModel": (
        dict(
            BASIC,
            patch_size=2,
            cross_attention_dim=32,
            caption_channels=32,
            norm_type="ada_norm_single",
            num_embeds_ada_norm=1000,
        ),
        dict(
            TEXT,
            hidden_states=(1, 4, 8, 8),
            added_cond_kwargs={"resolution": None, "aspect_ratio": None},
            **CLOCK,
        ),
    ),
    "TransformerTemporalModel": (
        dict(BASIC, norm_num_groups=2, cross_attention_dim=32),
        dict(hidden_states=(2, 4, 4, 4), num_frames=2),
    ),
    "UVit2DModel": (
        dict(
            hidden_size=32,
            cond_embed_dim=32,
            micro_cond_encode_dim=16,
            micro_cond_embed_dim=80,
            encoder_hidden_size=32,
            vocab_size=32,
            codebook_size=24,
            in_channels=32,
            block_out_channels=32,
            num_res_blocks=1,
            block_num_heads=2,
            num_hidden_layers=3,
            num_attention_heads=2,
            intermediate_size=64,
            sample_size=4,
        ),
        dict(TEXT, input_ids=torch.arange(16).view(1, 4, 4), pooled_text_emb=(1, 32), micro_conds=(1, 5)),
    ),
    "WanVACETransformer3DModel": (
        dict(
            in_channels=4,
            out_channels=4,
            text_dim=32,
            freq_dim=32,
            ffn_dim=64,
            num_layers=4,
            rope_max_seq_len=32,
            vace_layers=[0, 2],
            vace_in_channels=4,
            **HEADS,
        ),
        dict(TEXT, hidden_states=(1, 4, 2, 4, 4), control_hidden_states=(1, 4, 2, 4, 4), **CLOCK),
    ),
}


def made(row: str) -> nn.Module:
    """The row's class with random weights, the same ones every time; no weight is zero."""
    torch.manual_seed(0)
    model = getattr(diffusers, row.split()[0])(**ROWS[row][0]).float().eval()
    for parameter in model.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.02)
    return model


def call_of(row: str) -> dict[str, Any]:
    """The arguments of one call."""
    generator = torch.Generator().manual_seed(3)

    def filled(value: Any) -> Any:
        if isinstance(value, list):
            return [filled(item) for item in value]
        sized = isinstance(value, tuple) and all(isinstance(size, int) for size in value)
        return torch.randn(value, generator=generator) if sized else value

    plain = ("vision_token_shapes", "img_shapes")
    return {name: value if name in plain else filled(value) for name, value in ROWS[row][1].items()}


def answer(result: Any) -> list[Tensor]:
    """All tensors in a transformer's result."""
    if isinstance(result, Tensor):
        return [result]
    values = result.values() if isinstance(result, dict) else result
    return [tensor for value in values if value is not None for tensor in answer(value)]
