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
    """A loaded model that is ready to draw.

    warm: by shape, the transformer calls of the warm-up run; shapes without a warm-up run are missing.
    """

    spec: ModelSpec
    pipe: Any
    engine: Engine
    warm: dict[tuple[Any, ...], tuple[Any, ...]]


def preload() -> None:
    """Import torch and diffusers. The import takes seconds, so the page does it before the first click."""
    import torch

    del torch
    _quiet()


def fetch_model(name: str) -> None:
    """Let the hub's client download a row's missing files when the row is loaded. The owner of the machine
    decides that; a request does not.

    Raises EngineError if the hub cannot be reached or the disk has no room.
    """
    spec = spec_of(name)
    try:
        spec.fetch()
    except Exception as error:
        raise as_engine_error(error, spec) from error


def preload_model(name: str) -> None:
    """Load a row's pipeline before the first run needs it. Missing files are downloaded.

    Raises EngineError, as ``fetch_model`` and ``load_model`` do.
    """
    fetch_model(name)
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
    """Return the row's pipeline, from memory or from disk. A different loaded model is unloaded first, once
    it is known that this one is available and fits the device.

    Raises EngineError if the model is not available, if its files are damaged, or if it does not fit the
    memory.
    """
    with _LOCK:
        if name not in _LOADED:
            spec, on = spec_of(name), device()
            if reason := spec.unavailable():
                raise EngineError(f"model: {reason}")
            _place(spec, on._replace(free=on.total))
            unload_model()
            _LOADED[name] = _load(spec)
        return _LOADED[name]


def unload_model() -> None:
    """Unload the model and free its memory on the device."""
    import torch

    _LOADED.clear()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _load(spec: ModelSpec) -> LoadedModel:
    _quiet()
    on = device()
    placement = _place(spec, on)
    try:
        pipe = spec.load(placement)
        sections_of(pipe.transformer)
    except Exception as error:
        unload_model()
        raise as_engine_error(error, spec) from error
    return LoadedModel(spec, pipe, _engine(spec, on, placement), {})


def _place(spec: ModelSpec, on: Device) -> Placement:
    return place(spec.title, spec.memory, on, quantiser=installed("torchao"))


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
