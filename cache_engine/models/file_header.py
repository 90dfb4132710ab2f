"""The header of a .safetensors file: it tells names and shapes of the weights, and whether diffusers can read
them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from ..files import SAFETENSORS
from ..strict import EngineError

# prefix of the weights in files that also hold text encoders and autoencoder
PREFIX = "model.diffusion_model."
PREFIXES = (PREFIX, "diffusion_model.")
MOST_HEADER = 100_000_000  # bytes; the limit that safetensors itself has
PLAIN = {"F64", "F32", "F16", "BF16", "F8_E4M3", "F8_E5M2"}  # types whose numbers can be used directly
Shapes = dict[str, tuple[int, ...]]
T = TypeVar("T")


class Packing(NamedTuple):
    """A way to store weights in fewer bits. parts: parts of weight names that only such files have."""

    parts: tuple[str, ...]
    description: str


PACKINGS = (
    Packing((".wscales", ".smooth_factor", ".wcscales", ".qweight"), "4-bit weights of nunchaku"),
    Packing((".absmax", ".quant_map", ".quant_state.", ".SCB"), "4-bit or 8-bit weights of bitsandbytes"),
    Packing(
        (
            ".scale_weight",
            ".weight_scale",
            ".scale_input",
            ".input_scale",
            ".scale_inv",
            ".comfy_quant",
            "scaled_fp8",
        ),
        "scaled 8-bit weights",
    ),
)
ADAPTERS = {".hada_w": "a LoHa", ".lokr_w": "a LoKr", ".lora": "a LoRA", "lora_": "a LoRA"}


def header(path: Path) -> Shapes:
    """Read the names and shapes of the transformer's weights from the file's header.

    Raises EngineError for a damaged file, and for weights that diffusers would misread.
    """
    if path.suffix.lower() not in SAFETENSORS:
        raise EngineError(
            f"model: {path.name} is not a .safetensors file, and other formats can run code or need "
            "another loader; convert it first."
        )
    entries = own(_entries(path))
    try:
        shapes = {name: tuple(map(int, entry["shape"])) for name, entry in entries.items()}
    except (ValueError, KeyError, TypeError):
        raise EngineError(_damaged(path)) from None
    _refuse_packed(path.name, {name: str(entry.get("dtype")) for name, entry in entries.items()}, shapes)
    return shapes


def own(weights: Mapping[str, T]) -> dict[str, T]:
    """Return the transformer's part of a file's weights, without the prefix of its names."""
    for prefix in PREFIXES:
        within = {
            name.removeprefix(prefix): value for name, value in weights.items() if name.startswith(prefix)
        }
        if within:
            return within
    return dict(weights)


def _entries(path: Path) -> dict[str, dict[str, Any]]:
    """Return the header's entry of each weight. Raises EngineError if the file is damaged or incomplete."""
    size = path.stat().st_size
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            content = json.loads(file.read(length)) if 0 < length <= min(size, MOST_HEADER) else None
        entries = {
            str(name): dict(entry) for name, entry in dict(content or {}).items() if name != "__metadata__"
        }
        end = 8 + length + max((int(entry["data_offsets"][1]) for entry in entries.values()), default=0)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError):
        entries, end = {}, 0
    if not entries:
        raise EngineError(_damaged(path))
    if size < end:
        raise EngineError(f"model: {path.name} is incomplete ({size} of {end} bytes); download it again.")
    return entries


def _damaged(path: Path) -> str:
    return f"model: {path.name} is not a .safetensors file, or its beginning is damaged; download it again."


def _refuse_packed(name: str, kinds: Mapping[str, str], shapes: Shapes) -> None:
    """Raise EngineError for weights in fewer bits, for whole numbers, and for files that only add to a model.

    kinds: the number type of each weight, as the header names it.
    """
    for packing in PACKINGS:
        if any(part in f"{key}." for key in kinds for part in packing.parts):
            raise EngineError(
                f"model: {name} holds {packing.description}, which diffusers cannot unpack; choose the "
                "file's bfloat16 version."
            )
    for part, adapter in ADAPTERS.items():
        if any(part in key for key in kinds):
            raise EngineError(
                f"model: {name} is {adapter}, not a model; name its model, and a LoRA's file with --lora."
            )
    if any(key.endswith((".diff", ".diff_b")) for key in kinds):
        raise EngineError(
            f"model: {name} holds differences from a model (.diff), not a model; choose the whole model."
        )
    whole = next((key for key, kind in kinds.items() if kind not in PLAIN and len(shapes[key]) > 1), None)
    if whole is not None:
        raise EngineError(
            f"model: {name} holds weights of type {kinds[whole]} without scales (such as {whole}); choose "
            "the file's bfloat16 version."
        )
