"""Loads a request's LoRAs into a pipeline for one run, with diffusers' own loader."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from inspect import signature
from warnings import catch_warnings, simplefilter

from torch import nn

from .devices import installed
from .failures import as_engine_error
from .loading import LoadedModel
from .models.lora_files import load_lora
from .records import RunRequest
from .strict import EngineError


@contextmanager
def apply_loras(model: LoadedModel, request: RunRequest) -> Iterator[None]:
    """Load the request's LoRAs for the time of the ``with`` block.

    Afterwards the pipeline has its own weights again, bit for bit.

    Raises EngineError if a file is not a LoRA of this model, is damaged, or has changed since it was named.
    """
    if not request.loras:
        yield
        return
    pipe, spec = model.pipe, model.spec
    if not hasattr(pipe, "load_lora_weights"):
        raise EngineError(
            f"loras: diffusers cannot load a LoRA into a {type(pipe).__name__}; leave the LoRAs out."
        )
    if not installed("peft"):
        raise EngineError("loras: they need peft; install it with `pip install peft`.")
    parts = [
        part for part in (pipe, *pipe.components.values()) if isinstance(part, nn.Module) or part is pipe
    ]
    before = [set(vars(part)) for part in parts]
    trained = [
        parameter
        for part in parts
        if isinstance(part, nn.Module)
        for parameter in part.parameters()
        if parameter.requires_grad
    ]
    names = [f"cachelens_{number}" for number in range(len(request.loras))]
    try:
        try:
            with catch_warnings():
                simplefilter("ignore")  # peft warns about a second LoRA
                for name, lora in zip(names, request.loras, strict=True):
                    load_lora(pipe, lora.unchanged(), name, spec.title)
                pipe.set_adapters(names, [lora.weight for lora in request.loras])
        except Exception as error:
            raise as_engine_error(error, spec) from error
        yield
    finally:
        unload = pipe.unload_lora_weights
        unload(
            **{name: True for name in signature(unload).parameters if name == "reset_to_overwritten_params"}
        )
        for part, had in zip(parts, before, strict=True):
            for name in set(vars(part)) - had:
                delattr(part, name)
        for parameter in trained:
            parameter.requires_grad_(True)
