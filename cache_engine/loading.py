"""Loaded models: one pipeline at a time stays in memory, with the facts of what runs it."""

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
    """A model that is ready to draw. ``warm``: shapes that have been run once, unrecorded, and the calls
    that they made.
    """

    spec: ModelSpec
    pipe: Any
    engine: Engine
    warm: dict[tuple[Any, ...], tuple[Any, ...]]


def preload() -> None:
    """Import torch and diffusers: seconds that a page would rather spend before the first click."""
    import torch

    del torch
    _quiet()


def preload_model(name: str) -> None:
    """Load a row's pipeline before anyone asks for it; what is not here is downloaded. Raises EngineError,
    as ``loaded`` does.
    """
    spec = spec_of(name)
    try:
        spec.fetch()
    except Exception as error:
        raise as_engine_error(error, spec) from error
    load_model(name)


def engine_of(name: str) -> Engine:
    """What runs a row here. Loads it; raises EngineError, as ``loaded`` does."""
    return load_model(name).engine


def _quiet() -> None:
    """Their bars and hints go to stderr, where an engine's user looks for errors."""
    import diffusers
    import transformers

    for library in (diffusers, transformers):
        library.utils.logging.disable_progress_bar()
        library.utils.logging.set_verbosity_error()


def load_model(name: str) -> LoadedModel:
    """The row's pipeline, from memory or disk. Another model's is dropped first.

    Raises EngineError where the model is not to be had, its files are damaged, or it does not fit.
    """
    with _LOCK:
        if name not in _LOADED:
            unload_model()
            _LOADED[name] = _load(spec_of(name))
        return _LOADED[name]


def unload_model() -> None:
    """Let go of the loaded model and what it holds on the device."""
    import torch

    _LOADED.clear()
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


def _load(spec: ModelSpec) -> LoadedModel:
    if reason := spec.unavailable():
        raise EngineError(f"model: {reason}")
    _quiet()
    found = device()
    placement = place(spec.title, spec.memory, found, quantiser=installed("torchao"))
    try:
        pipe = spec.load(placement)
        sections_of(pipe.transformer)
    except Exception as error:
        unload_model()
        raise as_engine_error(error, spec) from error
    return LoadedModel(spec, pipe, _engine(spec, found, placement), {})


def _engine(spec: ModelSpec, found: Device, placement: Placement) -> Engine:
    import diffusers
    import torch

    return Engine(
        model=spec.name,
        revision=spec.revision(),
        dtype=placement.dtype,
        quantisation=placement.quantisation,
        placement=placement.mode,
        threads=torch.get_num_threads() if found.kind == "cpu" else 0,
        device=found.name if found.kind == "cuda" else f"{found.kind} {found.name}".strip(),
        versions=f"torch {torch.__version__}, diffusers {diffusers.__version__}",
    )
