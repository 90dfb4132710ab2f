"""Records the transformer calls that a pipeline really makes, and the LoRAs on its transformer.

For models whose request does not determine the shapes of the calls, compute is counted from these records.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

import torch
from torch import nn

from .models.generic import TRANSFORMERS
from .sites.refusals import batch_of


@dataclass(frozen=True)
class SeenCall:
    """The arguments of one call of the transformer, by name; its tensors have no data.

    Two calls are equal if their tensors have the same shapes.
    """

    shapes: tuple[tuple[str, torch.Size], ...]
    batch: int
    arguments: Mapping[str, Any] = field(compare=False)


@contextmanager
def record_calls(transformer: nn.Module) -> Iterator[list[SeenCall]]:
    """Yield a list. Inside the ``with`` block, a hook on the model appends every call to this list."""
    calls: list[SeenCall] = []
    names = list(signature(transformer.forward).parameters)
    description = TRANSFORMERS.get(type(transformer).__name__)
    # compute is counted on the loaded model with these values
    keep_data = description is not None and description.reads

    def look(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = dict(zip(names, args)) | kwargs
        shapes = tuple(
            (name, value.shape) for name, value in sorted(given.items()) if isinstance(value, torch.Tensor)
        )
        arguments = given if keep_data else _without_data(given)
        calls.append(SeenCall(shapes, batch_of(given, names[0]), arguments))

    hook = transformer.register_forward_pre_hook(look, with_kwargs=True)
    try:
        yield calls
    finally:
        hook.remove()


def _without_data(value: Any) -> Any:
    """Replace tensors by meta tensors, also inside lists and dicts."""
    if isinstance(value, torch.Tensor):
        return torch.empty_like(value, device="meta")
    if isinstance(value, dict):
        return {name: _without_data(item) for name, item in value.items()}
    return type(value)(_without_data(item) for item in value) if type(value) in (list, tuple) else value


@dataclass(frozen=True)
class Adapters:
    """The LoRAs on a loaded transformer: peft's configurations by name.

    Two instances are equal if they add the same ranks to the same layers.
    """

    layers: tuple[tuple[str, tuple[tuple[str, int], ...]], ...]
    configs: Mapping[str, Any] = field(compare=False)


def adapters_of(transformer: nn.Module | None) -> Adapters | None:
    """Return the LoRAs on the transformer, or None if it has none."""
    configs = getattr(transformer, "peft_config", None)
    if transformer is None or not configs:
        return None
    ranks = ((name, getattr(layer, "r", None)) for name, layer in transformer.named_modules())
    return Adapters(
        tuple((name, tuple(sorted(rank.items()))) for name, rank in ranks if isinstance(rank, dict)),
        dict(configs),
    )
