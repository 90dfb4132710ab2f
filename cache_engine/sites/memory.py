"""What one stream remembers: the values computed last at one place, and the front's residual to compare with."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from ..records import Predictor


class Computed(NamedTuple):
    """One computed step: image and (where the blocks carry it) text stream, each (batch, tokens, channels)."""

    step: int
    image: Tensor
    text: Tensor | None


class Front:
    """The residual of the first Fn blocks at the last computed step.

    ``change`` is mean|new - old| / mean|old| over the whole image stream, in float32 whatever the model's dtype.
    """

    def __init__(self, residual: Tensor) -> None:
        self.residual = residual
        self.mean = residual.float().abs().mean()

    def change(self, residual: Tensor) -> Tensor:
        return (self.residual.float() - residual.float()).abs().mean() / self.mean


class Memory:
    """The newest ``predictor.keep`` computed values of one stream."""

    def __init__(self) -> None:
        self.computed: list[Computed] = []
        self.front: Front | None = None

    def remember(self, value: Computed, keep: int) -> None:
        self.computed = [value, *self.computed[: keep - 1]]

    def predict(self, predictor: Predictor, step: int) -> tuple[Tensor, Tensor | None]:
        """Image and text values at ``step``: a weighted sum of what is remembered, in the model's dtype."""
        weights = predictor.row(tuple(value.step for value in self.computed), step)
        image = combine(weights, [value.image for value in self.computed])
        texts = [value.text for value in self.computed if value.text is not None]
        return image, combine(weights, texts) if texts else None

    def fits(self, image: Tensor, text: Tensor | None = None) -> bool:
        """Whether what is remembered has the shapes and dtypes of this call."""
        return all(alike(value.image, image) and alike(value.text, text) for value in self.computed)

    @property
    def bytes(self) -> int:
        tensors = [tensor for value in self.computed for tensor in (value.image, value.text) if tensor is not None]
        if self.front is not None:
            tensors.append(self.front.residual)
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def alike(remembered: Tensor | None, now: Tensor | None) -> bool:
    if remembered is None or now is None:
        return remembered is now
    return remembered.shape == now.shape and remembered.dtype == now.dtype


def combine(weights: tuple[float, ...], values: list[Tensor]) -> Tensor:
    """Sum of weight times value, in the values' dtype. A single weight of one hands the value out as it is, bit for bit.

    Summed in float32: weights far from the anchors are large and of both signs (10 steps ahead of neighbours: 11 and
    -10), and in bfloat16 each product would bring its own rounding of 1/256, which is more than the forecast gains.
    """
    if all(weight == 0 for weight in weights[1:]):
        return values[0] if weights[0] == 1 else values[0] * weights[0]
    dtype = torch.promote_types(values[0].dtype, torch.float32)
    total = values[0].to(dtype) * weights[0]
    for weight, value in zip(weights[1:], values[1:], strict=True):
        if weight:
            total = total.add_(value, alpha=weight)
    return total.to(values[0].dtype)
