"""What a run remembers of its computed steps, and when it can predict from them. No torch.

A run remembers tensors by these rules. A what-if remembers sums of recorded values by the same rules, so both
decide and predict alike.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Hashable
from functools import lru_cache
from typing import Generic, NamedTuple, TypeVar

from .plans import Gram, Mode, Predictor, Signal, Stack
from .predictors.differences import no_inner_products

Value = TypeVar("Value")
Reference = TypeVar("Reference")


class Prediction(NamedTuple, Generic[Value]):
    """The value that a run used at ``step`` in place of a computed one."""

    step: int
    value: Value


class PlaceHistory(ABC, Generic[Value]):
    """The newest computed values of one place in the model, and the prediction used last.

    A subclass says how a prediction is added up from them.
    """

    def __init__(self) -> None:
        self.can_predict = False  # True once a value is remembered
        self.steps: tuple[int, ...] = ()  # newest first
        self.values: tuple[Value, ...] = ()  # computed at these steps
        self.earlier_prediction: Prediction[Value] | None = None  # used one step before the newest computed
        self.newest_prediction: Prediction[Value] | None = None  # used after it

    def remember(self, step: int, value: Value, keep: int) -> None:
        """Add the value computed at ``step``, and forget all but the newest ``keep`` values."""
        newest = self.newest_prediction
        self.earlier_prediction = newest if newest is not None and newest.step == step - 1 else None
        self.newest_prediction = None
        if keep == 1:
            self.steps, self.values = (step,), (value,)
        else:
            self.steps = (step, *self.steps[: keep - 1])
            self.values = (value, *self.values[: keep - 1])
        self.can_predict = True

    def predict(self, predictor: Predictor, step: int, total: int) -> Value:
        """Predict the value at ``step`` of ``total``."""
        value = self.weighted_sum(predictor, step, total)
        if predictor.uses_last_prediction:
            self.newest_prediction = Prediction(step, value)
        return value

    @abstractmethod
    def weighted_sum(self, predictor: Predictor, step: int, total: int) -> Value:
        """Add up ``summands``, weighted by ``weights``."""

    @property
    def summands(self) -> tuple[Value, ...]:
        """The values that a prediction is made of, in the order of its weights."""
        earlier = self.earlier_prediction
        return self.values if earlier is None else (*self.values, earlier.value)

    def weights(self, predictor: Predictor, step: int, total: int, gram: Gram) -> tuple[float, ...]:
        """Return the predictor's weights at ``step``.

        gram: returns the inner products of the values, for predictors that need them.
        """
        last_prediction = None if self.earlier_prediction is None else self.earlier_prediction.step
        if predictor.needs_inner_products:
            return predictor.row(self.steps, step, total, last_prediction, gram)
        return _weights_of_steps(predictor, self.steps, step, total, last_prediction)


@lru_cache(maxsize=1024)
def _weights_of_steps(
    predictor: Predictor, steps: tuple[int, ...], step: int, total: int, last_prediction: int | None
) -> tuple[float, ...]:
    """Weights that follow from step numbers alone: every module of every block asks for the same ones."""
    return predictor.row(steps, step, total, last_prediction, no_inner_products)


Place = TypeVar("Place", bound=PlaceHistory)


class StreamHistory(ABC, Generic[Place, Reference]):
    """What one stream of a run remembers: its places' histories, and the reference of the signal's change."""

    def __init__(self) -> None:
        self.places: dict[Hashable, Place] = {}
        self.reference: Reference | None = None

    @abstractmethod
    def new_history(self, place: Hashable) -> Place:
        """Make the history of a place where nothing is remembered."""

    def at(self, place: Hashable) -> Place:
        """Return the history of a place: a new one if nothing is remembered."""
        history = self.places.get(place)
        if history is None:
            history = self.places[place] = self.new_history(place)
        return history

    def enter(self, stack: Stack, *other_parts: Hashable) -> Place:
        """Return the history of the stack that may serve the current call.

        A stack with ``steps`` is a stage of the run: all but the stack and its other parts is forgotten.
        """
        if stack.steps is not None:
            self.places = {place: self.at(place) for place in (stack, *other_parts)}
        return self.at(stack)


def reference_modes(signal: Signal | None) -> tuple[Mode, ...]:
    """Return the modes of a call whose signal becomes the reference for later changes."""
    if signal is None:
        return ()
    return ("C", "c", "p") if signal.since == "previous" else ("C",)
