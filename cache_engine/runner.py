"""``run()`` draws one picture under one method, with a clock and a trace."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import torch

from .calls_seen import SeenCall, record_calls
from .failures import OutOfMemoryGuard
from .flops import PLAIN, costs
from .loading import LoadedModel, load_model
from .loras import apply_loras
from .method import Method
from .plans import Costs, FixedPlan, ModelFacts, Plan
from .recipe import format_recipe
from .records import Emit, Progress, RunRequest, RunResult, Seconds, Side, Stage, StepTrace, ignore
from .sites.attach import attached, device_of
from .sites.clock import Clock
from .strict import EngineError
from .whatif.recording import SurveyTaken, recording_survey, tflops_of_blocks, with_error_propagation
from .whatif.survey import Survey

WARM_UP_STEPS = 2


class PreparedRun(NamedTuple):
    """A request on a loaded model, resolved once, with the plan that its method made for it."""

    model: LoadedModel
    request: RunRequest  # resolved
    effective: RunRequest  # the request as the method runs it
    method: Method
    facts: ModelFacts  # facts of the effective request
    plan: Plan

    def under(self, method: Method) -> PreparedRun:
        """Return the same request under another method."""
        return _prepared(self.model, self.request, method)


class Watch(NamedTuple):
    """The watcher of a run: a function that receives its events, and the event that stops it."""

    side: Side = "accelerated"
    emit: Emit = ignore
    stop: threading.Event | None = None

    def tell(
        self, stage: Stage, message: str, done: int = 0, total: int = 0, call: StepTrace | None = None
    ) -> None:
        self.emit(Progress(self.side, stage, message, done, total, call))


def run(
    request: RunRequest,
    method: Method,
    *,
    emit: Emit = ignore,
    stop: threading.Event | None = None,
    side: Side = "accelerated",
    survey: bool = False,
) -> RunResult:
    """Draw ``request`` under ``method`` and return the picture with its figures. The call blocks until the
    run ends.

    emit: is called with an event for every stage and step. stop: every call of the transformer checks this
    event.
    survey: a baseline also records its activations, from which other settings can be estimated. The picture
    stays the same, bit for bit. Some pipelines cannot be recorded. Raises EngineError (one sentence) or
    Cancelled. In both cases the model is left as it was before.
    """
    watch = Watch(side, emit, stop)
    watch.tell("load", f"Loading {request.model}")
    return execute(prepare(request, method), watch, survey=survey)


def prepare(request: RunRequest, method: Method) -> PreparedRun:
    """Load the model, resolve the request and make the plan.

    Raises EngineError for a model that cannot be loaded, and for a request or knobs that do not fit it.
    """
    model = load_model(request.model)
    return _prepared(model, model.spec.resolve(request), method)


def _prepared(model: LoadedModel, request: RunRequest, method: Method) -> PreparedRun:
    effective = method.effective(request)
    facts = model.spec.facts(effective)
    return PreparedRun(model, request, effective, method, facts, method.plan(facts))


def execute(prepared: PreparedRun, watch: Watch, *, survey: bool = False) -> RunResult:
    """Count the compute, warm up, and run a prepared request. Arguments and errors are those of ``run``."""
    with OutOfMemoryGuard(prepared.model.spec), apply_loras(prepared.model, prepared.effective):
        count = _counter(prepared, watch, survey)
        watch.tell("count", "Counting the compute")
        cost, blocks = count(prepared.plan), tflops_of_blocks(count, prepared.facts) if survey else None
        _warm_up(prepared, watch)
        return _clocked(prepared, watch, cost, blocks)


def _counter(prepared: PreparedRun, watch: Watch, survey: bool) -> Callable[[Plan], Costs]:
    """Return a function that counts the compute of a plan's calls for this request.

    If the request does not determine the shapes of the calls, the calls of a warm-up run are counted.
    """
    spec, effective = prepared.model.spec, prepared.effective
    calls: tuple[SeenCall, ...] = ()
    if spec.as_called or effective.image is not None:
        calls = _warm_up(prepared, watch)
        if survey and (why := spec.why_no_survey(effective, len(calls), WARM_UP_STEPS)):
            raise EngineError(why)
    elif spec.text_tokens is not None:  # the prompt determines the length of the calls
        tokens = spec.text_tokens(prepared.model.pipe, effective)
        effective = effective.replaced(max_sequence_length=tokens)
    return partial(costs, effective, transformer=prepared.model.pipe.transformer, calls=calls)


def _clocked(
    prepared: PreparedRun, watch: Watch, cost: Costs, blocks: tuple[float, np.ndarray] | None
) -> RunResult:
    """Draw the picture and take the times. ``blocks``: TFLOPs of each block, given only if a survey is to be
    recorded.
    """
    model, effective = prepared.model, prepared.effective
    clock = Clock(device_of(model.pipe))
    on_gpu = clock.device.type == "cuda"
    if on_gpu:
        torch.cuda.reset_peak_memory_stats(clock.device)
    watch.tell("encode", "Reading the prompt", 0, prepared.facts.steps)
    fresh_scheduler(model)
    begin = clock.synchronise()
    with attached(
        model.pipe,
        FixedPlan(prepared.plan),
        stop=watch.stop,
        on_call=partial(_report, watch, prepared.facts),
        clock=clock,
    ) as session:
        session.costs = cost
        with (
            recording_survey(model, session, clock, effective, tflops=blocks)
            if blocks is not None
            else nullcontext() as taken
        ):
            image = draw(model, effective)
            end = clock.synchronise()
            trace, cache_bytes = session.trace, sum(memory.bytes for memory in session.memory.values())
    survey = None if taken is None else _finished_survey(prepared, taken, len(trace), watch.stop)
    if clock.loop_begins is None or clock.loop_ends is None:
        raise EngineError(
            f"model: {model.spec.title} never finished its {prepared.facts.steps} steps; choose another "
            "number of steps."
        )
    return RunResult(
        request=prepared.request,
        effective=effective,
        method=prepared.method.to_dict(),
        recipe=format_recipe(prepared.method),
        engine=model.engine,
        image=image,
        trace=trace,
        tflops=sum(call.tflops for call in trace),
        cache_bytes=cache_bytes,
        seconds=Seconds(
            clock.loop_begins - begin, clock.loop_ends - clock.loop_begins, end - clock.loop_ends
        ),
        peak_bytes=torch.cuda.max_memory_allocated(clock.device) if on_gpu else None,
        finished=time.time(),
        survey=survey,
    )


def _report(watch: Watch, facts: ModelFacts, call: StepTrace) -> None:
    """Report a call that has ended. After the last call, report that the picture is being decoded."""
    streams = len(facts.streams)
    step_ended = (call.call + 1) % streams == 0
    message = f"Step {call.step + 1} of {facts.steps}"
    watch.tell("denoise", message, call.step + step_ended, facts.steps, call)
    if step_ended and call.step + 1 == facts.steps:
        watch.tell("decode", "Decoding the picture", facts.steps, facts.steps)


def _finished_survey(
    prepared: PreparedRun, taken: SurveyTaken, calls: int, stop: threading.Event | None
) -> Survey | None:
    """Return the survey with its error propagation, unless the gradients for it cannot be computed."""
    spec, pipe, engine = prepared.model.spec, prepared.model.pipe, prepared.model.engine
    if taken.survey is None:
        if why := spec.why_no_survey(prepared.effective, calls, prepared.facts.steps):
            raise EngineError(why)
        return None
    if engine.compiled or engine.quantisation != "none":
        return taken.survey
    to_pixels = partial(spec.to_pixels, pipe) if spec.to_pixels else None
    return with_error_propagation(taken.survey, taken.recorded_calls, pipe.transformer, to_pixels, stop)


def draw(model: LoadedModel, request: RunRequest) -> Any:
    """Return the picture that the stock pipeline draws. ``request`` is resolved."""
    generator = torch.Generator("cpu").manual_seed(request.seed)
    picture = {} if request.image is None else {model.spec.image_argument: request.image.opened()}
    with torch.random.fork_rng(devices=[]):  # some pipelines draw from torch's own numbers as well
        torch.manual_seed(request.seed)
        return model.pipe(
            prompt=request.prompt,
            num_inference_steps=request.steps,
            width=request.width,
            height=request.height,
            generator=generator,
            **picture,
            **model.spec.call(request),
        ).images[0]


def fresh_scheduler(model: LoadedModel) -> None:
    """Give the pipeline a new scheduler, because a scheduler keeps state from its last run."""
    model.pipe.scheduler = type(model.pipe.scheduler).from_config(model.pipe.scheduler.config)


def _warm_up(prepared: PreparedRun, watch: Watch) -> tuple[SeenCall, ...]:
    """Run two plain steps, unless this shape was warmed up before. Return the calls of the transformer.

    The first run of a shape allocates memory and chooses kernels. The first run is therefore slow, and is not
    recorded.
    """
    model, request = prepared.model, prepared.effective
    shape = (
        request.width,
        request.height,
        request.max_sequence_length,
        prepared.facts.streams,
        tuple(lora.sha256 for lora in request.loras),
        request.image,
    )
    if model.spec.as_called:
        shape += (request.prompt, request.negative_prompt)
    if shape not in model.warm:
        watch.tell("warm-up", "Warming up (this run is not measured)")
        fresh_scheduler(model)
        with (
            attached(model.pipe, FixedPlan(PLAIN), stop=watch.stop),
            record_calls(model.pipe.transformer) as calls,
        ):
            draw(model, request.replaced(steps=WARM_UP_STEPS))
        model.warm[shape] = tuple(calls)
    return model.warm[shape]
