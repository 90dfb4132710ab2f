"""replay(): the decisions of a run that was not made, and what its predictions would have missed. No torch.

The very Session, schedules and predictors of a real run decide; what a real run measures is looked up in the
survey.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np

from ..plans import ModelFacts, Plan, Predictor, Stack, active_sites
from ..session import Session
from .survey import Survey

ANOTHER_PATH = "another number of steps is another path: only a run can tell"
Terms = tuple[tuple[int, float], ...]  # (step, weight): a sum of the values that were computed at these steps


class Missed(NamedTuple):
    """One call that was not computed: at ``site``, what was predicted less what the survey saw is the sum of
    ``terms``. Steps are the survey's.
    """

    site: Stack
    stream: int
    step: int
    terms: Terms


class Replay(NamedTuple):
    """``note`` says why ``missed`` is None, as the survey cannot judge the predictions, or why it is only a
    guide.
    """

    session: Session
    missed: tuple[Missed, ...] | None
    note: str = ""


class _Step(NamedTuple):
    """What is the same for every stream. changes: by stream and reference step, or None where nothing is
    looked at.
    """

    stack: Stack | None
    changes: list[list[list[float]]] | None


def replay(survey: Survey, plan: Plan, facts: ModelFacts) -> Replay:
    """Decide every call of a run of ``facts.steps`` steps: the survey's, or fewer.

    A run of fewer steps takes another path. Its steps are looked up where the baseline was then, and its
    answers stand for those of the baseline's steps up to its next one: what that misses is told, as a guide.
    Raises EngineError where the schedule needs a change that was not recorded.
    """
    session = Session(lambda _: plan, facts.blocks, streams=facts.streams)
    session.begin(facts.steps)
    places = _places(facts.steps, survey.facts.steps)
    known = survey.memo.setdefault(("terms", plan.predictor, facts.steps), {})
    streams = [_Stream(index, known, places) for index in range(len(facts.streams))]
    steps = _steps(survey, plan, facts)
    missed: list[Missed] = []
    note = ""
    every_step = plan.signal is not None and plan.signal.since == "previous"
    begin_call, decide, keep = session.open, session.decide, plan.predictor.keep
    for step, (place, (stack, changes)) in enumerate(zip(places, steps)):
        for stream in streams:
            call = begin_call()
            call.live = False  # no change is checked but where a decision asks for it
            history = stream.history if stack is stream.stack else stream.at(stack)
            if stack is not None and not history.computed:
                call.ready = False
            if call.ready and changes is not None and stream.reference is not None:
                call.measured = changes[stream.index][stream.reference][place]
            mode = decide(call).mode
            if mode == "C":
                history.remember(step, keep)
            elif stack is None or stack.serves != mode:
                note = note or "the survey looks at whole blocks, not inside them: only a run can tell"
            elif not stack.residual:
                note = note or "the survey judges what blocks add, not what they hand on: only a run can tell"
            elif not note:
                terms = history.missed(plan.predictor, step, facts.steps, survey, stack, stream.index)
                missed.append(tuple.__new__(Missed, (stack, stream.index, step, terms)))
            if mode == "C" or every_step:
                stream.reference = place if changes is not None else None
    if note or facts.steps == survey.facts.steps:
        return Replay(session, None if note else tuple(missed), note)
    return Replay(session, tuple(_held(missed, places, survey.facts)), ANOTHER_PATH)


def _places(steps: int, recorded: int) -> Sequence[int]:
    """Where the baseline was when a run of so many steps is at each of its own."""
    return range(steps) if steps == recorded else [round(step * recorded / steps) for step in range(steps)]


def _held(missed: Sequence[Missed], places: Sequence[int], facts: ModelFacts) -> Iterator[Missed]:
    """What a run with a step only at ``places`` misses at every step of the baseline: its steps are the
    indices of ``places``.
    """
    until = [*places[1:], facts.steps]
    whole = Stack(0, facts.blocks)
    for stream, (place, end) in product(range(len(facts.streams)), zip(places, until)):
        yield from (
            Missed(whole, stream, step, ((place, 1.0), (step, -1.0))) for step in range(place + 1, end)
        )
    for one in missed:
        terms = tuple((places[step], weight) for step, weight in one.terms)
        yield from (one._replace(step=step, terms=terms) for step in range(places[one.step], until[one.step]))


def _steps(survey: Survey, plan: Plan, facts: ModelFacts) -> list[_Step]:
    found: dict[Stack | None, _Step] = {}
    steps: list[_Step] = []
    alike = all(site.steps is None for site in plan.sites)
    for step in range(1 if alike else facts.steps):
        stack = next((site for site in active_sites(plan, step) if isinstance(site, Stack)), None)
        if stack not in found:
            found[stack] = _Step(
                stack, survey.changes(plan.signal, stack.start if stack else 0) if plan.signal else None
            )
        steps.append(found[stack])
    return steps * facts.steps if alike else steps


class _Stream:
    """What one stream remembers while it is replayed."""

    def __init__(
        self, index: int, known: dict[tuple[tuple[int, ...], int], Terms], places: Sequence[int]
    ) -> None:
        self.index, self.known, self.places = index, known, places
        self.reference: int | None = None
        self.histories: dict[Stack | None, _History] = {}
        self.stack: Stack | None = None
        self.history = self.histories[None] = _History(known, places)  # of that stack

    def at(self, stack: Stack | None) -> _History:
        if stack is not None and stack.steps:  # as a run does: a stage forgets the one before
            self.histories = {stack: self.histories.get(stack) or _History(self.known, self.places)}
        found = self.histories.get(stack)
        if found is None:
            found = self.histories[stack] = _History(self.known, self.places)
        self.stack, self.history = stack, found
        return found


class _Handed(NamedTuple):
    """A prediction at ``step``, as (computed step, weight)."""

    step: int
    terms: Terms


class _History:
    """What is remembered at one place: steps in place of tensors."""

    def __init__(self, known: dict[tuple[tuple[int, ...], int], Terms], places: Sequence[int]) -> None:
        self.known, self.places = known, places
        self.computed: tuple[int, ...] = ()
        self.before: _Handed | None = None  # handed out right before the newest computed step
        self.handed: _Handed | None = None

    def remember(self, step: int, keep: int) -> None:
        self.before = self.handed if self.handed is not None and self.handed.step == step - 1 else None
        self.handed = None
        self.computed = (step, *self.computed[: keep - 1])

    def missed(
        self, predictor: Predictor, step: int, total: int, survey: Survey, stack: Stack, stream: int
    ) -> Terms:
        if predictor.needs_inner_products or predictor.uses_last_prediction:
            return (*self._predicted(predictor, step, total, survey, stack, stream), (step, -1.0))
        found = self.known.get((self.computed, step))  # these follow from the steps alone
        if found is None:
            found = self.known[self.computed, step] = (
                *self._predicted(predictor, step, total, survey, stack, stream),
                (step, -1.0),
            )
        return found

    def _predicted(
        self, predictor: Predictor, step: int, total: int, survey: Survey, stack: Stack, stream: int
    ) -> Terms:
        last_prediction = self.before.step if self.before is not None else None
        gram = (
            partial(_gram, survey, stack, stream, [self.places[one] for one in self.computed])
            if predictor.needs_inner_products
            else _unasked
        )
        weights = predictor.row(self.computed, step, total, last_prediction, gram)
        found = tuple(zip(self.computed, weights))
        if self.before is not None:
            found += tuple((then, weights[-1] * weight) for then, weight in self.before.terms)
        if predictor.uses_last_prediction:
            self.handed = _Handed(step, found)
        return found


def _unasked() -> tuple[tuple[float, ...], ...]:
    raise AssertionError("a predictor that does not measure asks for no products")


def _gram(survey: Survey, stack: Stack, stream: int, steps: Sequence[int]) -> tuple[tuple[float, ...], ...]:
    places = [stream * survey.facts.steps + step for step in steps]
    return tuple(map(tuple, survey.gram(stack.start, stack.stop)[np.ix_(places, places)].tolist()))
