"""Tests that a method leaves nothing behind, however the run ends, and that computing every step through it
equals the bare pipeline.
"""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import pytest
import torch
from torch import Tensor

from cache_engine.method import Method
from cache_engine.methods.baseline import Baseline
from cache_engine.methods.dbcache import DBCache
from cache_engine.sites.attach import attached
from cache_engine.strict import Cancelled, EngineError
from tests.engine.runs import CACHING, COMPUTING, STEPS, Pipe, at_step, modes, run
from tests.tiny_pipeline import draw

pytestmark = pytest.mark.usefixtures("unchanged")


def burn() -> None:
    raise RuntimeError("the kernel burns")


@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.parametrize("method", COMPUTING.values(), ids=COMPUTING)
def test_computing_everything_is_bit_equal(
    pipe: Pipe, bare: dict[bool, Tensor], method: Method, guided: bool
) -> None:
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
def test_a_cached_run_differs_repeats_and_leaves_nothing(
    pipe: Pipe, bare: dict[bool, Tensor], method: Method, guided: bool
) -> None:
    first, session = run(pipe, method, guided=guided)
    assert "c" in modes(session)
    assert not torch.equal(first, bare[guided])
    assert torch.equal(draw(pipe, steps=STEPS, guided=guided), bare[guided])
    assert torch.equal(run(pipe, method, guided=guided)[0], first)


@pytest.mark.parametrize("guided", [False, True])
@pytest.mark.parametrize("method", [*CACHING.values(), Baseline()], ids=[*CACHING, "baseline"])
@pytest.mark.parametrize("index", range(STEPS))
def test_cancel_during_each_step(pipe: Pipe, index: int, method: Method, guided: bool) -> None:
    """The cancel arrives while the model runs: the next call or the end of the step stops the run."""
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


@pytest.mark.parametrize(
    "place", ["transformer_blocks.0", "single_transformer_blocks.3", "proj_out", "x_embedder"]
)
@pytest.mark.parametrize("index", range(STEPS))
@pytest.mark.parametrize("method", [CACHING["forecast"], Baseline()], ids=["forecast", "baseline"])
def test_exception_in_the_model_at_each_step(pipe: Pipe, method: Method, index: int, place: str) -> None:
    """The named modules run in every step, cached or not. In the same ``with`` block, the next run is
    correct.
    """
    expected, _ = run(pipe, method)
    entries = iter(range(STEPS))
    with attached(pipe, method) as session:
        hook = pipe.transformer.get_submodule(place).register_forward_pre_hook(
            lambda *_: burn() if next(entries) == index else None
        )
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
    with (
        pytest.raises(RuntimeError, match="burns"),
        attached(pipe, CACHING["reuse"], on_call=lambda call: burn() if call.step == index else None),
    ):
        draw(pipe, steps=STEPS)


def test_knobs_that_do_not_fit_the_run(pipe: Pipe) -> None:
    """The number of steps is known only when the pipeline sets it."""
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
        held = weakref.ref(session.memory["cond"])
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
