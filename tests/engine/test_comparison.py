"""Tests that a baseline is reused only for the same request and engine, and that a comparison's events come
in order.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest

from cache_engine import (
    METHODS,
    Baselines,
    Cancelled,
    Comparison,
    EngineError,
    RunRequest,
    compare,
    format_recipe,
    resolve,
    run,
    run_comparison,
)
from cache_engine.comparison import repeats_of
from cache_engine.files import Lora, Picture
from cache_engine.method import Method
from cache_engine.model import ModelSpec
from cache_engine.records import Engine, Event, Progress, RunResult, SideDone

APPLE = RunRequest(prompt="a small red apple on a blue background", seed=7, steps=3)
SETTING = METHODS["dbcache"](max_warmup_steps=1, residual_diff_threshold=1, taylorseer_order=0)
OTHER_REQUEST = {
    "model": "flux-dev",
    "prompt": "a large red apple on a blue background",
    "negative_prompt": "a cat",
    "true_cfg_scale": 1.5,
    "guidance": 4.0,
    "seed": 8,
    "steps": 4,
    "width": 144,
    "height": 144,
    "max_sequence_length": 8,
    "loras": (Lora(file="a.safetensors", sha256="0" * 64),),
    "image": Picture(file="a.png", sha256="0" * 64),
}
OTHER_ENGINE = {
    "model": "flux-dev",
    "revision": "another",
    "dtype": "bfloat16",
    "quantisation": "int8",
    "placement": "offload",
    "attention": "flash",
    "compiled": True,
    "device": "another",
    "threads": 99,
    "versions": "another",
}


@pytest.fixture(scope="module")
def first() -> Comparison:
    return run_comparison(APPLE, SETTING)


def test_a_cache_within_fewer_steps_is_that_cache_in_a_run_of_so_many() -> None:
    cached = METHODS["dbcache"](max_warmup_steps=1, residual_diff_threshold=1, taylorseer_order=1)
    within = METHODS["fewer_steps"](fraction=0.5, cache=format_recipe(cached))
    ours, theirs = run(APPLE.replaced(steps=8), within), run(APPLE.replaced(steps=4), cached)
    assert ours.image.tobytes() == theirs.image.tobytes()
    assert ours.schedules == theirs.schedules
    assert ours.tflops == theirs.tflops
    assert "c" in ours.schedule


def kept(first: Comparison) -> Baselines:
    baselines = Baselines()
    baselines.put(first.baseline)
    return baselines


def test_every_field_has_a_case() -> None:
    assert set(OTHER_REQUEST) == set(RunRequest.model_fields)
    assert set(OTHER_ENGINE) == set(Engine.model_fields)


@pytest.mark.parametrize("field", OTHER_REQUEST)
def test_another_request_is_another_baseline(first: Comparison, field: str) -> None:
    """The resolved request is the key. ``model_copy`` is used only here, to reach values that the tiny model
    refuses.
    """
    request = first.baseline.request.model_copy(update={field: OTHER_REQUEST[field]})
    assert kept(first).get(first.baseline.request, first.baseline.engine) is first.baseline
    assert kept(first).get(request, first.baseline.engine) is None


@pytest.mark.parametrize("field", OTHER_ENGINE)
def test_another_engine_is_another_baseline(first: Comparison, field: str) -> None:
    engine = first.baseline.engine.replaced(**{field: OTHER_ENGINE[field]})
    assert kept(first).get(first.baseline.request, engine) is None


@pytest.mark.parametrize(
    "field", ["prompt", "negative_prompt", "true_cfg_scale", "seed", "steps", "max_sequence_length"]
)
def test_it_is_seen_to_run_again(first: Comparison, field: str) -> None:
    baselines, sides = kept(first), list[str]()

    def emit(event: Event) -> None:
        if isinstance(event, Progress) and event.stage == "encode":
            sides.append(event.side)

    again = run_comparison(APPLE, SETTING, baselines=baselines, emit=emit)
    assert (sides, again.baseline_reused) == (["accelerated"], True)
    sides.clear()
    other = run_comparison(
        APPLE.replaced(**{field: OTHER_REQUEST[field]}), SETTING, baselines=baselines, emit=emit
    )
    assert (sides, other.baseline_reused) == (["baseline", "accelerated"], False)


def test_several_runs_a_side_are_taken_in_turn_and_the_middle_one_counts(first: Comparison) -> None:
    """The remembered baseline's time was measured at another moment, so it is measured again; its picture and
    survey stay.
    """
    events: list[Event] = []
    marked = first.baseline._replace(survey="a survey", timed=(1.0, 2.0))
    baselines = Baselines()
    baselines.put(marked)
    comparison = run_comparison(APPLE, SETTING, baselines=baselines, emit=events.append, repeats=3)
    assert [event.side for event in events if isinstance(event, Progress) and event.stage == "timing"] == [
        "baseline",
        "accelerated",
        "accelerated",
        "baseline",
        "baseline",
        "accelerated",
    ]
    assert not comparison.baseline_reused
    assert comparison.baseline.image is marked.image
    assert comparison.baseline.survey == "a survey"
    ratios = [
        before / after
        for before, after in zip(comparison.baseline.timed, comparison.accelerated.timed, strict=True)
    ]
    assert comparison.spread == (min(ratios), max(ratios))
    for side in (comparison.baseline, comparison.accelerated):
        assert side.seconds.denoise == sorted(side.timed)[1]
        assert sum(call.seconds for call in side.trace) <= side.seconds.denoise
    assert comparison.accelerated.schedules == first.accelerated.schedules
    again = run_comparison(APPLE, SETTING, baselines=baselines)
    assert (again.spread, again.baseline.timed) == (None, ())


def test_a_stop_reaches_the_timing(first: Comparison) -> None:
    stop = threading.Event()

    def emit(event: Event) -> None:
        if isinstance(event, Progress) and event.stage == "timing" and event.done == 1:
            stop.set()

    with pytest.raises(Cancelled):
        run_comparison(APPLE, SETTING, baselines=kept(first), emit=emit, stop=stop, repeats=3)


@pytest.mark.parametrize("given", [0, 21, 1.5, True, "3", None, float("nan")])
def test_a_number_of_runs_that_makes_no_sense_is_refused(given: object) -> None:
    with pytest.raises(EngineError, match="repeats"):
        repeats_of(given)


def test_the_memory_is_bounded(first: Comparison) -> None:
    baselines = Baselines(most=2)
    results = [first.baseline._replace(request=resolve(APPLE.replaced(seed=seed))) for seed in range(3)]
    for result in results:
        baselines.put(result)
    assert [baselines.get(result.request, result.engine) is not None for result in results] == [
        False,
        True,
        True,
    ]


def test_events_in_order() -> None:
    events = list(compare(APPLE, SETTING))
    sides = [event.side for event in events if isinstance(event, SideDone)]
    assert sides == ["baseline", "accelerated"]
    for side in sides:
        done = [
            event.done
            for event in events
            if isinstance(event, Progress) and event.side == side and event.call
        ]
        assert done == sorted(done)
        assert done[-1] == 3
    result = events[-1]
    assert isinstance(result, Comparison)
    assert result.accelerated.schedule == "Ccc"
    assert result.accelerated.schedules == {"cond": "Ccc", "uncond": "Ccc"}
    assert result.steps_cached == 2
    assert result.baseline.tflops > result.accelerated.tflops > 0


def test_an_earlier_result_serves_as_baseline(first: Comparison) -> None:
    *_, last = compare(APPLE, SETTING, baseline=first.baseline)
    assert isinstance(last, Comparison)
    assert last.baseline_reused
    assert last.accelerated.image.tobytes() == first.accelerated.image.tobytes()


def test_closing_the_events_stops_the_run() -> None:
    before = threading.active_count()
    events = compare(APPLE.replaced(steps=200), SETTING)
    next(events)
    events.close()  # type: ignore[attr-defined]
    assert threading.active_count() == before


def test_stop_leaves_nothing_behind(first: Comparison) -> None:
    baselines, stop = Baselines(), threading.Event()
    stop.set()
    with pytest.raises(Cancelled):
        run_comparison(APPLE, SETTING, baselines=baselines, stop=stop)
    assert baselines.get(first.baseline.request, first.baseline.engine) is None
    assert run_comparison(APPLE, SETTING).accelerated.image.tobytes() == first.accelerated.image.tobytes()


def test_threshold_zero_is_the_baseline_to_the_pixel() -> None:
    result = run_comparison(APPLE, METHODS["dbcache"](residual_diff_threshold=0, max_warmup_steps=1))
    assert result.quality.identical
    assert result.accelerated.schedule == "CCC"


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: (APPLE, METHODS["dbcache"](Fn_compute_blocks=12)), "Fn_compute_blocks"),
        (lambda: (APPLE, METHODS["dbcache"](max_warmup_steps=4)), "max_warmup_steps"),
        (lambda: (APPLE.replaced(width=128), SETTING), "width"),
        (lambda: (APPLE.replaced(guidance=3.0), SETTING), "guidance"),
        (lambda: (APPLE.replaced(model="flux-dev"), SETTING), "gated"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_runs(make: Callable[[], tuple], sentence: str) -> None:
    events: list[Event] = []
    with pytest.raises(EngineError, match=sentence):
        run_comparison(*make(), emit=events.append)
    assert not any(isinstance(event, Progress) and event.stage == "encode" for event in events)


def test_a_result_pickles(first: Comparison) -> None:
    import pickle

    again: RunResult = pickle.loads(pickle.dumps(first.accelerated))
    assert again.schedule == first.accelerated.schedule
    assert again.image.tobytes() == first.accelerated.image.tobytes()


def test_the_timed_baseline_records_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A survey is recorded in a separate run: otherwise recording would slow the baseline and make every
    cache look faster.
    """
    from cache_engine import runner

    recorded, real = list[bool](), runner.execute

    def watched(*args, **kwargs):
        recorded.append(kwargs.get("survey", False))
        return real(*args, **kwargs)

    monkeypatch.setattr(runner, "execute", watched)
    plain, surveyed = run_comparison(APPLE, SETTING), run_comparison(APPLE, SETTING, survey=True)
    assert recorded == [False, False, False, True, False]
    assert plain.baseline.survey is None
    assert surveyed.baseline.survey is not None
    assert surveyed.baseline.image.tobytes() == plain.baseline.image.tobytes()


