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
from ..strict import EngineError, first_line
from .file_header import PREFIX as PREFIX
from .file_header import Shapes, header, own

# prefix of the weights in files that also hold text encoders and autoencoder


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


def matching(name: str, shapes: Shapes, rows: Sequence[ModelSpec]) -> ModelSpec:
    """Return the model whose configuration fits the shapes of the weights in a file.

    Raises EngineError if none of ``rows`` fits.
    """
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

    Raises EngineError if weights are missing, unknown, or of another shape.
    """
    import diffusers
    import torch
    from safetensors.torch import load_file

    from .hub import quantise

    weights = own(load_file(path))
    kind = getattr(diffusers, base.transformer)
    with torch.device("meta"):
        wanted = {name: tuple(value.shape) for name, value in kind(**base.config).state_dict().items()}
    if weights.keys() & wanted.keys():  # diffusers' names
        _compare(path.name, base.title, {name: tuple(value.shape) for name, value in weights.items()}, wanted)
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "config.json").write_text(
            json.dumps({"_class_name": base.transformer, **base.config}), encoding="utf-8"
        )
        try:
            made = kind.from_single_file(weights, config=folder, dtype=getattr(torch, placement.dtype))
        except torch.OutOfMemoryError:
            raise
        except Exception as error:  # the conversion looks up every weight by name
            raise EngineError(
                f"model: {path.name} lacks weights of {base.title}, or has others ({first_line(error)}); "
                "download it again, or choose another file."
            ) from error
    missing = [name for name, parameter in made.named_parameters() if parameter.is_meta]
    if missing:
        raise EngineError(_lacks(path.name, base.title, missing[0]))
    quantise(made, placement)
    return made


def _compare(name: str, title: str, shapes: Shapes, wanted: Shapes) -> None:
    """Raise EngineError if a file's weights, under diffusers' names, differ from the wanted weights."""
    if missing := sorted(wanted.keys() - shapes.keys()):
        raise EngineError(_lacks(name, title, missing[0]))
    if unknown := sorted(shapes.keys() - wanted.keys()):
        raise EngineError(
            f"model: {name} has weights that {title} does not have (such as {unknown[0]}); choose "
            "another file."
        )
    for key, shape in shapes.items():
        if shape != wanted[key]:
            raise EngineError(
                f"model: {name} has a {key} of shape {shape}, and {title} has {wanted[key]}; choose "
                "another file."
            )


def _lacks(name: str, title: str, weight: str) -> str:
    remedy = "download it again, or choose another file."
    return f"model: {name} lacks weights of {title} (such as {weight}); {remedy}"
