"""A single file of transformer weights: its header tells which row it fits, and that row loads the other
parts.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from ..model import Coefficients, ModelSpec
from ..placement import Placement
from ..strict import EngineError

# prefix of the weights in files that also hold text encoders and autoencoder
PREFIX = "model.diffusion_model."
MOST_HEADER = 100_000_000  # bytes; the limit that safetensors itself has
SCALED = (".scale_weight", ".weight_scale", ".scale_input", ".comfy_quant", "scaled_fp8")
Shapes = dict[str, tuple[int, ...]]


class Layout(NamedTuple):
    """The names of the weights in one kind of file. Keys of the mappings are keys of the transformer's
    configuration.

    marks: weights that only this kind of file has.
    lengths: prefix of the blocks' weights. widths: a weight, and the axis that has the width. flags: a weight
    that exists if the flag is True. inner: a weight as long as the blocks are wide.
    """

    transformer: str
    marks: tuple[str, ...]
    lengths: Mapping[str, str]
    widths: Mapping[str, tuple[str, int]]
    inner: str
    flags: Mapping[str, str] = {}


BFL = {"num_layers": "double_blocks", "num_single_layers": "single_blocks"}
DIFFUSERS = {"num_layers": "transformer_blocks", "num_single_layers": "single_transformer_blocks"}
BFL_WIDTHS = {"in_channels": ("img_in.weight", 1), "joint_attention_dim": ("txt_in.weight", 1)}
DIFFUSERS_WIDTHS = {
    "in_channels": ("x_embedder.weight", 1),
    "joint_attention_dim": ("context_embedder.weight", 1),
}
LAYOUTS = (
    Layout(
        "FluxTransformer2DModel",
        ("double_blocks.0.img_attn.qkv.weight", "vector_in.in_layer.weight"),
        BFL,
        BFL_WIDTHS,
        "img_in.weight",
        {"guidance_embeds": "guidance_in.in_layer.weight"},
    ),
    Layout(
        "FluxTransformer2DModel",
        ("single_transformer_blocks.0.proj_mlp.weight", "time_text_embed.text_embedder.linear_1.weight"),
        DIFFUSERS,
        DIFFUSERS_WIDTHS,
        "x_embedder.weight",
        {"guidance_embeds": "time_text_embed.guidance_embedder.linear_1.weight"},
    ),
    Layout(
        "Flux2Transformer2DModel",
        ("double_stream_modulation_img.lin.weight",),
        BFL,
        BFL_WIDTHS,
        "img_in.weight",
    ),
    Layout(
        "Flux2Transformer2DModel",
        ("double_stream_modulation_img.linear.weight",),
        DIFFUSERS,
        DIFFUSERS_WIDTHS,
        "x_embedder.weight",
    ),
    Layout(
        "QwenImageTransformer2DModel",
        ("transformer_blocks.0.img_mod.1.weight", "txt_norm.weight"),
        {"num_layers": "transformer_blocks"},
        BFL_WIDTHS,
        "img_in.weight",
    ),
)


def row(source: str, rows: Sequence[ModelSpec]) -> ModelSpec:
    """Return the row among ``rows`` that the file fits, with the file's weights.

    Raises EngineError if the file is damaged, holds no transformer, or fits no row.
    """
    path = Path(source)
    shapes = header(path)
    base = matching(path.name, shapes, rows)
    stat = path.stat()

    def load(placement: Placement) -> Any:
        return base.load(placement, transformer=transformer(path, base, placement))

    return replace(
        base,
        name=source,
        title=f"{path.stem} ({base.title})",
        load=load,
        coefficients=Coefficients(),
        psnr_calibration=None,
        licence="see its source",
        unavailable=base.unavailable,
        revision=lambda: f"{path.name} ({stat.st_size} bytes, {stat.st_mtime_ns}) on {base.revision()}",
    )


def header(path: Path) -> Shapes:
    """Read the names and shapes of the transformer's weights from the file's header. Raises EngineError."""
    if path.suffix.lower() != ".safetensors":
        raise EngineError(
            f"model: {path.name} is not a .safetensors file, and other formats can run code or need "
            "another loader; convert it first."
        )
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            content = json.loads(file.read(length)) if 0 < length <= min(size, MOST_HEADER) else None
        weights = {str(name): entry for name, entry in dict(content or {}).items() if name != "__metadata__"}
        end = 8 + length + max((int(entry["data_offsets"][1]) for entry in weights.values()), default=0)
        shapes = {name: tuple(map(int, entry["shape"])) for name, entry in weights.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        weights, shapes, end = {}, {}, 0
    if not shapes:
        raise EngineError(
            f"model: {path.name} is not a .safetensors file, or its beginning is damaged; download it again."
        )
    if size < end:
        raise EngineError(f"model: {path.name} is incomplete ({size} of {end} bytes); download it again.")
    if any(name.endswith(SCALED) for name in shapes):
        raise EngineError(
            f"model: {path.name} holds scaled 8-bit weights, which diffusers cannot unpack; choose the "
            "file's bfloat16 version."
        )
    within = {name.removeprefix(PREFIX): shape for name, shape in shapes.items() if name.startswith(PREFIX)}
    return within or shapes


def matching(name: str, shapes: Shapes, rows: Sequence[ModelSpec]) -> ModelSpec:
    """Return the row whose configuration fits these shapes. Raises EngineError if no row fits."""
    if any(".lora" in key or "lora_" in key for key in shapes):
        raise EngineError(
            f"model: {name} is a LoRA, not a model; name the LoRA's model, and pass this file with --lora."
        )
    layout = next((layout for layout in LAYOUTS if all(mark in shapes for mark in layout.marks)), None)
    classes = ", ".join(dict.fromkeys(layout.transformer for layout in LAYOUTS))
    if layout is None:
        raise EngineError(
            f"model: {name} has unknown weights (such as {next(iter(shapes))}); a single file can be "
            f"{classes}; for another class, name the folder of its pipeline."
        )
    measured = facts(layout, shapes)
    same_class = [row for row in rows if row.transformer == layout.transformer]
    for row in same_class:
        if facts_of_config(layout, row.config) == measured:
            return row
    blocks = " + ".join(str(measured[length]) for length in layout.lengths)
    raise EngineError(
        f"model: {name} is a {layout.transformer} of {blocks} blocks, {measured['inner']} wide, unlike "
        f"{', '.join(row.title for row in same_class)}; name the folder of its pipeline instead."
    )


def facts(layout: Layout, shapes: Shapes) -> dict[str, object]:
    """Return the configuration values that follow from a file's weight names and shapes."""
    lengths = {
        name: len({key.split(".")[1] for key in shapes if key.startswith(f"{prefix}.")})
        for name, prefix in layout.lengths.items()
    }
    widths = {
        name: shapes[key][axis] if len(shapes.get(key, ())) > axis else 0
        for name, (key, axis) in layout.widths.items()
    }
    flags = {name: key in shapes for name, key in layout.flags.items()}
    return {**lengths, **widths, **flags, "inner": shapes.get(layout.inner, (0,))[0]}


