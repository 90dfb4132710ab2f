"""replay(): decide a run without making it, and find what its predictions would miss. No torch.

The Session, the schedules, the predictors and the history rules are those of a real run. Where a real run
measures a change, the replay looks it up in the survey.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from functools import partial
from itertools import product
from typing import NamedTuple

import numpy as np

from ..history import PlaceHistory, StreamHistory, reference_modes
from ..plans import ModelFacts, Plan, Predictor, Stack, active_sites
from ..session import Session
from .survey import Survey

ANOTHER_PATH = "another number of steps is another path: only a run can tell"
INSIDE_BLOCKS = "the survey looks at whole blocks, not inside them: only a run can tell"
WHOLE_OUTPUTS = "the survey judges what blocks add, not what they hand on: only a run can tell"

Terms = tuple[tuple[int, float], ...]  # (step, weight): a sum of the values computed at these steps


class PredictionError(NamedTuple):
    """The error of one call that was not computed: its predicted minus its recorded value at ``site``.

    terms: the error as a weighted sum of recorded values. All steps are the survey's.
    """

    site: Stack
    stream: int
    step: int
    terms: Terms


class Replay(NamedTuple):
    """A decided run. ``errors`` is None if the survey cannot judge the predictions.

    note: why ``errors`` is None, or why it is only a guide.
    """

    session: Session
    errors: tuple[PredictionError, ...] | None
    note: str = ""


class _Step(NamedTuple):
    """The part of a step that is the same for every stream.

    changes: by stream and reference step, or None if the plan has no recorded signal.
    """

    stack: Stack | None
    changes: list[list[list[float]]] | None


def replay(survey: Survey, plan: Plan, facts: ModelFacts) -> Replay:
    """Decide every call of a run of ``facts.steps`` steps: as many as the survey has, or fewer.

    A run of fewer steps takes another path. Each of its steps is mapped to the baseline's step at the same
    share of the run; its answer stands for all baseline steps until the next mapped one. The errors of such a
    run are only a guide. Raises EngineError if the schedule needs a change that was not recorded.
    """
    session = Session(lambda _: plan, facts.blocks, streams=facts.streams)
    session.begin(facts.steps)
    mapped = _mapped_steps(facts.steps, survey.facts.steps)
    streams = [_Stream(index, survey, plan.predictor, mapped) for index in range(len(facts.streams))]
    computed_values = [((step, 1.0),) for step in range(facts.steps)]
    errors: list[PredictionError] = []
    note = ""
    begin_call, decide, keep, renewing = (
        session.open,
        session.decide,
        plan.predictor.keep,
        reference_modes(plan.signal),
    )
    for step, (place, (stack, changes)) in enumerate(zip(mapped, _steps(survey, plan, facts))):
        for stream in streams:
            call = begin_call()
            call.live = False  # a change is checked only if a decision asks for it
            place_history = stream.place_history if stack is stream.stack else stream.enter_stack(stack)
            if stack is not None and not place_history.can_predict:
                call.ready = False
            if call.ready and changes is not None and stream.history.reference is not None:
                call.measured = changes[stream.index][stream.history.reference][place]
            mode = decide(call).mode
            if mode == "C":
                place_history.remember(step, computed_values[step], keep)
            elif stack is None or stack.serves != mode:
                note = note or INSIDE_BLOCKS
            elif not stack.residual:
                note = note or WHOLE_OUTPUTS
            elif not note:
                terms = place_history.error(plan.predictor, step, facts.steps)
                errors.append(tuple.__new__(PredictionError, (stack, stream.index, step, terms)))
            if mode in renewing:
                stream.history.reference = place if changes is not None else None
    if note or facts.steps == survey.facts.steps:
        return Replay(session, None if note else tuple(errors), note)
    return Replay(session, tuple(_errors_between(errors, mapped, survey.facts)), ANOTHER_PATH)


def _mapped_steps(steps: int, recorded: int) -> Sequence[int]:
    """Return, for each step of the run, the baseline's step at the same share of the run."""
    return range(steps) if steps == recorded else [round(step * recorded / steps) for step in range(steps)]


