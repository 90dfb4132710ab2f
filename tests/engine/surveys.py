"""Records surveys of a tiny random FLUX, for tests of the recorder and of everything
computed from surveys.
"""

from __future__ import annotations

import threading
from typing import Any

import numpy as np
import torch
from torch import nn

from cache_engine.method import METHODS, Method
from cache_engine.plans import FixedPlan
from cache_engine.records import Engine, RunRequest, StepTrace
from cache_engine.sites.activation_recorder import recording_activations
from cache_engine.sites.attach import attached
from cache_engine.sites.clock import Clock
from cache_engine.whatif.recording import survey_of, with_error_propagation
from cache_engine.whatif.survey import Survey, most_positions
from tests.engine.facts import BLOCKS, GUIDED, STEPS, facts
from tests.engine.test_contract import path
from tests.parity.loop import CFG_SCALE, denoise

SIGMAS = tuple(np.linspace(1, 0, STEPS + 1).tolist())
ENGINE = Engine(model="tiny", revision="none", dtype="float32", device="cpu", versions="none")


@torch.inference_mode()
def followed(
    model: nn.Module, method: Method, streams: tuple[str, ...] = GUIDED, budget: int | None = None
) -> tuple[list[Any], tuple[StepTrace, ...], Survey | None]:
    """Return the model's answers along a path that does not depend on them, the trace, and (with a budget)
    the survey.
    """

    clock = Clock(next(model.parameters()).device)
    with attached(
        model, FixedPlan(method.plan(facts(streams))), steps=STEPS, streams=streams, clock=clock
    ) as session:
        session.begin()
        calls = list(zip(*(path(name) for name in streams)))
        if budget is None:
            return [model(**arguments) for step in calls for arguments in step], session.trace, None
        tensors = STEPS * len(streams) * (BLOCKS + 2)
        with recording_activations(
            model, session, clock, lambda size: most_positions(size, tensors, budget)
        ) as recorder:
            answers = [model(**arguments) for step in calls for arguments in step]
    guided = 3.0 if len(streams) == 2 else None
    request = RunRequest(prompt="-", steps=STEPS, true_cfg_scale=guided)
    survey = survey_of(
        recorder.fetched(),
        facts(streams),
        request,
        ENGINE,
        loop_seconds=1.0,
        sigmas=SIGMAS,
        tflops=(6.5, np.ones(BLOCKS)),
    )
    return answers, session.trace, with_error_propagation(survey, recorder.recorded_calls(), model)


@torch.inference_mode()
def drawn(
    model: Any, method: Method, survey: bool = False, stop: threading.Event | None = None
) -> tuple[torch.Tensor, Survey | None]:
    """Return the latents at the end of a hand-written loop that is guided by both streams, and its survey."""
    clock = Clock(next(model.parameters()).device)
    with attached(
        model, FixedPlan(method.plan(facts())), steps=STEPS, streams=GUIDED, clock=clock
    ) as session:
        session.begin()
        if not survey:
            return denoise(model, STEPS, GUIDED), None
        with recording_activations(model, session, clock, lambda size: size) as recorder:
            outputs = denoise(model, STEPS, GUIDED)
    request = RunRequest(prompt="-", steps=STEPS, true_cfg_scale=CFG_SCALE)
    made = survey_of(
        recorder.fetched(),
        facts(),
        request,
        ENGINE,
        loop_seconds=1.0,
        sigmas=SIGMAS,
        tflops=(6.5, np.ones(BLOCKS)),
    )
    return outputs, with_error_propagation(made, recorder.recorded_calls(), model, stop=stop)


def surveyed(model: nn.Module, streams: tuple[str, ...] = GUIDED, budget: int = 10**9) -> Survey:
    survey = followed(model, METHODS["baseline"](), streams, budget)[2]
    assert survey is not None
    return survey


def letters(trace: tuple[StepTrace, ...], stream: str) -> str:
    return "".join(call.mode for call in trace if call.stream == stream)
