"""Maps the names that LoRA files give a model's layers to the names that diffusers gives them.

Trainers and user interfaces put prefixes before a layer's name, join its parts with underscores, or use the
names of FLUX.1's publisher, which stores the layers of query, key and value as one layer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

PREFIXES = ("base_model.model.", "model.diffusion_model.", "diffusion_model.", "transformer.")
KOHYA = ("lora_unet_", "lora_transformer_")
KOHYA_TEXT = ("lora_te1_", "lora_te_")
PART = re.compile(
    r"^(?P<layer>.+?)\.(?:(?:lora_A|lora_down|lora\.down)(?:\.default)?\.(?P<down>weight)"
    r"|(?:lora_B|lora_up|lora\.up)(?:\.default)?\.(?P<up>weight)|(?P<alpha>alpha))$"
)
# FLUX.1: maps the publisher's name of a layer to the diffusers layers that it holds one after the other.
DOUBLE = {
    "img_attn.qkv": ("attn.to_q", "attn.to_k", "attn.to_v"),
    "img_attn.proj": ("attn.to_out.0",),
    "img_mlp.0": ("ff.net.0.proj",),
    "img_mlp.2": ("ff.net.2",),
    "img_mod.lin": ("norm1.linear",),
    "txt_attn.qkv": ("attn.add_q_proj", "attn.add_k_proj", "attn.add_v_proj"),
    "txt_attn.proj": ("attn.to_add_out",),
    "txt_mlp.0": ("ff_context.net.0.proj",),
    "txt_mlp.2": ("ff_context.net.2",),
    "txt_mod.lin": ("norm1_context.linear",),
}
SINGLE = {
    "linear1": ("attn.to_q", "attn.to_k", "attn.to_v", "proj_mlp"),
    "linear2": ("proj_out",),
    "modulation.lin": ("norm.linear",),
}
AROUND = {
    "img_in": "x_embedder",
    "txt_in": "context_embedder",
    "time_in.in_layer": "time_text_embed.timestep_embedder.linear_1",
    "time_in.out_layer": "time_text_embed.timestep_embedder.linear_2",
    "vector_in.in_layer": "time_text_embed.text_embedder.linear_1",
    "vector_in.out_layer": "time_text_embed.text_embedder.linear_2",
    "guidance_in.in_layer": "time_text_embed.guidance_embedder.linear_1",
    "guidance_in.out_layer": "time_text_embed.guidance_embedder.linear_2",
    "final_layer.linear": "proj_out",
    "final_layer.adaLN_modulation.1": "norm_out.linear",
}
TURNED = (
    "final_layer.adaLN_modulation.1"  # the publisher stores shift before scale, diffusers scale before shift
)

Names = Mapping[str, tuple[str, ...]]  # maps a layer's name in a file to its names in diffusers


def published_names(modules: Iterable[str]) -> dict[str, tuple[str, ...]]:
    """Return the names that FLUX.1's publisher gives a transformer's layers.

    modules: the names that diffusers gives the layers. The result is empty for a transformer of another
    family.
    """
    modules = set(modules)
    names: dict[str, tuple[str, ...]] = {theirs: (ours,) for theirs, ours in AROUND.items()}
    for kind, blocks, parts in (
        ("double_blocks", "transformer_blocks", DOUBLE),
        ("single_blocks", "single_transformer_blocks", SINGLE),
    ):
        numbers = {name.split(".")[1] for name in modules if name.startswith(f"{blocks}.")}
        for number in numbers:
            for theirs, ours in parts.items():
                names[f"{kind}.{number}.{theirs}"] = tuple(f"{blocks}.{number}.{part}" for part in ours)
    return {theirs: ours for theirs, ours in names.items() if modules.issuperset(ours)}


def names_in_files(pipe: Any) -> dict[str, tuple[str, ...]]:
    """Return the names that files may give to the layers of a pipeline's transformer and text encoder."""
    modules = [name for name, _ in pipe.transformer.named_modules() if name]
    own = {name: (name,) for name in modules}
    if type(pipe.transformer).__name__ == "FluxTransformer2DModel":
        own |= published_names(modules)
    names: dict[str, tuple[str, ...]] = {}
    for theirs, ours in own.items():
        full = tuple(f"transformer.{name}" for name in ours)
        names |= {prefix + theirs: full for prefix in ("", *PREFIXES)}
        names |= {prefix + theirs.replace(".", "_"): full for prefix in KOHYA}
    encoder = getattr(pipe, "text_encoder", None)
    for name, _ in encoder.named_modules() if encoder is not None else ():
        full = (f"text_encoder.{name}",)
        names |= {prefix + name.replace(".", "_"): full for prefix in KOHYA_TEXT}
        names[f"text_encoder.{name}"] = full
    return names


def renamed(weights: Mapping[str, Any], pipe: Any) -> dict[str, Any] | None:
    """Return a file's weights (tensors) under the names of diffusers, with each alpha multiplied in.

    Return None if a name is not known, or if a layer lacks one of its two matrices.
    """
    names = names_in_files(pipe)
    layers: dict[str, dict[str, Any]] = {}
    for key, value in weights.items():
        part = PART.match(key)
        if part is None or part["layer"] not in names:
            return None
        kind = "down" if part["down"] else "up" if part["up"] else "alpha"
        layers.setdefault(part["layer"], {})[kind] = value
    found: dict[str, Any] = {}
    for layer, parts in layers.items():
        if not {"down", "up"} <= parts.keys():
            return None
        down, up = parts["down"], parts["up"]
        if "alpha" in parts:
            down = down * (float(parts["alpha"]) / down.shape[0])
        if layer.replace("_", ".").endswith(TURNED.replace("_", ".")):
            up = up.view(2, -1, up.shape[1]).flip(0).flatten(0, 1)
        for name, rows in zip(names[layer], _split(up, names[layer], pipe), strict=True):
            found[f"{name}.lora_A.weight"] = down.clone()
            found[f"{name}.lora_B.weight"] = rows.contiguous()
    return found


def _split(up: Any, names: tuple[str, ...], pipe: Any) -> tuple[Any, ...]:
    """Split a matrix's rows among the layers that were trained as one layer."""
    if len(names) == 1:
        return (up,)
    layers = (pipe.transformer.get_submodule(name.removeprefix("transformer.")) for name in names)
    widths = [layer.out_features for layer in layers]
    return up.split(widths) if sum(widths) == len(up) else up.tensor_split(len(names))
