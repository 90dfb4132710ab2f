"""What compute is counted from where a request does not tell: the calls that a pipeline makes, and what
LoRAs add to a transformer.
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
    """One call of the transformer as a pipeline made it, by name; tensors without data. Two are equal if
    their shapes are.
    """

    shapes: tuple[tuple[str, torch.Size], ...]
    batch: int
    arguments: Mapping[str, Any] = field(compare=False)


@contextmanager
def record_calls(transformer: nn.Module) -> Iterator[list[SeenCall]]:
    """What is asked of it within the ``with``. Nothing of the model is changed but for a hook, which is
    removed.
    """
    found: list[SeenCall] = []
    names = list(signature(transformer.forward).parameters)
    described = TRANSFORMERS.get(type(transformer).__name__)
    keep = described is not None and described.reads  # counted on the loaded model, on the very values

    def look(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        given = dict(zip(names, args)) | kwargs
        shapes = tuple(
            (name, one.shape) for name, one in sorted(given.items()) if isinstance(one, torch.Tensor)
        )
        found.append(
            SeenCall(
                shapes,
                batch_of(given, names[0]),
                given if keep else {name: _empty(one) for name, one in given.items()},
            )
        )

    hook = transformer.register_forward_pre_hook(look, with_kwargs=True)
    try:
        yield found
    finally:
        hook.remove()


def _empty(value: Any) -> Any:
    """Tensors, in lists and dicts too, as they are without data."""
    if isinstance(value, torch.Tensor):
        return torch.empty_like(value, device="meta")
    if isinstance(value, dict):
        return {name: _empty(one) for name, one in value.items()}
    return type(value)(_empty(one) for one in value) if type(value) in (list, tuple) else value


@dataclass(frozen=True)
class Adapters:
    """What LoRAs add to a loaded transformer: peft's configs by name. Two are equal if they add as many
    ranks to the same layers.
    """

    layers: tuple[tuple[str, tuple[tuple[str, int], ...]], ...]
    configs: Mapping[str, Any] = field(compare=False)


def adapters_of(transformer: nn.Module | None) -> Adapters | None:
    configs = getattr(transformer, "peft_config", None)
    if transformer is None or not configs:
        return None
    ranks = ((name, getattr(layer, "r", None)) for name, layer in transformer.named_modules())
    return Adapters(
        tuple((name, tuple(sorted(rank.items()))) for name, rank in ranks if isinstance(rank, dict)),
        dict(configs),
    )