def _errors_between(
    errors: Sequence[PredictionError], mapped: Sequence[int], facts: ModelFacts
) -> Iterator[PredictionError]:
    """Yield the errors, at every step of the baseline, of a run with steps only at ``mapped``."""
    until = [*mapped[1:], facts.steps]
    whole = Stack(0, facts.blocks)
    for stream, (first, end) in product(range(len(facts.streams)), zip(mapped, until)):
        yield from (
            PredictionError(whole, stream, step, ((first, 1.0), (step, -1.0)))
            for step in range(first + 1, end)
        )
    for error in errors:
        terms = tuple((mapped[step], weight) for step, weight in error.terms)
        for step in range(mapped[error.step], until[error.step]):
            yield error._replace(step=step, terms=terms)


def _steps(survey: Survey, plan: Plan, facts: ModelFacts) -> list[_Step]:
    step_of: dict[Stack | None, _Step] = {}
    steps: list[_Step] = []
    alike = all(site.steps is None for site in plan.sites)
    for step in range(1 if alike else facts.steps):
        stack = next((site for site in active_sites(plan, step) if isinstance(site, Stack)), None)
        if stack not in step_of:
            changes = survey.changes(plan.signal, stack.start if stack else 0) if plan.signal else None
            step_of[stack] = _Step(stack, changes)
        steps.append(step_of[stack])
    return steps * facts.steps if alike else steps


class _Stream:
    """One stream of the replay. ``history.reference`` is a step of the survey."""

    def __init__(self, index: int, survey: Survey, predictor: Predictor, mapped: Sequence[int]) -> None:
        self.index = index
        error_terms = survey.memo.setdefault(("terms", predictor, len(mapped)), {})
        self.history = StreamHistory[_ReplayedPlace, int](
            lambda place: _ReplayedPlace(error_terms, partial(_gram, survey, place, index, mapped))
        )
        self.stack: Stack | None = None
        self.place_history = self.history.at(None)  # of that stack

    def enter_stack(self, stack: Stack | None) -> _ReplayedPlace:
        self.stack = stack
        self.place_history = self.history.at(None) if stack is None else self.history.enter(stack)
        return self.place_history


class _ReplayedPlace(PlaceHistory[Terms]):
    """The history of one place: sums of recorded values instead of tensors.

    error_terms: what is already known of this predictor, by the remembered steps and the predicted step.
    gram: (remembered steps) -> inner products of the values recorded at them.
    """

    def __init__(
        self,
        error_terms: dict[tuple[tuple[int, ...], int], Terms],
        gram: Callable[[tuple[int, ...]], tuple[tuple[float, ...], ...]],
    ) -> None:
        super().__init__()
        self.error_terms, self.gram = error_terms, gram

    def error(self, predictor: Predictor, step: int, total: int) -> Terms:
        """Return the predicted minus the recorded value at ``step``."""
        if predictor.needs_inner_products or predictor.uses_last_prediction:
            return (*self.predict(predictor, step, total), (step, -1.0))
        terms = self.error_terms.get((self.steps, step))  # they follow from the steps alone
        if terms is None:
            terms = (*self.predict(predictor, step, total), (step, -1.0))
            self.error_terms[self.steps, step] = terms
        return terms

    def weighted_sum(self, predictor: Predictor, step: int, total: int) -> Terms:
        weights = self.weights(predictor, step, total, lambda: self.gram(self.steps))
        return tuple(
            (then, weight * share) for weight, terms in zip(weights, self.summands) for then, share in terms
        )


def _gram(
    survey: Survey, stack: Hashable, stream: int, mapped: Sequence[int], steps: tuple[int, ...]
) -> tuple[tuple[float, ...], ...]:
    """Inner products of what the stack's blocks added in one stream at ``steps`` of the run."""
    assert isinstance(stack, Stack)
    rows = [stream * survey.facts.steps + mapped[step] for step in steps]
    return tuple(map(tuple, survey.gram(stack.start, stack.stop)[np.ix_(rows, rows)].tolist()))
