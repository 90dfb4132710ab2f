"""The call of the transformer that is running: its plan, what its stream remembers, and which sites act."""

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
    serving: bool  # the remembered values are used; False: the place runs, and its values are remembered

    def remember(self, values: Tensors) -> None:
        """Remember the values that the place has just computed."""
        self.history.remember(self.call.step, values, self.predictor.keep)

    def predict(self) -> Tensors:
        """Predict the place's values at this call's step."""
        return self.history.predict(self.predictor, self.call.step, self.call.total)

    @property
    def remembered(self) -> tuple[Tensor, ...]:
        """The values computed last."""
        return self.history.values[0]


class CurrentCall:
    """What all sites of one ``attached`` block share about the running call. ``call`` is None between calls.

    skipping: the stack's blocks are skipped.  serving: the site inside the blocks uses remembered values.
    """

    plan: Plan
    history: StreamTensors

    def __init__(self, session: Session, blocks: list[Block]) -> None:
        self.session, self.blocks = session, blocks
        self.leave()

    def enter(self, call: Call) -> None:
        """A call begins."""
        assert self.session.plan is not None
        self.plan, self.call = self.session.plan, call
        active = active_sites(self.plan, call.step)
        self.stack = next((site for site in active if isinstance(site, Stack)), None)
        self.inner = next((site for site in active if not isinstance(site, Stack)), None)
        self.skipping = self.serving = False
        self._find_history(call)

    def leave(self) -> None:
        """The call is over, or has failed."""
        self.call: Call | None = None
        self.stack: Stack | None = None
        self.inner: Site | None = None  # the site that acts inside the blocks
        self.skipping = self.serving = False

    def forget(self, call: Call) -> None:
        """Forget all that the call's stream remembers."""
        self.session.forget(call)
        self._find_history(call)

    def _find_history(self, call: Call) -> None:
        self.history = self.session.memory.setdefault(call.stream, StreamTensors())

    def follow(self, decision: Decision) -> None:
        """Say which site, if any, serves the call."""
        self.skipping = self.stack is not None and decision.mode == self.stack.serves
        self.serving = self.inner is not None and decision.mode == self.inner.serves

    def at(self, place: Hashable) -> PlaceInCall:
        """A place of the stack, in a running call."""
        assert self.call is not None
        return PlaceInCall(self.call, self.history.at(place), self.plan.predictor, self.skipping)

    def here(self, kind: type[Site], place: Hashable) -> PlaceInCall | None:
        """A place inside a block, if a site of this kind acts in the running call."""
        if self.call is None or not isinstance(self.inner, kind):
            return None
        return PlaceInCall(self.call, self.history.at(place), self.plan.predictor, self.serving)
