"""A method leaves nothing behind, whatever ends the run, and computing everything through it is the bare pipeline."""

from __future__ import annotations

import gc
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from accelerate.hooks import ModelHook, add_hook_to_module
from torch import Tensor

from cache_engine.method import Method
from cache_engine.methods.baseline import Baseline
from cache_engine.methods.dbcache import DBCache
from cache_engine.records import Cancelled, EngineError
from cache_engine.session import Session
from cache_engine.sites.attach import attached
from tests.tiny_pipeline import draw, tiny_pipeline

STEPS = 6
CACHING = {
    "reuse": DBCache(max_warmup_steps=2, residual_diff_threshold=1, taylorseer_order=0),
    "forecast": DBCache(Fn_compute_blocks=2, Bn_compute_blocks=1, max_warmup_steps=1, max_continuous_cached_steps=2,
                        residual_diff_threshold=0.9, taylorseer_order=2),
}
COMPUTING = {
    "baseline": Baseline(),
    "threshold 0": DBCache(max_warmup_steps=0, residual_diff_threshold=0, taylorseer_order=0),
    "threshold 0, order 3, back": DBCache(Bn_compute_blocks=2, max_warmup_steps=0, residual_diff_threshold=0, taylorseer_order=3),
    "all warm-up": DBCache(Fn_compute_blocks=5, max_warmup_steps=STEPS, residual_diff_threshold=1),
    "mask of ones": DBCache(steps_computation_mask="1" * STEPS, steps_computation_policy="static", residual_diff_threshold=1),
    "nothing is below 1e-6": DBCache(max_warmup_steps=0, residual_diff_threshold=1e-6),
}
Pipe = Any


def footprint(pipe: Pipe) -> dict[str, Any]:
    """Which attributes each instance has, which forward it would run, and how many hooks it carries."""
    modules = [(f"{part} {name}", module) for part in ("transformer", "vae")
               for name, module in getattr(pipe, part).named_modules()]
    found = {}
    for name, item in [("pipeline", pipe), ("scheduler", pipe.scheduler), *modules]:
        own = vars(item)
        found[name] = (sorted(own), id(own.get("forward")), id(type(item).__dict__.get("forward")),
                       {key: len(value) for key, value in own.items() if key.endswith("_hooks")})
    return found


@pytest.fixture(scope="module")
def pipe() -> Pipe:
    """One for all tests: what one of them left behind would fail the next."""
    return tiny_pipeline()


@pytest.fixture(scope="module")
def bare(pipe: Pipe) -> dict[bool, Tensor]:
    """What the pipeline draws by itself, unguided and guided."""
    return {guided: draw(pipe, steps=STEPS, guided=guided) for guided in (False, True)}


@pytest.fixture(autouse=True)
def unchanged(pipe: Pipe, bare: dict[bool, Tensor], request: pytest.FixtureRequest) -> Any:
    """After every test of this file: the same attributes on every instance, and the same output to the bit."""
    before = footprint(pipe)
    yield
    assert footprint(pipe) == before
    guided = "callspec" in vars(request.node) and request.node.callspec.params.get("guided", False)
    assert torch.equal(draw(pipe, steps=STEPS, guided=guided), bare[guided])
    assert footprint(pipe) == before


def run(pipe: Pipe, method: Method, **more: Any) -> tuple[Tensor, Session]:
    with attached(pipe, method) as session:
        return draw(pipe, **{"steps": STEPS} | more), session


def modes(session: Session, stream: str = "cond") -> str:
    return "".join(call.mode for call in session.trace if call.stream == stream)


