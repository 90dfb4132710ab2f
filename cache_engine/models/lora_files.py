"""Loads a LoRA file into a pipeline with diffusers' own loader, and fuses it for a row of ``MODELS``."""

from __future__ import annotations

import importlib.util
import logging
import re
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..placement import Placement
from ..strict import EngineError, first_line, one_line
from .lora_layouts import renamed

LAYER = re.compile(r"\.(?:lora|lokr)[_.]")
OTHER_KINDS = {
    "hada_w": "a LoHa",
    "lokr_w": "a LoKr in a layout that diffusers does not read",
    "dora_scale": "a DoRA with dora_scale, which diffusers leaves out",
    "diff": "a file of whole differences (.diff)",
    "diff_b": "a file of whole differences (.diff_b)",
}
# diffusers writes these words into its log when it loads only a part of a file.
PART_ONLY = re.compile(r"ignored|[Uu]nsupported keys|[Uu]nexpected keys|filter out")


def load_lora(pipe: Any, path: Path, name: str, title: str) -> None:
    """Put the file's layers beside the pipeline's layers, as an adapter with this name.

    title: the model's title, for messages. The layer names of diffusers, kohya's trainer, peft, ComfyUI and
    FLUX.1's publisher can be read. Raises EngineError for a file that is not a LoRA of this model, is
    damaged, or would be applied only in part.
    """
    import torch

    try:
        weights = _read(path)
    except Exception as error:
        raise EngineError(
            f"loras: {path.name} is not a LoRA, or is damaged ({first_line(error, 120)}); choose "
            "another file, or download it again."
        ) from error
    with safetensors_name(path) as file, _warnings() as warnings:
        given = _as_diffusers_reads_it(pipe, file, weights, title)
        try:
            pipe.load_lora_weights(str(file) if given is None else given, adapter_name=name)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            raise EngineError(
                f"loras: {path.name} does not fit {title} ({first_line(error, 120)}); choose one "
                "that was trained on it."
            ) from error
    if part := next((text for text in warnings if PART_ONLY.search(text)), None):
        raise EngineError(
            f"loras: {path.name} would be applied in part ({one_line(part)[:160]}); choose one that was "
            f"trained on {title}."
        )


def _read(path: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(path)


def _as_diffusers_reads_it(
    pipe: Any, file: Path, weights: Mapping[str, Any], title: str
) -> dict[str, Any] | None:
    """Return None if diffusers finds all of the file's layers in the pipeline; otherwise return weights under
    names that diffusers finds.

    Raises EngineError with the reason if neither the file's layout nor a converted one fits the pipeline.
    """
    path = file
    endings = {key.rpartition(".")[2] for key in weights}
    for kind, description in OTHER_KINDS.items():
        if kind in endings or (kind.endswith("_w") and any(kind in key for key in weights)):
            if kind == "lokr_w" and not _foreign(_layers(pipe, file), pipe):
                return None
            raise EngineError(f"loras: {path.name} is {description}; choose a plain LoRA.")
    native = all(
        key.startswith(("transformer.", "text_encoder")) and "lora_down" not in key for key in weights
    )
    given = None if native else renamed(weights, pipe)
    layers = _layers(pipe, file) if given is None else {LAYER.split(key)[0] for key in given}
    foreign = _foreign(layers, pipe)
    if not layers or foreign:
        raise EngineError(
            f"loras: {path.name} was made for another model: {len(foreign) or 'none'} of its {len(layers)} "
            f"layers {'are not' if foreign else 'are'} in {title} (its first names: "
            f"{', '.join(sorted(weights)[:2])}; expected are such as "
            "transformer.transformer_blocks.0.attn.to_q.lora_A.weight); choose one that was trained on it."
        )
    _refuse_wider(pipe, path, given if given is not None else weights)
    return given


def _layers(pipe: Any, file: Path) -> set[str]:
    """Return the layers that diffusers finds in a file, under diffusers' names. Return an empty set if it
    reads none.
    """
    try:
        return {LAYER.split(key)[0] for key in pipe.lora_state_dict(str(file)) if LAYER.search(key)}
    except Exception:  # an unknown layout can raise any error; the converted layout is tried next
        return set()


def _foreign(layers: set[str], pipe: Any) -> list[str]:
    """Return the layers that no part of the pipeline has, or that have no weights of their own."""
    own = {
        f"{part}.{layer}"
        for part in ("transformer", "text_encoder", "text_encoder_2")
        if hasattr(getattr(pipe, part, None), "named_modules")
        for layer, module in getattr(pipe, part).named_modules()
        if hasattr(module, "weight")
    }
    return sorted(layers - own)


def _refuse_wider(pipe: Any, path: Path, weights: Mapping[str, Any]) -> None:
    """Raise EngineError for a control LoRA, because it needs a picture's channels
    besides those of the noise.
    """
    for key, value in weights.items():
        layer, _, kind = key.removeprefix("transformer.").partition(".lora_A")
        if layer.endswith(("x_embedder", "img_in")) and kind:
            embedder = getattr(pipe.transformer, "x_embedder", None) or getattr(
                pipe.transformer, "img_in", None
            )
            width = getattr(embedder, "in_features", value.shape[-1])
            if value.shape[-1] > width:
                raise EngineError(
                    f"loras: {path.name} is a control LoRA, which widens the model's input from {width} "
                    f"to {value.shape[-1]} channels; choose the folder of a control pipeline (FLUX.1 Canny, "
                    "FLUX.1 Depth)."
                )


@contextmanager
def safetensors_name(path: Path) -> Iterator[Path]:
    """Return the file under a name that diffusers accepts as safetensors: a copy if the
    file is named .sft.
    """
    if path.suffix.lower() == ".safetensors":
        yield path
        return
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / f"{path.stem}.safetensors"
        shutil.copyfile(path, copy)
        yield copy


@contextmanager
def _warnings() -> Iterator[list[str]]:
    """Collect the warnings that diffusers writes into its log inside the ``with`` block."""
    import diffusers

    texts: list[str] = []
    handler = logging.Handler(logging.WARNING)
    handler.emit = lambda record: texts.append(record.getMessage())
    log = logging.getLogger("diffusers")
    handlers, level = log.handlers[:], diffusers.utils.logging.get_verbosity()
    log.handlers = [handler]
    log.setLevel(logging.WARNING)
    try:
        yield texts
    finally:
        log.handlers = handlers
        log.setLevel(level)


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
