"""Loaded models: one pipeline at a time stays in memory, with the facts of what runs it."""

from __future__ import annotations

import gc
import platform
import threading
from typing import Any, NamedTuple

from .model import MODELS, ModelSpec
from .records import Engine, EngineError

_LOCK = threading.RLock()
_LOADED: dict[str, Loaded] = {}


class Loaded(NamedTuple):
    """A model that is ready to draw. ``warm``: shapes that have been run once, unrecorded."""

    spec: ModelSpec
    pipe: Any
    engine: Engine
    warm: set[tuple[Any, ...]]


def preload() -> None:
    """Import torch and diffusers: seconds that a page would rather spend before the first click."""
    import torch

    del torch
    _quiet()


def _quiet() -> None:
    """Their bars and hints go to stderr, where an engine's user looks for errors."""
    import diffusers
    import transformers

    for library in (diffusers, transformers):
        library.utils.logging.disable_progress_bar()
        library.utils.logging.set_verbosity_error()


def device_and_dtype() -> tuple[str, str]:
    """The accelerator in bfloat16 where there is one, else the CPU in float32 (bfloat16 is very slow there)."""
    import torch

    if torch.cuda.is_available():
        return "cuda", "bfloat16"
    return ("mps", "float32") if torch.backends.mps.is_available() else ("cpu", "float32")


def loaded(name: str) -> Loaded:
    """The row's pipeline, from memory or disk. Another model's is dropped first.

    Raises EngineError where the model is not to be had, its files are damaged, or it does not fit.
    """
    with _LOCK:
        if name not in _LOADED:
            drop()
            _LOADED[name] = _load(MODELS[name])
        return _LOADED[name]


def drop() -> None:
    """Let go of the loaded model and what it holds on the device."""
    import torch

    _LOADED.clear()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _load(spec: ModelSpec) -> Loaded:
    import torch

    if reason := spec.unavailable():
        raise EngineError(f"model: {reason}")
    _quiet()
    device, dtype = device_and_dtype()
    try:
        pipe = spec.load(device, dtype)
    except EngineError:
        raise
    except torch.OutOfMemoryError:
        raise EngineError(f"model: {spec.title} does not fit this device's memory ({spec.needs}); free some, or choose "
                          "the embedded model (tiny).") from None
    except Exception as error:  # whatever a damaged file makes the loaders raise
        first = str(error).strip().splitlines() or [""]
        raise EngineError(f"model: {spec.title} cannot be loaded from {spec.revision()} ({type(error).__name__}: "
                          f"{first[0][:160]}); restore its files or download it again.") from error
    return Loaded(spec, pipe, _engine(spec, device, dtype), set())


def _engine(spec: ModelSpec, device: str, dtype: str) -> Engine:
    import diffusers
    import torch

    name = torch.cuda.get_device_name() if device == "cuda" else platform.processor() or platform.machine()
    threads = torch.get_num_threads() if device == "cpu" else 0
    return Engine(model=spec.name, revision=spec.revision(), dtype=dtype, threads=threads,
                  device=name if device == "cuda" else f"{device} {name}".strip(),
                  versions=f"torch {torch.__version__}, diffusers {diffusers.__version__}")
