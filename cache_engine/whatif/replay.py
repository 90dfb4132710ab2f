"""``replay()`` makes the decisions of a run without running the model, and calculates the errors of the run's
predictions. It imports no torch.

A replay uses the same Session, schedules, predictors and history rules as a real run. Where a real run
measures a change, the replay looks the change up in the survey of the baseline run.
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

# A weighted sum of values, as pairs (step, weight): the value computed at each step counts with its weight.
Terms = tuple[tuple[int, float], ...]


class PredictionError(NamedTuple):
    """The error of one skipped call: the predicted residual minus the residual that the survey recorded.

    site: the blocks that the call skips, and whose residual is predicted.
    stream: the place of the call's stream in ``ModelFacts.streams``.
    step: the call's step, counted in the baseline run.
    terms: the error as a weighted sum of recorded residuals. Their steps are counted in the baseline run too.
    """

    site: Stack
    stream: int
    step: int
    terms: Terms


class Replay(NamedTuple):
    """The decisions of a run, and the errors of its predictions.

    session: the Session that made the decisions; its calls hold them.
    errors: one entry for each skipped call; None if the survey cannot give these errors.
    note: the reason why ``errors`` is None, or why it is only a rough guide; "" otherwise.
    """

    session: Session
    errors: tuple[PredictionError, ...] | None
    note: str = ""


class _Step(NamedTuple):
    """What a replay looks up for one step of the run. It is the same for all streams.

    stack: the blocks that the plan may skip at this step; None if the plan skips no whole blocks.
    changes: the signal's recorded changes as [stream][reference step][step]. None if the plan uses no signal,
    or if the survey did not record it.
    """

    stack: Stack | None
    changes: list[list[list[float]]] | None


def replay(survey: Survey, plan: Plan, facts: ModelFacts) -> Replay:
    """Decide every call of a run under ``plan``, and calculate the errors of the run's predictions.

    facts: the facts of this run. It may have fewer steps than the baseline run, but not more.

    In a run with fewer steps, the latents pass through other values. Each of its steps is therefore mapped to
    the baseline's step at the same share of the run: step 5 of 10 to step 14 of 28. The model's answer at
    step 14 then stands for the answers at the baseline's following steps, up to the next mapped step. The
    errors of such a run are only a rough guide.

    Raises EngineError if the schedule needs a change that the survey did not record.
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
            call.live = False  # the session then checks a change only if the decision uses it
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
    """Return ``Terms`` for the value computed at each step. A computed value is a sum of one term: itself,
    with weight 1.
    """
    return tuple(((step, 1.0),) for step in range(steps))


def _mapped_steps(steps: int, recorded: int) -> Sequence[int]:
    """Return, for each step of a run of ``steps`` steps, the baseline's step at the same share of the run.

    recorded: the number of steps of the baseline run.
    """
    return range(steps) if steps == recorded else [round(step * recorded / steps) for step in range(steps)]


def _errors_between(
    errors: Sequence[PredictionError], mapped: Sequence[int], facts: ModelFacts
) -> Iterator[PredictionError]:
    """Yield the errors of a run with fewer steps as errors at every step of the baseline run.

    errors: the errors of the run's predictions, with steps counted in the run itself.
    mapped: for each step of the run, the baseline's step.
    facts: the facts of the baseline run.
    """
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
    """The values that one stream of a replayed run remembers.

    index: the place of the stream in ``ModelFacts.streams``.
    mapped: for each step of the run, the baseline's step.
    reference: the baseline's step since which a change is measured.
    error_terms: the errors calculated so far for this predictor, by the remembered steps and the predicted
    step.
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
        """Return the inner products of the residuals at ``steps`` of the run: (steps, steps).

        place: the Stack of the blocks that make the residuals.
        """
        assert isinstance(place, Stack)
        rows = [self.index * self.survey.facts.steps + self.mapped[step] for step in steps]
        return tuple(map(tuple, self.survey.gram(place.start, place.stop)[np.ix_(rows, rows)].tolist()))


class _ReplayedPlace(PlaceHistory[Terms]):
    """The values that one place in the model (a Stack) remembers during a replay. A remembered value is not a
    tensor, but ``Terms``: a weighted sum of recorded residuals.
    """

    def __init__(self, stream: _ReplayedStream, place: Hashable) -> None:
        super().__init__()
        self.stream, self.place = stream, place

    def error(self, predictor: Predictor, step: int, total: int) -> Terms:
        """Return the value predicted for ``step`` minus the value recorded at ``step``.

        total: the number of steps of the run.
        """
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