def facts_of_config(layout: Layout, config: Mapping[str, Any]) -> dict[str, object]:
    """Return the same values from a row's configuration."""
    names = (*layout.lengths, *layout.widths, *layout.flags)
    return {name: config[name] for name in names} | {
        "inner": config["num_attention_heads"] * config["attention_head_dim"]
    }


def transformer(path: Path, base: ModelSpec, placement: Placement) -> Any:
    """Load the file's weights into the class and configuration of ``base``, with diffusers' own conversion.

    Raises EngineError if weights are missing.
    """
    import diffusers
    import torch
    from safetensors.torch import load_file

    from .hub import quantise

    weights = load_file(path)
    within = {name.removeprefix(PREFIX): weights[name] for name in weights if name.startswith(PREFIX)}
    kind = getattr(diffusers, base.transformer)
    lacking = f"model: {path.name} lacks weights of {base.title}"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(
            json.dumps({"_class_name": base.transformer, **base.config}), encoding="utf-8"
        )
        try:
            made = kind.from_single_file(
                within or weights, config=folder, dtype=getattr(torch, placement.dtype)
            )
        except (KeyError, IndexError, ValueError) as error:  # the conversion looks up every weight by name
            raise EngineError(
                f"{lacking} ({type(error).__name__}: {error}); download it again, or choose another file."
            ) from error
    missing = [name for name, parameter in made.named_parameters() if parameter.is_meta]
    if missing:
        raise EngineError(f"{lacking} (such as {missing[0]}); download it again, or choose another file.")
    quantise(made, placement)
    return made
