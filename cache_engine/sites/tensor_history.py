"""Histories of tensors: the memory of one stream in a run on a real model."""

from __future__ import annotations

from collections.abc import Hashable
from functools import partial

import torch
from torch import Tensor

from ..history import PlaceHistory, StreamHistory
from ..plans import Predictor

# tensors of one place at one step; the image's tensor comes first if the text has its own
Tensors = tuple[Tensor, ...]


class SignalReference:
    """The signal, (batch, tokens, channels), with which later signals are compared.

    ``change`` is mean|new - old| / mean|old| over the whole tensor, in float32 whatever the model's dtype.
    """

    def __init__(self, signal: Tensor) -> None:
        self.signal = signal
        self.mean = signal.float().abs().mean()

    def change(self, signal: Tensor) -> Tensor:
        """Return the change as a scalar on the signal's device."""
        return (self.signal.float() - signal.float()).abs().mean() / self.mean


class TensorHistory(PlaceHistory[Tensors]):
    """The newest tensors of one place. Predictions have the model's dtype."""

    def __init__(self) -> None:
        super().__init__()
        self._gram_steps: tuple[int, ...] = ()  # the steps of the values in ``_grams``
        self._grams: dict[int, tuple[tuple[float, ...], ...]] = {}

    def weighted_sum(self, predictor: Predictor, step: int, total: int) -> Tensors:
        summands = self.summands
        return tuple(
            combine(
                self.weights(predictor, step, total, partial(self._gram, part)),
                [values[part] for values in summands],
            )
            for part in range(len(self.values[0]))
        )

    def _gram(self, part: int) -> tuple[tuple[float, ...], ...]:
        if self._gram_steps != self.steps:
            self._gram_steps, self._grams = self.steps, {}
        if part not in self._grams:
            self._grams[part] = inner_products([values[part] for values in self.values])
        return self._grams[part]

    @property
    def tensors(self) -> list[Tensor]:
        """Return all tensors that the place holds in memory."""
        predictions = (self.earlier_prediction, self.newest_prediction)
        held = [*self.values, *(prediction.value for prediction in predictions if prediction is not None)]
        return [tensor for values in held for tensor in values]


class StreamTensors(StreamHistory[TensorHistory, SignalReference]):
    """The memory of one stream in a run on a real model."""

    def __init__(self) -> None:
        super().__init__()
        self._like: tuple[object, ...] | None = None

    def new_history(self, place: Hashable) -> TensorHistory:
        return TensorHistory()

    def fits(self, *inputs: Tensor) -> bool:
        """Return whether the inputs have the shapes and dtypes of the first call, whose values are
        remembered.
        """
        like = tuple((tensor.shape, tensor.dtype) for tensor in inputs)
        self._like = self._like or like
        return self._like == like

    @property
    def bytes(self) -> int:
        """Return the bytes of all tensors in memory."""
        tensors = [tensor for history in self.places.values() for tensor in history.tensors]
        if self.reference is not None:
            tensors.append(self.reference.signal)
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


def inner_products(values: list[Tensor]) -> tuple[tuple[float, ...], ...]:
    """Return the inner products of all pairs of values. This synchronises the device once.

    The products are added up in float64, because the smallest directions would be lost otherwise.
    """
    # Apple's mps devices have no float64
    flat = [(value.cpu() if value.device.type == "mps" else value).float().flatten() for value in values]
    products = torch.stack(
        [(row * column).sum(dtype=torch.float64) for i, row in enumerate(flat) for column in flat[i:]]
    )
    numbers = iter(products.tolist())
    upper = {(i, j): next(numbers) for i in range(len(flat)) for j in range(i, len(flat))}
    return tuple(tuple(upper[min(i, j), max(i, j)] for j in range(len(flat))) for i in range(len(flat)))


def combine(weights: tuple[float, ...], values: list[Tensor]) -> Tensor:
    """Return the sum of weight times value, in the values' dtype. A single weight of 1 returns the value
    unchanged, bit for bit.

    The sum is computed in float32. Far from the computed steps, weights are large and have both signs (10
    steps after two neighbouring steps: 11 and -10). In bfloat16, each product would be rounded by 1/256, an
    error larger than the forecast's gain.
    """
    if all(weight == 0 for weight in weights[1:]):
        return values[0] if weights[0] == 1 else values[0] * weights[0]
    dtype = torch.promote_types(values[0].dtype, torch.float32)
    total = values[0].to(dtype) * weights[0]
    for weight, value in zip(weights[1:], values[1:], strict=True):
        if weight:
            total = total.add_(value, alpha=weight)
    return total.to(values[0].dtype)
