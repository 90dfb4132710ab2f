"""``replay()`` decides a run without making it, and finds the errors of its predictions. It imports no torch.

A replay uses the Session, the schedules, the predictors and the history rules of a real run. Where a real run
would measure a change, the replay looks the change up in the survey.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from functools import lru_cache, partial
from itertools import product
from typing import NamedTuple

import numpy as np

from ..history import PlaceHistory, StreamHistory, reference_modes
from ..plans import ModelFacts, Plan, Predictor, Stack, active_sites
from ..session import Session
from .survey import Survey

ANOTHER_PATH = (
    "no estimate of the PSNR: with another number of steps the picture takes another path; run this setting"
)
INSIDE_BLOCKS = (
    "no estimate of the PSNR: the survey records whole blocks, not the parts of a block; run this setting"
)
WHOLE_OUTPUTS = (
    "no estimate of the PSNR: the survey records the residuals of blocks, not their outputs; run this setting"
)

# pairs (step, weight): a weighted sum of the values computed at these steps
Terms = tuple[tuple[int, float], ...]


class PredictionError(NamedTuple):
    """The error of one call that was not computed: the predicted minus the recorded value at ``site``.

    terms: the error as a weighted sum of recorded values. All steps are steps of the survey.
    """

    site: Stack
    stream: int
    step: int
    terms: Terms


class Replay(NamedTuple):
    """A decided run. ``errors`` is None if the survey cannot estimate the predictions' errors.

    note: the reason why ``errors`` is None, or why ``errors`` is only a rough guide.
    """

    session: Session
    errors: tuple[PredictionError, ...] | None
    note: str = ""


class _Step(NamedTuple):
    """The facts of a step that all streams share.

    changes: the changes by stream and reference step, or None if the plan has no recorded signal.
    """

    stack: Stack | None
    changes: list[list[list[float]]] | None


def replay(survey: Survey, plan: Plan, facts: ModelFacts) -> Replay:
    """Decide every call of a run of ``facts.steps`` steps: as many steps as the survey has, or fewer.

    A run of fewer steps takes another path. Each step of the shorter run is mapped to the baseline's step at
    the same share of the run. The answer of a mapped step counts for all baseline steps up to the next mapped
    step. The errors of such a run are only a rough guide. Raises EngineError if the schedule needs a change
    that was not recorded.
    """
    session = Session(lambda _: plan, facts.blocks, streams=facts.streams)
    session.begin(facts.steps)
    mapped = _mapped_steps(facts.steps, survey.facts.steps)
    steps = _steps(survey, plan, facts)
    streams = [
        _ReplayedStream(index, survey, plan.predictor, mapped, steps[0].stack)
        for index in range(len(facts.streams))
    ]
    computed_values = _computed_values(facts.steps)
    errors: list[PredictionError] = []
    note = ""
    begin_call, decide, keep, renewing = (
        session.open,
        session.decide,
        plan.predictor.keep,
        reference_modes(plan.signal),
    )
    for step, (place, (stack, changes)) in enumerate(zip(mapped, steps)):
        for stream in streams:
            call = begin_call()
            call.live = False  # a change is looked up only if a decision asks for it
            place_history = stream.place_history if stack is stream.stack else stream.enter_stack(stack)
            if stack is not None and not place_history.can_predict:
                call.ready = False
            if call.ready and changes is not None and stream.reference is not None:
                call.measured = changes[stream.index][stream.reference][place]
            mode = decide(call).mode
            if mode == "C":
                place_history.remember(step, computed_values[step], keep)
            elif stack is None or stack.serves != mode or not stack.residual:
                note = note or (
                    WHOLE_OUTPUTS if stack is not None and stack.serves == mode else INSIDE_BLOCKS
                )
            elif not note:
                terms = place_history.error(plan.predictor, step, facts.steps)
                errors.append(tuple.__new__(PredictionError, (stack, stream.index, step, terms)))
            if mode in renewing:
                stream.reference = place if changes is not None else None
    if note or facts.steps == survey.facts.steps:
        return Replay(session, None if note else tuple(errors), note)
    return Replay(session, tuple(_errors_between(errors, mapped, survey.facts)), ANOTHER_PATH)


@lru_cache(maxsize=8)
def _computed_values(steps: int) -> tuple[Terms, ...]:
    """Return the value computed at each step as a sum: that value with weight 1."""
    return tuple(((step, 1.0),) for step in range(steps))


def _mapped_steps(steps: int, recorded: int) -> Sequence[int]:
    """Return, for each step of the run, the baseline's step at the same share of the run."""
    return range(steps) if steps == recorded else [round(step * recorded / steps) for step in range(steps)]


def _errors_between(
    errors: Sequence[PredictionError], mapped: Sequence[int], facts: ModelFacts
) -> Iterator[PredictionError]:
    """Yield the errors of a run that has only the steps ``mapped``, at every step of the baseline."""
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


class _ReplayedStream(StreamHistory["_ReplayedPlace", int]):
    """The memory of one stream of the replay. ``reference`` is a step of the survey.

    mapped: the survey's step for each step of the run. error_terms: the errors computed so far for this
    predictor, by the remembered steps and the predicted step.
    """

    def __init__(
        self, index: int, survey: Survey, predictor: Predictor, mapped: Sequence[int], stack: Stack | None
    ) -> None:
        super().__init__()
        self.index, self.survey, self.mapped = index, survey, mapped
        self.error_terms = survey.memo.setdefault(("terms", predictor, len(mapped)), {})
        self.enter_stack(stack)

    def new_history(self, place: Hashable) -> _ReplayedPlace:
        return _ReplayedPlace(self, place)

    def enter_stack(self, stack: Stack | None) -> _ReplayedPlace:
        self.stack = stack
        self.place_history = self.at(None) if stack is None else self.enter(stack)
        return self.place_history

    def gram(self, place: Hashable, steps: tuple[int, ...]) -> tuple[tuple[float, ...], ...]:
        """Return the inner products of the residuals of a place's blocks, at ``steps`` of the run."""
        assert isinstance(place, Stack)
        rows = [self.index * self.survey.facts.steps + self.mapped[step] for step in steps]
        return tuple(map(tuple, self.survey.gram(place.start, place.stop)[np.ix_(rows, rows)].tolist()))


class _ReplayedPlace(PlaceHistory[Terms]):
    """The history of one place. A replayed history holds sums of recorded values instead of tensors."""

    def __init__(self, stream: _ReplayedStream, place: Hashable) -> None:
        super().__init__()
        self.stream, self.place = stream, place

    def error(self, predictor: Predictor, step: int, total: int) -> Terms:
        """Return the predicted value minus the recorded value at ``step``."""
        if predictor.needs_inner_products or predictor.uses_last_prediction:
            return (*self.predict(predictor, step, total), (step, -1.0))
        key = (self.steps, step)  # the error depends on the step numbers alone
        terms = self.stream.error_terms.get(key)
        if terms is None:
            terms = (*self.predict(predictor, step, total), (step, -1.0))
            self.stream.error_terms[key] = terms
        return terms

    def weighted_sum(self, predictor: Predictor, step: int, total: int) -> Terms:
        gram = partial(self.stream.gram, self.place, self.steps)
        weights = self.weights(predictor, step, total, gram)
        return tuple(
            (then, weight * share) for weight, terms in zip(weights, self.summands) for then, share in terms
        )
