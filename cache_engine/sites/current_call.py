"""The transformer call that is running: its plan, its stream's memory, and the sites that act in it."""

from __future__ import annotations

from collections.abc import Hashable
from typing import NamedTuple

from torch import Tensor

from ..plans import Decision, Plan, Predictor, Site, Stack, active_sites
from ..session import Call, Session
from .blocks import Block
from .tensor_history import StreamTensors, TensorHistory, Tensors


class PlaceInCall(NamedTuple):
    """One place of the model in the running call."""

    call: Call
    history: TensorHistory
    predictor: Predictor
    # True: the remembered values are used. False: the place runs, and its values are remembered.
    serving: bool

    def remember(self, values: Tensors) -> None:
        """Remember the values that this place has just computed."""
        self.history.remember(self.call.step, values, self.predictor.keep)

    def predict(self) -> Tensors:
        """Predict this place's values at the call's step."""
        return self.history.predict(self.predictor, self.call.step, self.call.total)

    @property
    def remembered(self) -> tuple[Tensor, ...]:
        """Return the values that were computed last."""
        return self.history.values[0]


class CurrentCall:
    """The facts about the running call that all sites of one ``attached`` block share. ``call`` is None
    between calls.

    skipping: True while the stack's blocks are skipped. serving: True while the site inside the blocks uses
    remembered values.
    """

    plan: Plan
    history: StreamTensors

    def __init__(self, session: Session, blocks: list[Block]) -> None:
        self.session, self.blocks = session, blocks
        self.leave()

    def enter(self, call: Call) -> None:
        """Begin a call."""
        assert self.session.plan is not None
        self.plan, self.call = self.session.plan, call
        active = active_sites(self.plan, call.step)
        self.stack = next((site for site in active if isinstance(site, Stack)), None)
        self.inner = next((site for site in active if not isinstance(site, Stack)), None)
        self.skipping = self.serving = False
        self._find_history(call)

    def leave(self) -> None:
        """End the call, also after a failure."""
        self.call: Call | None = None
        self.stack: Stack | None = None
        self.inner: Site | None = None  # the site that acts inside the blocks
        self.skipping = self.serving = False

    def forget(self, call: Call) -> None:
        """Forget everything that the call's stream remembers."""
        self.session.forget(call)
        self._find_history(call)

    def _find_history(self, call: Call) -> None:
        self.history = self.session.memory.setdefault(call.stream, StreamTensors())

    def follow(self, decision: Decision) -> None:
        """Determine which site, if any, serves the call after this decision."""
        self.skipping = self.stack is not None and decision.mode == self.stack.serves
        self.serving = self.inner is not None and decision.mode == self.inner.serves

    def at(self, place: Hashable) -> PlaceInCall:
        """Return a place of the stack in the running call."""
        assert self.call is not None
        return PlaceInCall(self.call, self.history.at(place), self.plan.predictor, self.skipping)

    def here(self, kind: type[Site], place: Hashable) -> PlaceInCall | None:
        """Return a place inside a block, or None if no site of this kind acts in the running call."""
        if self.call is None or not isinstance(self.inner, kind):
            return None
        return PlaceInCall(self.call, self.history.at(place), self.plan.predictor, self.serving)
