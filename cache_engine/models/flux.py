"""FLUX.1: its 19 double and 38 single blocks have one signature, so they act as one list of 57 blocks."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ..model import Coefficients, ModelSpec, Neurons, Section, Source
from ..placement import MemoryNeeds
from ..records import RunRequest
from .hub import GB, Weights, load_pipeline
from .prompt_length import unread_words


def modulated(block: Any, arguments: Mapping[str, Any]) -> Any:
    """Return TeaCache's signal: the first block's input, normalised, scaled and shifted for this step."""
    return block.norm1(arguments["hidden_states"], emb=arguments["temb"])[0]


TAKES, RETURNS = ("hidden_states", "encoder_hidden_states"), ("encoder_hidden_states", "hidden_states")
IMAGE, TEXT = Source("attn.to_k", "attn.to_v"), Source("attn.add_k_proj", "attn.add_v_proj", text=True)
SECTIONS = (
    Section(
        "transformer_blocks",
        TAKES,
        RETURNS,
        length="num_layers",
        modulated=modulated,
        outputs=("attn", "ff", "ff_context"),
        projections={"attn": ("to_out.0", "to_add_out")},
        attention="attn",
        tokenwise={"ff": IMAGE, "ff_context": TEXT},
        neurons={"ff": Neurons("ff.net.0.proj", "ff.net.2", lambda block: block.ff.net[0].gelu)},
        streams=2,
    ),
    Section(
        "single_transformer_blocks",
        TAKES,
        RETURNS,
        length="num_single_layers",
        outputs=("proj_out",),
        muted=("attn", "proj_mlp"),
        attention="attn",
        tokenwise={"proj_out": IMAGE},
        neurons={"proj_out": Neurons("proj_mlp", "proj_out", lambda block: block.act_mlp)},
        streams=1,
    ),
)
# Coefficients of FLUX.1-dev over 28 steps. The polynomial is from TeaCache (ali-vilab/TeaCache, Apache-2.0),
# with the highest power first. The ratios are from MagCache (Zehong-Ma/MagCache, Apache-2.0); the first ratio
# belongs to the first step, which has no step before it.
PUBLISHED = Coefficients(
    polynomial=(4.98651651e02, -2.83781631e02, 5.58554382e01, -3.82021401e00, 2.64230861e-01),
    ratios=(
        1.0,
        1.21094,
        1.11719,
        1.07812,
        1.0625,
        1.03906,
        1.03125,
        1.03906,
        1.02344,
        1.03125,
        1.02344,
        0.98047,
        1.01562,
        1.00781,
        1.0,
        1.00781,
        1.0,
        1.00781,
        1.0,
        1.0,
        0.99609,
        0.99609,
        0.98047,
        0.98828,
        0.96484,
        0.95703,
        0.93359,
        0.89062,
    ),
)
CONFIG: dict[str, Any] = dict(
    patch_size=1,
    in_channels=64,
    num_layers=19,
    num_single_layers=38,
    attention_head_dim=128,
    num_attention_heads=24,
    joint_attention_dim=4096,
    pooled_projection_dim=768,
    guidance_embeds=True,
    axes_dims_rope=(16, 56, 56),
)
EXAMPLES = (
    "a red fox asleep in fresh snow, soft morning light",
    "a shop window with the words OPEN LATE in neon letters",
    "an old watchmaker's hands repairing a pocket watch, close up",
    "a crowded night market in the rain, reflections, wide angle",
)


def shapes(config: Mapping[str, Any], request: RunRequest) -> dict[str, tuple[int, ...]]:
    """Return the shapes of one call's tensors. Each token stands for 16 x 16 pixels (the VAE's 8, packed 2 x
    2).
    """
    width, height, text = (
        request.width or 0,
        request.height or 0,
        request.max_sequence_length or 0,
    )  # a resolved request never has None here
    tokens = (width // 16) * (height // 16)
    tensors = {
        "hidden_states": (1, tokens, config["in_channels"]),
        "encoder_hidden_states": (1, text, config["joint_attention_dim"]),
        "pooled_projections": (1, config["pooled_projection_dim"]),
        "timestep": (1,),
        "img_ids": (tokens, 3),
        "txt_ids": (text, 3),
    }
    return tensors | {"guidance": (1,)} if config["guidance_embeds"] else tensors


def arguments(request: RunRequest) -> dict[str, Any]:
    """Return FluxPipeline's arguments other than prompt, size, steps and generator."""
    named: dict[str, Any] = {"max_sequence_length": request.max_sequence_length}
    if request.guidance is not None:
        named["guidance_scale"] = request.guidance
    if (
        request.true_cfg_scale is not None and request.true_cfg_scale > 1
    ):  # with negative_prompt=None, diffusers ignores true_cfg_scale
        named |= {"true_cfg_scale": request.true_cfg_scale, "negative_prompt": request.negative_prompt}
    return named


MEMORY = MemoryNeeds(
    transformer=23_803_000_000, text=9_770_000_000, rest=170_000_000, activations=4_500_000_000
)


def _row(
    name: str,
    title: str,
    weights: Weights,
    guided: bool,
    steps: int,
    text: int,
    coefficients: Coefficients = Coefficients(),
) -> ModelSpec:
    config = CONFIG | {"guidance_embeds": guided}
    return ModelSpec(
        name=name,
        title=title,
        family="FLUX.1",
        transformer="FluxTransformer2DModel",
        config=config,
        sections=SECTIONS,
        blocks=57,
        load=partial(load_pipeline, "FluxPipeline", weights.source),
        inputs=lambda request: shapes(config, request),
        call=arguments,
        steps=steps,
        sizes=((1024, 1024), (1280, 768), (768, 1280), (512, 512)),
        multiple=16,
        max_sequence_length=text,
        licence=weights.licence,
        needs="36 GB of GPU memory in bfloat16, 24 GB offloaded, 16 GB in 8 bits",
        revision=weights.revision,
        unavailable=weights.unavailable,
        fetch=weights.fetch,
        guidance=3.5 if guided else None,
        gated=weights.gated,
        memory=MEMORY,
        coefficients=coefficients,
        examples=EXAMPLES,
        unread_words=lambda request: unread_words(weights.source(), request),
    )


ROWS = (
    _row(
        "flux-dev",
        "FLUX.1-dev",
        Weights("black-forest-labs/FLUX.1-dev", "FLUX_DIR", 34 * GB, "FLUX.1-dev non-commercial", gated=True),
        True,
        28,
        512,
        PUBLISHED,
    ),
    _row(
        "flux-schnell",
        "FLUX.1-schnell",
        Weights("black-forest-labs/FLUX.1-schnell", "FLUX_SCHNELL_DIR", 34 * GB, "Apache-2.0", gated=True),
        False,
        4,
        256,
    ),
)
