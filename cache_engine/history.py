"""The rules for remembering a run's computed steps, and for predicting skipped ones. This file imports no
torch.

A real run applies these rules to tensors. A what-if applies the same rules to sums of recorded values, so
both decide and predict alike.
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
    """A value that the run used at ``step`` instead of a computed value."""

    step: int
    value: Value


class PlaceHistory(ABC, Generic[Value]):
    """The newest computed values of one place in the model, and the last prediction that was used there.

    A subclass says how values are added up to a prediction.
    """

    def __init__(self) -> None:
        self.can_predict = False  # True once a value is remembered
        self.steps: tuple[int, ...] = ()  # newest first
        self.values: tuple[Value, ...] = ()  # the steps at which the values were computed
        # the prediction used one step before the newest computed step
        self.earlier_prediction: Prediction[Value] | None = None
        # the prediction used after the newest computed step
        self.newest_prediction: Prediction[Value] | None = None

    def remember(self, step: int, value: Value, keep: int) -> None:
        """Add the value computed at ``step``. Forget all values but the newest ``keep``."""
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
        """Predict the value at ``step`` of a run of ``total`` steps."""
        value = self.weighted_sum(predictor, step, total)
        if predictor.uses_last_prediction:
            self.newest_prediction = Prediction(step, value)
        return value

    @abstractmethod
    def weighted_sum(self, predictor: Predictor, step: int, total: int) -> Value:
        """Add up ``summands``, multiplied by ``weights``."""

    @property
    def summands(self) -> tuple[Value, ...]:
        """Return the values that a prediction adds up, in the order of its weights."""
        earlier = self.earlier_prediction
        return self.values if earlier is None else (*self.values, earlier.value)

    def weights(self, predictor: Predictor, step: int, total: int, gram: Gram) -> tuple[float, ...]:
        """Return the predictor's weights at ``step``.

        gram: a function that returns the inner products of the values, for predictors that need them.
        """
        last_prediction = None if self.earlier_prediction is None else self.earlier_prediction.step
        if predictor.needs_inner_products:
            return predictor.row(self.steps, step, total, last_prediction, gram)
        return _weights_of_steps(predictor, self.steps, step, total, last_prediction)


@lru_cache(maxsize=1024)
def _weights_of_steps(
    predictor: Predictor, steps: tuple[int, ...], step: int, total: int, last_prediction: int | None
) -> tuple[float, ...]:
    """Return weights that follow from step numbers alone. The weights are cached, because every module of
    every block needs the same weights.
    """
    return predictor.row(steps, step, total, last_prediction, no_inner_products)


Place = TypeVar("Place", bound=PlaceHistory)


class StreamHistory(ABC, Generic[Place, Reference]):
    """The memory of one stream of a run: a history for each place, and the reference
    for the signal's change.
    """

    def __init__(self) -> None:
        self.places: dict[Hashable, Place] = {}
        self.reference: Reference | None = None

    @abstractmethod
    def new_history(self, place: Hashable) -> Place:
        """Make the empty history of a place."""

    def at(self, place: Hashable) -> Place:
        """Return the history of a place; make an empty history if the place has none."""
        history = self.places.get(place)
        if history is None:
            history = self.places[place] = self.new_history(place)
        return history

    def enter(self, stack: Stack, *other_parts: Hashable) -> Place:
        """Return the history of the stack that the current call may use.

        A stack with ``steps`` serves one stage of the run: when it is entered, everything but the memory of
        this stack and its other parts is forgotten.
        """
        if stack.steps is not None:
            self.places = {place: self.at(place) for place in (stack, *other_parts)}
        return self.at(stack)


def reference_modes(signal: Signal | None) -> tuple[Mode, ...]:
    """Return the modes in which a call's signal becomes the reference for later changes."""
    if signal is None:
        return ()
    return ("C", "c", "p") if signal.since == "previous" else ("C",)