@pytest.mark.parametrize(
    "method", [SETTING, METHODS["fewer_steps"](fraction=0.5)], ids=lambda item: item.name
)
def test_a_run_resolves_its_request_once_and_makes_one_plan(
    method: Method, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[str] = []

    def counting(owner: type, name: str) -> None:
        real = getattr(owner, name)
        monkeypatch.setattr(owner, name, lambda *args: (calls.append(name), real(*args))[1])

    counting(ModelSpec, "resolve")
    for maker in METHODS.values():
        counting(maker, "plan")
    run(APPLE, method)
    assert sorted(calls) == ["plan", "resolve"]
    calls.clear()
    run_comparison(APPLE, method)
    assert sorted(calls) == ["plan", "plan", "resolve"]  # one plan for each side


def test_nothing_is_counted_on_the_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """The TFLOPs of a new setting are counted before the prompt is read: inside the loop, counting would add
    to the model's time.
    """
    from cache_engine import flops

    stages, counted_in, real = list[tuple[str, str]](), list[tuple[str, str]](), flops.count

    def watched(*args, **kwargs):
        counted_in.append(stages[-1])
        return real(*args, **kwargs)

    def emit(event: Event) -> None:
        if isinstance(event, Progress):
            stages.append((event.side, event.stage))

    monkeypatch.setattr(flops, "count", watched)
    flops._cost.cache_clear()
    run_comparison(APPLE, SETTING, emit=emit)
    assert set(counted_in) == {("baseline", "count"), ("accelerated", "count")}
