"""An untrained pipeline: a stock FluxPipeline in small, with word-level tokenizers and the fitted
autoencoder.
"""

from __future__ import annotations

import string

import torch
from diffusers import FlowMatchEulerDiscreteScheduler, FluxPipeline, FluxTransformer2DModel
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTokenizer, T5Config, T5EncoderModel, T5Tokenizer

from cache_engine.models.patch_autoencoder import PatchAutoencoder

from .basis import CHANNELS, fit
from .domain import TEXT_TOKENS, words

WIDTH, HEAD, BLOCKS, SINGLE_BLOCKS = 160, 32, 4, 8
T5_WIDTH, CLIP_WIDTH = 96, 64
SHIFT = 3.0  # time shift of the scheduler's noise levels


def t5_tokenizer() -> T5Tokenizer:
    """Make a Unigram tokenizer. Each known word is one token, and any other word is <unk>."""
    pieces = [("<pad>", 0.0), ("</s>", 0.0), ("<unk>", 0.0), ("\u2581", -6.0), (",", -4.0), (".", -4.0)]
    pieces += [("\u2581" + word, -1.0) for word in words() if word.isalpha()]
    pieces += [("\u2581" + word.capitalize(), -1.0) for word in words() if word.isalpha()]
    return T5Tokenizer(vocab=pieces, extra_ids=0, model_max_length=TEXT_TOKENS)


def clip_tokenizer() -> CLIPTokenizer:
    """Make a byte-pair tokenizer whose merges build each known word, letter by letter."""
    letters = list(string.ascii_lowercase + string.digits + ",.-'")
    vocab = ["<|startoftext|>", "<|endoftext|>"] + letters + [letter + "</w>" for letter in letters]
    merges: list[tuple[str, str]] = []
    for word in sorted((w for w in words() if len(w) > 1), key=len, reverse=True):
        parts = [*word[:-1], word[-1] + "</w>"]
        for left, right in merges:  # apply the merges so far to this word
            i = 0
            while i < len(parts) - 1:
                if (parts[i], parts[i + 1]) == (left, right):
                    parts[i : i + 2] = [left + right]
                i += 1
        while len(parts) > 1:
            merges.append((parts[0], parts[1]))
            parts[:2] = [parts[0] + parts[1]]
    for left, right in merges:
        if left + right not in vocab:
            vocab.append(left + right)
    return CLIPTokenizer(
        vocab={token: i for i, token in enumerate(vocab)}, merges=merges, model_max_length=TEXT_TOKENS
    )


def build(vae: PatchAutoencoder | None = None, seed: int = 0) -> FluxPipeline:
    """Make a float32 FluxPipeline with seeded random weights. Without an autoencoder, fit a new one."""
    torch.manual_seed(seed)
    t5_words, clip_words = t5_tokenizer(), clip_tokenizer()
    text = T5EncoderModel(
        T5Config(
            vocab_size=len(t5_words),
            d_model=T5_WIDTH,
            d_kv=24,
            num_heads=4,
            d_ff=3 * T5_WIDTH,
            num_layers=2,
            relative_attention_num_buckets=32,
            dropout_rate=0.0,
            feed_forward_proj="gated-gelu",
        )
    )
    end = clip_words.eos_token_id
    pooled = CLIPTextModel(
        CLIPTextConfig(
            vocab_size=len(clip_words),
            hidden_size=CLIP_WIDTH,
            intermediate_size=2 * CLIP_WIDTH,
            projection_dim=CLIP_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=TEXT_TOKENS,
            eos_token_id=end,
            bos_token_id=clip_words.bos_token_id,
            pad_token_id=end,
        )
    )
    transformer = FluxTransformer2DModel(
        patch_size=1,
        in_channels=4 * CHANNELS,
        num_layers=BLOCKS,
        num_single_layers=SINGLE_BLOCKS,
        attention_head_dim=HEAD,
        num_attention_heads=WIDTH // HEAD,
        joint_attention_dim=T5_WIDTH,
        pooled_projection_dim=CLIP_WIDTH,
        guidance_embeds=False,
        axes_dims_rope=(4, 14, 14),
    )
    prepare(transformer)
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(shift=SHIFT, use_dynamic_shifting=False),
        vae=vae or fit(),
        text_encoder=pooled,
        tokenizer=clip_words,
        text_encoder_2=text,
        tokenizer_2=t5_words,
        transformer=transformer,
    )


@torch.no_grad()
def prepare(transformer: FluxTransformer2DModel) -> None:
    """Set weights that train fast.

    Each block begins as the identity, and the output layer as half the transpose of the input layer.
    """
    for module in transformer.modules():
        if isinstance(module, torch.nn.Linear):
            torch.nn.init.xavier_uniform_(module.weight)
            if module.bias is not None:
                module.bias.zero_()
    for block in transformer.transformer_blocks:
        block.norm1.linear.weight.zero_()
        block.norm1_context.linear.weight.zero_()
    for block in transformer.single_transformer_blocks:
        block.norm.linear.weight.zero_()
    transformer.norm_out.linear.weight.zero_()
    torch.nn.init.orthogonal_(transformer.x_embedder.weight)
    transformer.proj_out.weight.copy_(transformer.x_embedder.weight.T * 0.5)