def at_step(index: int, act: Callable[[], None]) -> Callable[..., dict[str, Any]]:
    """A pipeline callback that acts when the step ``index`` has been taken."""
    def callback(pipe: Pipe, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if step == index:
            act()
        return {}
    return callback


def burn() -> None:
    raise RuntimeError("the kernel burns")


@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.parametrize("method", COMPUTING.values(), ids=COMPUTING)
def test_computing_everything_is_bit_equal(pipe: Pipe, bare: dict[bool, Tensor], method: Method, guided: bool) -> None:
    latents, session = run(pipe, method, guided=guided)
    assert torch.equal(latents, bare[guided])
    assert modes(session) == "C" * STEPS
    assert {call.blocks_run for call in session.trace} == {6}


def test_threshold_0_draws_the_same_picture(pipe: Pipe) -> None:
    picture = draw(pipe, output_type="pt")
    assert picture.std() > 0.05
    assert torch.equal(run(pipe, COMPUTING["threshold 0"], output_type="pt")[0], picture)


@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.parametrize("method", CACHING.values(), ids=CACHING)
def test_a_cached_run_differs_repeats_and_leaves_nothing(pipe: Pipe, bare: dict[bool, Tensor], method: Method, guided: bool) -> None:
    first, session = run(pipe, method, guided=guided)
    assert "c" in modes(session)
    assert not torch.equal(first, bare[guided])
    assert torch.equal(draw(pipe, steps=STEPS, guided=guided), bare[guided])
    assert torch.equal(run(pipe, method, guided=guided)[0], first)


@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.parametrize("method", [*CACHING.values(), Baseline()], ids=[*CACHING, "baseline"])
@pytest.mark.parametrize("index", range(STEPS))
def test_cancel_during_each_step(pipe: Pipe, index: int, method: Method, guided: bool) -> None:
    """Asked for while the model runs: the next call or the end of the step stops it."""
    stop = threading.Event()

    def on_call(call: Any) -> None:
        if call.step == index:
            stop.set()

    with pytest.raises(Cancelled), attached(pipe, method, stop=stop, on_call=on_call) as session:
        draw(pipe, steps=STEPS, guided=guided)
    assert [call.step for call in session.trace][-1] == index
    assert len(session.trace) == (1 + guided) * index + 1


@pytest.mark.parametrize("index", range(STEPS - 1))
def test_cancel_between_steps(pipe: Pipe, index: int) -> None:
    stop = threading.Event()
    with pytest.raises(Cancelled), attached(pipe, CACHING["reuse"], stop=stop) as session:
        draw(pipe, steps=STEPS, callback_on_step_end=at_step(index, stop.set))
    assert len(session.trace) == index + 1


def test_cancel_before_the_first_step(pipe: Pipe) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Cancelled), attached(pipe, CACHING["reuse"], stop=stop) as session:
        draw(pipe)
    assert session.trace == ()


@pytest.mark.parametrize("place", ["transformer_blocks.0", "single_transformer_blocks.3", "proj_out", "x_embedder"])
@pytest.mark.parametrize("index", range(STEPS))
@pytest.mark.parametrize("method", [CACHING["forecast"], Baseline()], ids=["forecast", "baseline"])
def test_exception_in_the_model_at_each_step(pipe: Pipe, method: Method, index: int, place: str) -> None:
    """The modules named run in every step, cached or not. In the same ``with``, the next run is a good one."""
    expected, _ = run(pipe, method)
    entries = iter(range(STEPS))
    with attached(pipe, method) as session:
        hook = pipe.transformer.get_submodule(place).register_forward_pre_hook(
            lambda *_: burn() if next(entries) == index else None)
        with pytest.raises(RuntimeError, match="burns"):
            draw(pipe, steps=STEPS)
        hook.remove()
        assert len(session.trace) == index + 1
        assert session.memory == {}
        assert torch.equal(draw(pipe, steps=STEPS), expected)


@pytest.mark.parametrize("index", range(STEPS))
def test_exception_outside_of_the_model_at_each_step(pipe: Pipe, index: int) -> None:
    with pytest.raises(RuntimeError, match="burns"), attached(pipe, CACHING["forecast"]) as session:
        draw(pipe, steps=STEPS, callback_on_step_end=at_step(index, burn))
    assert len(session.trace) == index + 1
    assert session.memory == {}


@pytest.mark.parametrize("index", range(STEPS))
def test_exception_in_a_listener_at_each_step(pipe: Pipe, index: int) -> None:
    with (pytest.raises(RuntimeError, match="burns"),
          attached(pipe, CACHING["reuse"], on_call=lambda call: burn() if call.step == index else None)):
        draw(pipe, steps=STEPS)


def test_knobs_that_do_not_fit_the_run(pipe: Pipe) -> None:
    """How many steps there are is only known when the pipeline sets them."""
    with attached(pipe, DBCache(max_warmup_steps=8)) as session:
        with pytest.raises(EngineError, match="max_warmup_steps: 8 is more than the 6 steps"):
            draw(pipe, steps=STEPS)
        with pytest.raises(EngineError, match="has not begun"):
            pipe.transformer(hidden_states=torch.zeros(1, 4, 16))
        draw(pipe, steps=8)
    assert len(session.trace) == 8


def test_what_was_remembered_is_freed_and_the_trace_stays(pipe: Pipe) -> None:
    with attached(pipe, CACHING["reuse"]) as session:
        draw(pipe, steps=STEPS)
        held = weakref.ref(session.memory["cond"].computed[0].image)
    gc.collect()
    assert held() is None
    assert modes(session) == "CCcccc"


def test_each_call_of_the_pipeline_is_a_new_run(pipe: Pipe) -> None:
    with attached(pipe, CACHING["forecast"]) as session:
        first = draw(pipe, steps=STEPS)
        other = draw(pipe, steps=4, size=48, guided=True)
        assert len(session.trace) == 8
        assert torch.equal(draw(pipe, steps=STEPS), first)
    assert torch.equal(run(pipe, CACHING["forecast"], steps=4, size=48, guided=True)[0], other)


