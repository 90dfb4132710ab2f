"""Loads a LoRA file into a pipeline with diffusers' own loader, and fuses it for a row of ``MODELS``."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ..placement import Placement
from ..strict import EngineError, first_line

LAYER = re.compile(r"\.(?:lora|lokr)[_.]")


def load_lora(pipe: Any, path: Path, name: str, title: str) -> None:
    """Put the file's layers beside the pipeline's layers, as an adapter with this name.

    title: the model's title, for messages. Raises EngineError for a file that is not a LoRA of this model, or
    is damaged.
    """
    import torch

    try:
        layers = {LAYER.split(key)[0] for key in pipe.lora_state_dict(str(path)) if LAYER.search(key)}
    except Exception as error:
        raise EngineError(
            f"loras: {path.name} is not a LoRA, or is damaged ({first_line(error, 120)}); choose "
            "another file, or download it again."
        ) from error
    layers_of_model = {f"transformer.{layer}" for layer, _ in pipe.transformer.named_modules()}
    of_transformer = [layer for layer in layers if layer.startswith("transformer.")]
    foreign = sorted(
        layer
        for layer in of_transformer
        if layer not in layers_of_model and f"{layer}.base_layer" not in layers_of_model
    )
    if not layers or foreign:
        raise EngineError(
            f"loras: {path.name} was made for another model: {len(foreign) or 'none'} of its {len(layers)} "
            f"layers {'are not' if foreign else 'are'} in {title}; choose one that was trained on it."
        )
    try:
        pipe.load_lora_weights(str(path), adapter_name=name)
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        raise EngineError(
            f"loras: {path.name} does not fit {title} ({first_line(error, 120)}); choose one "
            "that was trained on it."
        ) from error


def fused(load: Callable[[], Any], file: Callable[[], Path], title: str, placement: Placement) -> Any:
    """Load a pipeline and fuse a few-step LoRA into its transformer, so that the transformer's layers stay
    plain.

    load: a function that returns the pipeline. file: a function that returns the LoRA file. Raises
    EngineError if the LoRA cannot be fused.
    """
    if importlib.util.find_spec("peft") is None:
        raise EngineError("model: the Lightning LoRA needs peft; install it with `pip install peft`.")
    if placement.quantisation != "none":
        raise EngineError(
            "model: the Lightning LoRA cannot be fused into 8-bit weights; choose the model without it, or a "
            "card with more free memory."
        )
    pipe = load()
    load_lora(pipe, file(), "few_steps", title)
    pipe.fuse_lora()
    pipe.unload_lora_weights()
    return pipe
