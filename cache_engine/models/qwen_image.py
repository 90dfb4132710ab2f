"""Qwen-Image (60 double blocks, true CFG), and Qwen-Image-Lightning, which has a few-step LoRA fused in."""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ..model import Given, ModelSpec, Neurons, Section
from ..placement import MemoryNeeds, Placement
from ..records import RunRequest
from .flux import IMAGE, TEXT
from .hub import GB, Weights, load_pipeline
from .lora_files import fused
from .prompt_length import unread_words

SECTIONS = (
    Section(
        "transformer_blocks",
        ("hidden_states", "encoder_hidden_states"),
        ("encoder_hidden_states", "hidden_states"),
        length="num_layers",
        outputs=("attn", "img_mlp", "txt_mlp"),
        projections={"attn": ("to_out.0", "to_add_out")},
        attention="attn",
        tokenwise={"img_mlp": IMAGE, "txt_mlp": TEXT},
        streams=2,
        neurons={
            "img_mlp": Neurons("img_mlp.net.0.proj", "img_mlp.net.2", lambda block: block.img_mlp.net[0].gelu)
        },
    ),
)
CONFIG: dict[str, Any] = dict(
    patch_size=2,
    in_channels=64,
    out_channels=16,
    num_layers=60,
    attention_head_dim=128,
    num_attention_heads=24,
    joint_attention_dim=3584,
    guidance_embeds=False,
    axes_dims_rope=(16, 56, 56),
)
BASE = Weights("Qwen/Qwen-Image", "QWEN_IMAGE_DIR", 58 * GB, "Apache-2.0")
MEMORY = MemoryNeeds(
    transformer=40_900_000_000, text=16_600_000_000, rest=260_000_000, activations=5_000_000_000
)
SIZES = ((1024, 1024), (1328, 1328), (1664, 928), (928, 1664), (1472, 1104), (1104, 1472))
EXAMPLES = (
    "a coffee shop entrance with a chalkboard sign that reads TODAY: FLAT WHITE, neon light beside it",
    "a paper boat on a mountain lake at dawn, mist, wide angle",
    "a robot gardener watering sunflowers, children's book illustration",
    "a red fox asleep in fresh snow, soft morning light",
)
# Lightning was distilled at one time shift for every size (lightx2v/Qwen-Image-Lightning, Apache-2.0).
LIGHTNING_SCHEDULE: dict[str, Any] = dict(
    base_image_seq_len=256,
    base_shift=math.log(3),
    invert_sigmas=False,
    max_image_seq_len=8192,
    max_shift=math.log(3),
    num_train_timesteps=1000,
    shift=1.0,
    shift_terminal=None,
    stochastic_sampling=False,
    time_shift_type="exponential",
    use_beta_sigmas=False,
    use_dynamic_shifting=True,
    use_exponential_sigmas=False,
    use_karras_sigmas=False,
)


def shapes(config: Mapping[str, Any], request: RunRequest) -> dict[str, Any]:
    """Return one call's arguments.

    Each token stands for 16 x 16 pixels (the VAE's 8, packed 2 x 2). The text has as many tokens as
    the prompt: it is not padded.
    """
    width, height, text = (
        request.width or 0,
        request.height or 0,
        request.max_sequence_length or 0,
    )  # a resolved request never has None here
    rows, columns = height // 16, width // 16
    return {
        "hidden_states": (1, rows * columns, config["in_channels"]),
        "encoder_hidden_states": (1, text, config["joint_attention_dim"]),
        "timestep": (1,),
        "img_shapes": Given([[(1, rows, columns)]]),
    }


def arguments(request: RunRequest) -> dict[str, Any]:
    """Return QwenImagePipeline's arguments other than prompt, size, steps and generator."""
    named = {"max_sequence_length": request.max_sequence_length, "true_cfg_scale": request.true_cfg_scale}
    guided = request.true_cfg_scale is not None and request.true_cfg_scale > 1
    return (
        named | {"negative_prompt": request.negative_prompt or " "} if guided else named
    )  # None would switch guidance off


def text_tokens(pipe: Any, request: RunRequest) -> int:
    """Return the number of text tokens in a call: the prompt's tokens without padding; with guidance, the
    mean of both prompts.
    """
    prompts = [
        request.prompt,
        *(text for name, text in arguments(request).items() if name == "negative_prompt"),
    ]
    lengths = [
        min(
            len(pipe.tokenizer(pipe.prompt_template_encode.format(prompt)).input_ids)
            - pipe.prompt_template_encode_start_idx,
            request.max_sequence_length or 512,
        )
        for prompt in prompts
    ]
    return round(sum(lengths) / len(lengths))


def _row(name: str, title: str, **changed: Any) -> ModelSpec:
    facts: dict[str, Any] = dict(
        load=partial(load_pipeline, "QwenImagePipeline", BASE.source),
        steps=50,
        true_cfg_scale=4.0,
        revision=BASE.revision,
        unavailable=BASE.unavailable,
        fetch=BASE.fetch,
    )
    return ModelSpec(
        name=name,
        title=title,
        family="Qwen-Image",
        transformer="QwenImageTransformer2DModel",
        config=CONFIG,
        sections=SECTIONS,
        blocks=60,
        inputs=lambda request: shapes(CONFIG, request),
        call=arguments,
        sizes=SIZES,
        multiple=16,
        max_sequence_length=512,
        licence=BASE.licence,
        memory=MEMORY,
        text_tokens=text_tokens,
        needs="60 GB of GPU memory in bfloat16, 46 GB offloaded, 27 GB offloaded in 8 bits",
        examples=EXAMPLES,
        unread_words=lambda request: unread_words(BASE.source(), request),
        **facts | changed,
    )


def _lightning(steps: int, version: str) -> ModelSpec:
    """Return a row whose LoRA is fused into the transformer, so that the transformer
    has only plain layers.
    """
    title = f"Qwen-Image-Lightning, {steps} steps"
    names = [f"Qwen-Image-Lightning-{steps}steps-{version}{kind}.safetensors" for kind in ("-bf16", "")]
    lora = Weights(
        "lightx2v/Qwen-Image-Lightning", "QWEN_IMAGE_LIGHT_DIR", 2 * GB, "Apache-2.0", index_file=names[0]
    )

    def file() -> str:
        """Return the LoRA file's name. In a local folder, the file may have either precision."""
        folder = Path(lora.folder or ".")
        return next((name for name in names if lora.folder and (folder / name).is_file()), names[0])

    def load(placement: Placement) -> Any:
        from diffusers import FlowMatchEulerDiscreteScheduler

        base = partial(
            load_pipeline,
            "QwenImagePipeline",
            BASE.source,
            placement,
            scheduler=FlowMatchEulerDiscreteScheduler.from_config(LIGHTNING_SCHEDULE),
        )
        return fused(base, lora._replace(index_file=file()).file, title, placement)

    def unavailable() -> str | None:
        return BASE.unavailable() or lora._replace(index_file=file()).unavailable()

    def fetch() -> None:
        BASE.fetch()
        lora._replace(index_file=file()).fetch()

    return _row(
        f"qwen-image-lightning-{steps}",
        title,
        load=load,
        steps=steps,
        true_cfg_scale=1.0,
        revision=lambda: f"{BASE.revision()} + {lora.revision()}/{file()}",
        unavailable=unavailable,
        fetch=fetch,
    )


ROWS = (_row("qwen-image", "Qwen-Image"), _lightning(8, "V1.1"), _lightning(4, "V1.0"))
