"""What one stream remembers: at each place the values computed last, and the signal to compare with."""

from __future__ import annotations

from collections.abc import Hashable
from functools import lru_cache, partial
from typing import NamedTuple

import torch
from torch import Tensor

from ..plans import Predictor
from ..predictors.differences import ungrammed


class Computed(NamedTuple):
    """One place at one step: its tensors, the image's first where there are two streams."""

    step: int
    values: tuple[Tensor, ...]


class Reference:
    """A signal, (batch, tokens, channels), at the last computed (or previous) step.

    ``change`` is mean|new - old| / mean|old| over the whole tensor, in float32 whatever the model's dtype.
    """

    def __init__(self, signal: Tensor) -> None:
        self.signal = signal
        self.mean = signal.float().abs().mean()

    def change(self, signal: Tensor) -> Tensor:
        return (self.signal.float() - signal.float()).abs().mean() / self.mean


class History:
    """The newest computed values of one place and, for predictors that want it, the last one that was handed
    out.
    """

    def __init__(self) -> None:
        self.computed: list[Computed] = []
        self.before: Computed | None = None  # handed out right before the newest computed one
        self.handed: Computed | None = None
        self._products: dict[int, tuple[tuple[float, ...], ...]] = {}

    def remember(self, step: int, values: tuple[Tensor, ...], predictor: Predictor) -> None:
        self.before = self.handed if self.handed is not None and self.handed.step == step - 1 else None
        self.handed = None
        self.computed = [Computed(step, values), *self.computed[: predictor.keep - 1]]
        self._products.clear()

    def predict(self, predictor: Predictor, step: int, total: int) -> tuple[Tensor, ...]:
        """The values at ``step``: a weighted sum of what is remembered, in the model's dtype."""
        remembered = [*self.computed, self.before] if self.before is not None else self.computed
        values = tuple(
            combine(self._row(predictor, step, total, place), [found.values[place] for found in remembered])
            for place in range(len(self.computed[0].values))
        )
        if predictor.uses_last_prediction:
            self.handed = Computed(step, values)
        return values

    def _row(self, predictor: Predictor, step: int, total: int, place: int) -> tuple[float, ...]:
        steps = tuple(found.step for found in self.computed)
        last_prediction = self.before.step if self.before is not None else None
        if predictor.needs_inner_products:
            return predictor.row(steps, step, total, last_prediction, partial(self._gram, place))
        return row(predictor, steps, step, total, last_prediction)

    def _gram(self, place: int) -> tuple[tuple[float, ...], ...]:
        if place not in self._products:
            self._products[place] = inner_products([found.values[place] for found in self.computed])
        return self._products[place]

    @property
    def tensors(self) -> list[Tensor]:
        found = [*self.computed, *(one for one in (self.before, self.handed) if one is not None)]
        return [tensor for one in found for tensor in one.values]


class Memory:
    """One stream's histories by place, and its signal's reference."""

    def __init__(self) -> None:
        self.histories: dict[Hashable, History] = {}
        self.reference: Reference | None = None
        self._like: tuple[object, ...] | None = None

    def at(self, place: Hashable) -> History:
        return self.histories.setdefault(place, History())

    def keep_only(self, *places: Hashable) -> None:
        """Forget every other place."""
        self.histories = {place: self.at(place) for place in places}

    def fits(self, *inputs: Tensor) -> bool:
        """Whether these are of the shapes and dtypes of the first call, whose values are remembered."""
        like = tuple((tensor.shape, tensor.dtype) for tensor in inputs)
        self._like = self._like or like
        return self._like == like

    @property
    def bytes(self) -> int:
        tensors = [tensor for history in self.histories.values() for tensor in history.tensors]
        if self.reference is not None:
            tensors.append(self.reference.signal)
        return sum(tensor.numel() * tensor.element_size() for tensor in tensors)


@lru_cache(maxsize=1024)
def row(
    predictor: Predictor, steps: tuple[int, ...], step: int, total: int, last_prediction: int | None
) -> tuple[float, ...]:
    """A row that follows from step numbers alone: every module of every block asks for the same one."""
    return predictor.row(steps, step, total, last_prediction, ungrammed)


def inner_products(values: list[Tensor]) -> tuple[tuple[float, ...], ...]:
    """Of each with each, added up in float64: the smallest directions have to survive. One device
    synchronisation.
    """
    flat = [
        (value.cpu() if value.device.type == "mps" else value).float().flatten() for value in values
    ]  # no float64 there
    products = torch.stack(
        [(one * other).sum(dtype=torch.float64) for place, one in enumerate(flat) for other in flat[place:]]
    )
    found = iter(products.tolist())
    upper = {(i, j): next(found) for i in range(len(flat)) for j in range(i, len(flat))}
    return tuple(tuple(upper[min(i, j), max(i, j)] for j in range(len(flat))) for i in range(len(flat)))


def combine(weights: tuple[float, ...], values: list[Tensor]) -> Tensor:
    """Sum of weight times value, in the values' dtype. A single weight of one hands the value out as it is,
    bit for bit.

    Summed in float32: weights far from the anchors are large and of both signs (10 steps ahead of neighbours:
    11 and
    -10), and in bfloat16 each product would bring its own rounding of 1/256, which is more than the forecast
    gains.
    """
    if all(weight == 0 for weight in weights[1:]):
        return values[0] if weights[0] == 1 else values[0] * weights[0]
    dtype = torch.promote_types(values[0].dtype, torch.float32)
    total = values[0].to(dtype) * weights[0]
    for weight, value in zip(weights[1:], values[1:], strict=True):
        if weight:
            total = total.add_(value, alpha=weight)
    return total.to(values[0].dtype)
