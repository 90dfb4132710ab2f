"""FLUX.2 klein base 4B: double blocks carry image and text separately, single blocks carry both as one
tensor.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from ..model import ModelSpec, Section
from ..placement import MemoryNeeds
from ..records import RunRequest
from ..strict import EngineError
from .flux import EXAMPLES
from .hub import GB, Weights, load_pipeline
from .prompt_length import unread_words

SECTIONS = (
    Section(
        "transformer_blocks",
        ("hidden_states", "encoder_hidden_states"),
        ("encoder_hidden_states", "hidden_states"),
        length="num_layers",
        outputs=("attn", "ff", "ff_context"),
        projections={"attn": ("to_out.0", "to_add_out")},
        streams=2,
    ),
    Section(
        "single_transformer_blocks",
        ("hidden_states",),
        ("hidden_states",),
        length="num_single_layers",
        outputs=("attn",),
        streams=1,
        text_first=True,
    ),
)
# joint_attention_dim counts three layers of Qwen3-4B (2560 wide), put side by side.
KLEIN_4B: dict[str, Any] = dict(
    patch_size=1,
    in_channels=128,
    num_layers=5,
    num_single_layers=20,
    attention_head_dim=128,
    num_attention_heads=24,
    joint_attention_dim=7680,
    timestep_guidance_channels=256,
    mlp_ratio=3.0,
    axes_dims_rope=(32, 32, 32, 32),
    rope_theta=2000,
    guidance_embeds=False,
)
BASE_4B = Weights("black-forest-labs/FLUX.2-klein-base-4B", "FLUX2_KLEIN_DIR", 16 * GB, "Apache-2.0")
MEMORY = MemoryNeeds(
    transformer=7_750_000_000, text=8_050_000_000, rest=170_000_000, activations=4_500_000_000
)


def shapes(config: Mapping[str, Any], request: RunRequest) -> dict[str, tuple[int, ...]]:
    """Return the shapes of one call's tensors.

    Each token stands for 16 x 16 pixels. The text is padded to ``max_sequence_length``.
    """
    width, height, text = (
        request.width or 0,
        request.height or 0,
        request.max_sequence_length or 0,
    )  # a resolved request never has None here
    tokens = (width // 16) * (height // 16)
    return {
        "hidden_states": (1, tokens, config["in_channels"]),
        "encoder_hidden_states": (1, text, config["joint_attention_dim"]),
        "timestep": (1,),
        "img_ids": (tokens, 4),
        "txt_ids": (text, 4),
    }


def arguments(request: RunRequest) -> dict[str, Any]:
    """Return Flux2KleinPipeline's arguments other than prompt, size, steps and generator.

    The pipeline's ``guidance_scale`` is true CFG (classifier-free guidance).
    """
    if request.negative_prompt:
        raise EngineError("negative_prompt: FLUX.2 klein takes no negative prompt; leave it empty.")
    return {"max_sequence_length": request.max_sequence_length, "guidance_scale": request.true_cfg_scale}


ROWS = (
    ModelSpec(
        name="flux2-klein-base-4b",
        title="FLUX.2 klein base 4B",
        family="FLUX.2",
        transformer="Flux2Transformer2DModel",
        config=KLEIN_4B,
        sections=SECTIONS,
        blocks=25,
        load=partial(load_pipeline, "Flux2KleinPipeline", BASE_4B.source),
        inputs=lambda request: shapes(KLEIN_4B, request),
        call=arguments,
        steps=50,
        sizes=((1024, 1024), (1280, 768), (768, 1280), (512, 512)),
        multiple=16,
        max_sequence_length=512,
        licence=BASE_4B.licence,
        needs="21 GB of GPU memory in bfloat16, 15 GB offloaded",
        revision=BASE_4B.revision,
        unavailable=BASE_4B.unavailable,
        fetch=BASE_4B.fetch,
        true_cfg_scale=4.0,
        memory=MEMORY,
        examples=EXAMPLES,
        unread_words=lambda request: unread_words(BASE_4B.source(), request, template=3),
        image="optional",
    ),
)
