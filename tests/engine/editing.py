"""Makes tiny pipelines that edit a picture: diffusers' own classes with random weights, saved to a folder."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    AutoencoderKLQwenImage,
    FlowMatchEulerDiscreteScheduler,
    FluxKontextPipeline,
    FluxPipeline,
    FluxTransformer2DModel,
    QwenImageEditPipeline,
    QwenImageTransformer2DModel,
)
from tokenizers.pre_tokenizers import ByteLevel
from transformers import (
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2Tokenizer,
    Qwen2VLImageProcessor,
    Qwen2VLProcessor,
    Qwen2VLVideoProcessor,
)

from cache_engine.models.patch_autoencoder import PatchAutoencoder
from cache_engine.models.tiny_flux import FOLDER

FOUR = 4
SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)


def kontext(path: Path) -> Path:
    """Save a FLUX.1 Kontext with the embedded model's text encoders and 1 + 1 blocks."""
    embedded: Any = FluxPipeline.from_pretrained(
        str(FOLDER), vae=PatchAutoencoder.from_pretrained(str(FOLDER / "vae"))
    )
    config = {name: value for name, value in embedded.transformer.config.items() if not name.startswith("_")}
    torch.manual_seed(0)
    transformer = FluxTransformer2DModel(**config | dict(in_channels=16, num_layers=1, num_single_layers=1))
    vae = AutoencoderKL(
        block_out_channels=(4,) * FOUR,
        norm_num_groups=4,
        latent_channels=4,
        shift_factor=0.0,
        layers_per_block=1,
        mid_block_add_attention=False,
        down_block_types=("DownEncoderBlock2D",) * FOUR,
        up_block_types=("UpDecoderBlock2D",) * FOUR,
    )
    FluxKontextPipeline(
        embedded.scheduler,
        vae,
        embedded.text_encoder,
        embedded.tokenizer,
        embedded.text_encoder_2,
        embedded.tokenizer_2,
        transformer,
    ).save_pretrained(path)
    return path


def qwen_edit(path: Path) -> Path:
    """Save a Qwen-Image-Edit with 2 blocks. Every byte is a token, and the text encoder sees the picture as
    four tokens.
    """
    torch.manual_seed(0)
    vocabulary = {token: number for number, token in enumerate([*sorted(ByteLevel.alphabet()), *SPECIAL])}
    tokenizer = Qwen2Tokenizer(
        vocab=vocabulary, merges=[], unk_token=SPECIAL[0], extra_special_tokens=list(SPECIAL)
    )
    pixels = FOUR * 28 * 28
    processor = Qwen2VLProcessor(
        Qwen2VLImageProcessor(size={"shortest_edge": pixels, "longest_edge": pixels}),
        tokenizer,
        Qwen2VLVideoProcessor(),
    )
    end = vocabulary[SPECIAL[0]]
    text: dict[str, Any] = dict(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        num_key_value_heads=1,
        vocab_size=len(vocabulary),
        bos_token_id=end,
        eos_token_id=end,
        pad_token_id=end,
        rope_parameters=dict(rope_type="default", rope_theta=10000.0, mrope_section=[2, 3, 3]),
    )
    vision: dict[str, Any] = dict(
        depth=1,
        hidden_size=32,
        num_heads=2,
        intermediate_size=64,
        out_hidden_size=32,
        fullatt_block_indexes=[0],
    )
    numbers = {
        name: vocabulary[token]
        for name, token in zip(
            ("vision_start_token_id", "vision_end_token_id", "image_token_id", "video_token_id"),
            SPECIAL[3:],
            strict=True,
        )
    }
    encoder = Qwen2_5_VLForConditionalGeneration(
        Qwen2_5_VLConfig(text_config=text, vision_config=vision, **numbers)
    ).eval()
    vae = AutoencoderKLQwenImage(
        base_dim=4,
        z_dim=4,
        dim_mult=[1, 1, 1, 1],
        num_res_blocks=1,
        temperal_downsample=[False, True, True],
        latents_mean=[0.0] * FOUR,
        latents_std=[1.0] * FOUR,
    ).eval()
    transformer = QwenImageTransformer2DModel(
        in_channels=16,
        out_channels=4,
        num_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=32,
        axes_dims_rope=(4, 4, 8),
    )
    scheduler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    QwenImageEditPipeline(scheduler, vae, encoder, tokenizer, processor, transformer).save_pretrained(path)
    return path
