"""Makes records for the page's tests: real schedules decide, on changes and costs that are invented here."""

from __future__ import annotations

from typing import Any

from PIL import Image

from cache_engine import (
    METHODS,
    Comparison,
    Engine,
    Method,
    ModelFacts,
    Quality,
    RunRequest,
    RunResult,
    Seconds,
    StepTrace,
)
from cache_engine.recipe import format_recipe
from cache_engine.session import Call, Session

BLOCKS, FULL, SECONDS = 57, 74.5, 0.3  # blocks, TFLOPs and seconds of one whole call
# How far each step moves from the step before.
DRIFT = (
    0,
    0.384,
    0.212,
    0.141,
    0.088,
    0.071,
    0.066,
    0.06,
    0.047,
    0.041,
    0.036,
    0.033,
    0.029,
    0.026,
    0.0245,
    0.024,
    0.0235,
    0.024,
    0.026,
    0.029,
    0.033,
    0.038,
    0.044,
    0.052,
    0.063,
    0.077,
    0.094,
    0.118,
)
ENGINE = Engine(model="tiny", revision="1", dtype="float32", device="cpu", threads=2, versions="test")
NOON = 1_700_000_000.0
QUALITY = Quality(33.6123, 0.96204, 1.63, 143, 0.0342)


def dbcache(**knobs: object) -> Method:
    return METHODS["dbcache"](**{"Fn_compute_blocks": 4, "max_continuous_cached_steps": 3, **knobs})


def run(
    method: Method,
    *,
    steps: int = 28,
    streams: tuple[str, ...] = ("cond",),
    finished: float = NOON,
    recipe: str = "",
    reason: str = "",
) -> RunResult:
    """Make a run. ``reason`` replaces the reason of every call, to see how such a text is shown."""
    plan = method.plan(ModelFacts(BLOCKS, steps, streams))
    session, last, trace = Session(lambda _: plan, BLOCKS, streams=streams), {}, []
    session.begin(steps)

    def change(call: Call) -> float:
        return sum(DRIFT[step % len(DRIFT)] for step in range(last[call.stream] + 1, call.step + 1))

    for _ in range(steps * len(streams)):
        call = session.open()
        decision = session.decide(call, (lambda call=call: change(call)) if plan.signal else None)
        last[call.stream] = call.step if decision.mode == "C" else last[call.stream]
        ran = BLOCKS if decision.mode == "C" else method.model_dump()["Fn_compute_blocks"]
        done = session.traced(call)._replace(
            blocks_run=ran, tflops=FULL * ran / BLOCKS, seconds=SECONDS * ran / BLOCKS
        )
        trace.append(done._replace(reason=reason) if reason else done)
    return result(method, tuple(trace), steps, finished, recipe)


def result(
    method: Method, trace: tuple[StepTrace, ...], steps: int, finished: float, recipe: str
) -> RunResult:
    fields: dict[str, Any] = {
        "model": "tiny",
        "prompt": "a small red apple on a blue background",
        "seed": 7,
        "steps": steps,
    }
    request = RunRequest(**fields)
    seconds = Seconds(0.12, sum(call.seconds for call in trace), 0.32)
    return RunResult(
        request=request,
        effective=request,
        method={"name": method.name} | method.model_dump(),
        recipe=recipe or format_recipe(method),
        engine=ENGINE,
        image=Image.new("RGB", (64, 64)),
        trace=trace,
        seconds=seconds,
        tflops=sum(call.tflops for call in trace),
        peak_bytes=None,
        cache_bytes=1_500_000,
        finished=finished,
    )


def pair(
    method: Method,
    *,
    quality: Quality = QUALITY,
    reused: bool = True,
    steps: int = 28,
    streams: tuple[str, ...] = ("cond",),
    **more: str,
) -> Comparison:
    baseline = run(METHODS["baseline"](), steps=steps, streams=streams)
    accelerated = run(method, steps=steps, streams=streams, finished=NOON + 120, **more)
    return Comparison(baseline, accelerated, quality, reused)
