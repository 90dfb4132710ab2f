"""Loads models. One pipeline at a time stays in memory, with a record of the engine that runs it."""

from __future__ import annotations

import gc
import threading
from typing import Any, NamedTuple

from .devices import device, installed
from .failures import as_engine_error
from .model import ModelSpec
from .models.catalog import sections_of, spec_of
from .placement import Device, Placement, place
from .records import Engine
from .strict import EngineError

_LOCK = threading.RLock()
_LOADED: dict[str, LoadedModel] = {}


class LoadedModel(NamedTuple):
    """A model that is ready to draw.

    warm: for each shape that was warmed up, the calls of the transformer that its warm-up run made.
    """

    spec: ModelSpec
    pipe: Any
    engine: Engine
    warm: dict[tuple[Any, ...], tuple[Any, ...]]


def preload() -> None:
    """Import torch and diffusers. It takes seconds, which a page can spend before the first click."""
    import torch

    del torch
    _quiet()


def preload_model(name: str) -> None:
    """Load a row's pipeline ahead of the first run, and download what is missing.

    Raises EngineError, as ``load_model`` does.
    """
    spec = spec_of(name)
    try:
        spec.fetch()
    except Exception as error:
        raise as_engine_error(error, spec) from error
    load_model(name)


def engine_of(name: str) -> Engine:
    """Load a row and return the engine that runs it. Raises EngineError, as ``load_model`` does."""
    return load_model(name).engine


def _quiet() -> None:
    """Silence the libraries' progress bars and hints: stderr is for errors."""
    import diffusers
    import transformers

    for library in (diffusers, transformers):
        library.utils.logging.disable_progress_bar()
        library.utils.logging.set_verbosity_error()


def load_model(name: str) -> LoadedModel:
    """Return the row's pipeline, from memory or from disk. Another loaded model is unloaded first.

    Raises EngineError if the model is not available, its files are damaged, or it does not fit.
    """
    with _LOCK:
        if name not in _LOADED:
            unload_model()
            _LOADED[name] = _load(spec_of(name))
        return _LOADED[name]


def unload_model() -> None:
    """Free the loaded model and its memory on the device."""
    import torch

    _LOADED.clear()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _load(spec: ModelSpec) -> LoadedModel:
    if reason := spec.unavailable():
        raise EngineError(f"model: {reason}")
    _quiet()
    on = device()
    placement = place(spec.title, spec.memory, on, quantiser=installed("torchao"))
    try:
        pipe = spec.load(placement)
        sections_of(pipe.transformer)
    except Exception as error:
        unload_model()
        raise as_engine_error(error, spec) from error
    return LoadedModel(spec, pipe, _engine(spec, on, placement), {})


def _engine(spec: ModelSpec, on: Device, placement: Placement) -> Engine:
    import diffusers
    import torch

    return Engine(
        model=spec.name,
        revision=spec.revision(),
        dtype=placement.dtype,
        quantisation=placement.quantisation,
        placement=placement.mode,
        threads=torch.get_num_threads() if on.kind == "cpu" else 0,
        device=on.name if on.kind == "cuda" else f"{on.kind} {on.name}".strip(),
        versions=f"torch {torch.__version__}, diffusers {diffusers.__version__}",
    )
