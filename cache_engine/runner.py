"""run(): one picture under one method, clocked and traced."""

from __future__ import annotations

import threading
import time
from contextlib import nullcontext
from functools import partial
from typing import Any

import torch

from .calls_seen import SeenCall, record_calls
from .failures import OutOfMemoryGuard
from .flops import costs
from .loading import LoadedModel, load_model
from .loras import apply_loras
from .method import METHODS, Method
from .recipe import format_recipe
from .records import Emit, Progress, RunRequest, RunResult, Seconds, Side, StepTrace, ignore
from .sites.attach import attached, device_of
from .sites.clock import Clock
from .strict import EngineError
from .whatif.recording import recording_survey, tflops_of_blocks, with_error_propagation

WARM_UP_STEPS = 2


def run(
    request: RunRequest,
    method: Method,
    *,
    emit: Emit = ignore,
    stop: threading.Event | None = None,
    side: Side = "accelerated",
    survey: bool = False,
) -> RunResult:
    """Draw ``request`` under ``method``. Blocks; ``emit`` is told of every stage and step, ``stop`` is looked
    at in every call.

    survey: let a baseline record what other settings are judged by; the picture is the same, bit for bit. Not
    every pipeline can. Raises EngineError (one sentence) or Cancelled; either way the model is left as it
    was.
    """
    emit(Progress(side, "load", f"Loading {request.model}"))
    model = load_model(request.model)
    request = model.spec.resolve(request)
    effective = model.spec.resolve(method.effective(request))
    with OutOfMemoryGuard(model.spec), apply_loras(model, effective):
        return _run(model, request, effective, method, emit, stop, side, survey)


def _run(
    model: LoadedModel,
    request: RunRequest,
    effective: RunRequest,
    method: Method,
    emit: Emit,
    stop: threading.Event | None,
    side: Side,
    survey: bool,
) -> RunResult:
    plan, facts = method.plan(model.spec.facts(effective)), model.spec.facts(effective)
    as_counted, calls = effective, ()
    if model.spec.as_called or effective.image is not None:
        calls = _warm_up(model, effective, side, emit, stop)
        if survey and (why := model.spec.why_no_survey(effective, len(calls), WARM_UP_STEPS)):
            raise EngineError(why)
    else:
        as_counted = _as_counted(model, effective)
    emit(Progress(side, "count", "Counting the compute"))
    count = partial(costs, as_counted, transformer=model.pipe.transformer, calls=calls)
    cost, blocks = count(plan), tflops_of_blocks(count, facts) if survey else None
    _warm_up(model, effective, side, emit, stop)

    steps = effective.steps or 0
    transformer = model.pipe.transformer
    clock = Clock(
        getattr(model.pipe, "_execution_device", None) or device_of(transformer)
    )  # offloaded parts start elsewhere
    streams = len(facts.streams)

    def on_call(call: StepTrace) -> None:
        emit(
            Progress(
                side,
                "denoise",
                f"Step {call.step + 1} of {steps}",
                call.step + (call.call % streams + 1 == streams),
                steps,
                call,
            )
        )
        if call.step + 1 == steps and (call.call + 1) % streams == 0:
            emit(Progress(side, "decode", "Decoding the picture", steps, steps))

    if clock.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(clock.device)
    emit(Progress(side, "encode", "Reading the prompt", 0, steps))
    fresh_scheduler(model)
    begin = clock.synchronise()
    with (
        attached(
            model.pipe, method, costs=cost, stop=stop, on_call=on_call, clock=clock, plan=lambda facts: plan
        ) as session,
        recording_survey(model, session, clock, effective, tflops=blocks)
        if survey
        else nullcontext() as taken,
    ):
        image = draw(model, effective)
        end = clock.synchronise()
        trace, cache_bytes = session.trace, sum(memory.bytes for memory in session.memory.values())
    found = taken.survey if taken else None
    if survey and found is None and (why := model.spec.why_no_survey(effective, len(trace), steps)):
        raise EngineError(why)
    if (
        found and taken and not model.engine.compiled and model.engine.quantisation == "none"
    ):  # gradients are wanted
        shown = partial(model.spec.shown, model.pipe) if model.spec.shown else None
        found = with_error_propagation(found, taken.recorded_calls, transformer, shown, stop)
    if clock.loop_begins is None or clock.loop_ends is None:
        raise EngineError(
            f"model: {model.spec.title} never finished its {steps} steps; choose another number of steps."
        )
    return RunResult(
        request=request,
        effective=effective,
        method=method.to_dict(),
        recipe=format_recipe(method),
        engine=model.engine,
        image=image,
        trace=trace,
        tflops=sum(call.tflops for call in trace),
        cache_bytes=cache_bytes,
        seconds=Seconds(
            clock.loop_begins - begin, clock.loop_ends - clock.loop_begins, end - clock.loop_ends
        ),
        peak_bytes=torch.cuda.max_memory_allocated(clock.device) if clock.device.type == "cuda" else None,
        finished=time.time(),
        survey=found,
    )


def draw(model: LoadedModel, request: RunRequest) -> Any:
    """The stock pipeline's picture."""
    generator = torch.Generator("cpu").manual_seed(request.seed)
    picture = {} if request.image is None else {"image": request.image.opened()}
    return model.pipe(
        prompt=request.prompt,
        num_inference_steps=request.steps,
        width=request.width,
        height=request.height,
        generator=generator,
        **picture,
        **model.spec.call(request),
    ).images[0]


def _as_counted(model: LoadedModel, request: RunRequest) -> RunRequest:
    """The request with as many tokens of text as its calls have, where that depends on the prompt."""
    if model.spec.text_tokens is None:
        return request
    return request.replaced(max_sequence_length=model.spec.text_tokens(model.pipe, request))


def fresh_scheduler(model: LoadedModel) -> None:
    """A scheduler keeps state of its last run."""
    model.pipe.scheduler = type(model.pipe.scheduler).from_config(model.pipe.scheduler.config)


def _warm_up(
    model: LoadedModel, request: RunRequest, side: Side, emit: Emit, stop: threading.Event | None
) -> tuple[SeenCall, ...]:
    """The first run of a shape allocates and chooses kernels, and is slow: it is made once and not recorded.
    What it asked of the transformer.
    """
    streams = model.spec.facts(request).streams
    shape = (
        request.width,
        request.height,
        request.max_sequence_length,
        streams,
        tuple(lora.sha256 for lora in request.loras),
        request.image,
    )
    if model.spec.as_called:
        shape += (request.prompt, request.negative_prompt)
    if shape not in model.warm:
        emit(Progress(side, "warm-up", "Warming up, not recorded"))
        fresh_scheduler(model)
        with (
            attached(model.pipe, METHODS["baseline"](), stop=stop),
            record_calls(model.pipe.transformer) as calls,
        ):
            draw(model, request.replaced(steps=WARM_UP_STEPS))
        model.warm[shape] = tuple(calls)
    return model.warm[shape]
