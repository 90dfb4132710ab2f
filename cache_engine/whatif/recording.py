"""Records a survey during a baseline run: activations, times and noise levels. The TFLOPs are counted after
the run.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from ..flops import costs
from ..loading import LoadedModel
from ..plans import Costs, ModelFacts, Plan, Stack
from ..predictors import Reuse
from ..records import Engine, RunRequest
from ..schedules import Always
from ..session import Session
from ..sites.activation_recorder import RecordedActivations, RecordedCalls, recording_activations
from ..sites.clock import Clock
from .error_propagation import Shown, as_they_are, propagate_errors
from .survey import BUDGET, Survey, in_half, most_positions


class SurveyTaken:
    """The result of ``recording_survey``. Both fields are None until the ``with`` block ends.

    survey: the survey, without its error propagation. It stays None if the run had another number of calls
    than its request demands.
    recorded_calls: the calls of the run, for ``with_error_propagation``. They stay None if the model's last
    layer is of an unknown kind, if some positions were not recorded, or if a call has several samples.
    """

    def __init__(self) -> None:
        self.survey: Survey | None = None
        self.recorded_calls: RecordedCalls | None = None


@contextmanager
def recording_survey(
    model: LoadedModel,
    session: Session,
    clock: Clock,
    request: RunRequest,
    budget: int = BUDGET,
    tflops: tuple[float, np.ndarray] | None = None,
) -> Iterator[SurveyTaken]:
    """Record a survey of the run that the pipeline makes in this ``with`` block. The picture stays the same,
    bit for bit.

    Use this function inside the ``with attached(...)`` block of the baseline.

    model, session, clock: the model that runs, and the session and clock of ``attached``.
    request: the resolved request.
    budget: the largest size of the recorded activations in bytes.
    tflops: the result of ``tflops_of_blocks``; None: the TFLOPs are counted from the request. Give it if the
    TFLOPs depend on more than the request.
    """
    spec, pipe = model.spec, model.pipe
    facts = spec.facts(request)
    tensors = (
        facts.steps * len(facts.streams) * (facts.blocks + 2)
    )  # per call: the image tensor before the first block and after each block, and the modulated input
    taken = SurveyTaken()
    with recording_activations(
        pipe.transformer, session, clock, lambda size: most_positions(size, tensors, budget)
    ) as recorder:
        yield taken
    if (
        clock.loop_begins is None
        or clock.loop_ends is None
        or len(recorder.calls) != facts.steps * len(facts.streams)
    ):
        return  # the run had another number of calls than the request: its records do not fit the facts
    full, blocks = tflops or tflops_of_blocks(partial(costs, request), facts)
    batch = session.calls[
        0
    ].batch  # some pipelines put both samples of a guidance into one call; TFLOPs are counted for one sample
    sigmas = getattr(pipe.scheduler, "sigmas", None)
    taken.survey = survey_of(
        recorder.fetched(),
        facts,
        request,
        model.engine,
        loop_seconds=clock.loop_ends - clock.loop_begins,
        sigmas=() if sigmas is None else tuple(map(float, sigmas)),
        tflops=(batch * full, batch * blocks),
    )
    taken.recorded_calls = recorder.recorded_calls()


def survey_of(
    activations: RecordedActivations,
    facts: ModelFacts,
    request: RunRequest,
    engine: Engine,
    *,
    loop_seconds: float,
    sigmas: tuple[float, ...],
    tflops: tuple[float, np.ndarray],
) -> Survey:
    """Make a survey from recorded activations: arrange them by stream and step, and store them as float16.

    loop_seconds: measured time of the denoising loop.
    sigmas: the scheduler's noise levels; a survey keeps them if there is one more than steps.
    tflops: TFLOPs of a full call, and of each block.
    """
    order = np.array(
        [[c for c, name in enumerate(activations.streams) if name == stream] for stream in facts.streams]
    )
    entry, entry_scale = in_half(activations.values[:, 0])
    halves = [
        in_half(activations.values[:, k] - activations.values[:, 0]) for k in range(1, facts.blocks + 1)
    ]
    modulated, modulated_scale = in_half(activations.modulated)
    scale = request.true_cfg_scale or 1.0
    return Survey(
        facts=facts,
        request=request.model_dump(mode="json"),
        engine=engine.model_dump(),
        mix=(scale, 1 - scale) if len(facts.streams) == 2 else (1.0,) * len(facts.streams),
        sigmas=sigmas if len(sigmas) == facts.steps + 1 else (),
        loop_seconds=loop_seconds,
        call_tflops=tflops[0],
        entry_scale=entry_scale,
        modulated_scale=modulated_scale,
        entry=entry[order],
        residuals=np.stack([half[order] for half, _ in halves]),
        scales=np.array([scale for _, scale in halves], np.float32),
        modulated=modulated[order] if activations.modulated.size else np.zeros(0, np.float16),
        weights=activations.weights,
        last=activations.last,
        modulation=activations.modulation[order] if activations.last.size else activations.modulation,
        mean_abs=np.moveaxis(activations.mean_abs[order], 2, 0),
        exact=activations.first_change[order],
        call_seconds=activations.seconds[order][..., 0],
        block_seconds=np.moveaxis(activations.seconds[order][..., 1:], 2, 0),
        block_tflops=tflops[1],
    )


def with_error_propagation(
    survey: Survey,
    recorded_calls: RecordedCalls | None,
    transformer: Any,
    shown: Shown | None = None,
    stop: threading.Event | None = None,
) -> Survey:
    """Return the survey with its error propagation, or the same survey if error propagation is impossible.

    Call this function outside ``attached``. It takes as long as two to four runs.

    recorded_calls: the calls that ``recording_survey`` recorded, or None.
    transformer: the transformer that made the calls.
    shown: a function that turns latents into the picture; None: the latents are used as the picture.
    stop: an event; once it is set, the function raises Cancelled.
    """
    if recorded_calls is None or not survey.sigmas:
        return survey
    propagation = propagate_errors(
        transformer, recorded_calls, survey.sigmas, survey.mix, shown or as_they_are, stop
    )
    return survey if propagation is None else replace(survey, memo={}, **propagation._asdict())


def tflops_of_blocks(count: Callable[[Plan], Costs], facts: ModelFacts) -> tuple[float, np.ndarray]:
    """Return the TFLOPs of a full call, and an array with the TFLOPs of each block.

    A block's TFLOPs are the difference between a full call and a call that skips this block. The blocks of
    one list are alike, so only the first block of each list is counted.

    count: a function that takes a plan and returns the TFLOPs of its calls.
    """
    full = count(Plan(Always(), Reuse(), ()))("C", 0)
    blocks: list[float] = []
    for length in facts.sections:
        first = Plan(Always(), Reuse(), (Stack(len(blocks), len(blocks) + 1),))
        blocks += [full - count(first)("c", 0)] * length
    return full, np.array(blocks)