# Two pipelines

def test_two_pipelines_nested(pipe: Pipe, bare: dict[bool, Tensor]) -> None:
    other = tiny_pipeline(1)
    alone = run(pipe, CACHING["reuse"])[0], run(other, CACHING["forecast"])[0]
    with attached(pipe, CACHING["reuse"]):
        assert torch.equal(draw(other), run(other, Baseline())[0])
        with attached(other, CACHING["forecast"]):
            assert torch.equal(draw(pipe), alone[0])
            assert torch.equal(draw(other), alone[1])
        assert torch.equal(draw(pipe), alone[0])
        assert not torch.equal(draw(other), alone[1])


@pytest.mark.parametrize("second", [CACHING["forecast"], None], ids=["cached too", "bare"])
def test_two_pipelines_in_two_threads_step_by_step(pipe: Pipe, second: Method | None) -> None:
    other = tiny_pipeline(1)
    alone = run(pipe, CACHING["reuse"])[0], run(other, second)[0] if second else draw(other, steps=STEPS)
    together = threading.Barrier(2, timeout=60)
    order: list[str] = []

    def take_turns(name: str) -> Callable[..., dict[str, Any]]:
        def callback(pipe: Pipe, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
            order.append(name)
            together.wait()
            return {}
        return callback

    def draw_one(pipe: Pipe, method: Method | None, name: str) -> Tensor:
        if method is None:
            return draw(pipe, steps=STEPS, callback_on_step_end=take_turns(name))
        return run(pipe, method, callback_on_step_end=take_turns(name))[0]

    with ThreadPoolExecutor(2) as threads:
        results = [thread.result() for thread in (threads.submit(draw_one, pipe, CACHING["reuse"], "a"),
                                                  threads.submit(draw_one, other, second, "b"))]
    assert all(sorted(order[start:start + 2]) == ["a", "b"] for start in range(0, 2 * STEPS, 2))
    assert torch.equal(results[0], alone[0])
    assert torch.equal(results[1], alone[1])


# What is refused

def test_attached_twice(pipe: Pipe) -> None:
    for again in (pipe, pipe.transformer):
        with attached(pipe, CACHING["reuse"]) as session:
            with (pytest.raises(EngineError, match="FluxTransformer2DModel already runs under a method"),
                  attached(again, Baseline(), steps=STEPS)):
                pytest.fail("was attached")
            draw(pipe, steps=STEPS)
            assert modes(session) == "CCcccc"


def test_a_scheduler_that_two_pipelines_share(pipe: Pipe) -> None:
    other = tiny_pipeline(1)
    other.scheduler = pipe.scheduler
    with (attached(pipe, CACHING["reuse"]), pytest.raises(EngineError, match="Scheduler already runs under a method"),
          attached(other, CACHING["reuse"])):
        pytest.fail("was attached")
    assert "_cachelens" not in vars(other.transformer)


def test_a_model_that_is_not_described() -> None:
    with (pytest.raises(EngineError, match="Linear is not described; known transformers are"),
          attached(torch.nn.Linear(2, 2), CACHING["reuse"], steps=4)):
        pytest.fail("was attached")


def test_a_pipeline_of_more_streams_than_named(pipe: Pipe) -> None:
    with (attached(pipe, CACHING["reuse"], streams=("cond",)),
          pytest.raises(EngineError, match="call 2 does not fit 6 steps of 1 calls")):
        draw(pipe, steps=STEPS, guided=True)


def test_a_pipeline_of_fewer_streams_than_named(pipe: Pipe) -> None:
    with (attached(pipe, CACHING["reuse"], streams=("cond", "uncond")),
          pytest.raises(EngineError, match="step 0: the model was called 1 times for 2 streams")):
        draw(pipe, steps=STEPS)


def test_forwards_that_instances_had_before_come_back(pipe: Pipe) -> None:
    """Offloading puts a forward of its own on the instance: the method works through it and gives it back."""
    seen: list[str] = []

    class Offload(ModelHook):
        def pre_forward(self, module: Any, *args: Any, **kwargs: Any) -> Any:
            seen.append(type(module).__name__)
            return args, kwargs

    other = tiny_pipeline()
    for module in (other.transformer, *other.transformer.transformer_blocks):
        add_hook_to_module(module, Offload())
    draw(other)
    before = footprint(other)
    seen.clear()
    expected, _ = run(pipe, CACHING["reuse"])
    hooked, _ = run(other, CACHING["reuse"])
    assert torch.equal(hooked, expected)
    assert seen.count("FluxTransformer2DModel") == STEPS
    assert seen.count("FluxTransformerBlock") == STEPS + 2  # the first in all steps, the second in the two computed ones
    assert footprint(other) == before
