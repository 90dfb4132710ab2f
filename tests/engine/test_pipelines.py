"""Tests that pipelines side by side do not disturb each other, and that objects without a usable model are
refused.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import torch
from accelerate.hooks import ModelHook, add_hook_to_module
from torch import Tensor

from cache_engine.method import Method
from cache_engine.methods.baseline import Baseline
from cache_engine.sites.attach import attached
from cache_engine.strict import EngineError
from tests.engine.runs import CACHING, STEPS, Pipe, footprint, modes, run
from tests.tiny_pipeline import draw, tiny_pipeline

pytestmark = pytest.mark.usefixtures("unchanged")


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
        results = [
            thread.result()
            for thread in (
                threads.submit(draw_one, pipe, CACHING["reuse"], "a"),
                threads.submit(draw_one, other, second, "b"),
            )
        ]
    assert all(sorted(order[start : start + 2]) == ["a", "b"] for start in range(0, 2 * STEPS, 2))
    assert torch.equal(results[0], alone[0])
    assert torch.equal(results[1], alone[1])


def test_attached_twice(pipe: Pipe) -> None:
    for again in (pipe, pipe.transformer):
        with attached(pipe, CACHING["reuse"]) as session:
            with (
                pytest.raises(EngineError, match="FluxTransformer2DModel already runs under a method"),
                attached(again, Baseline(), steps=STEPS),
            ):
                pytest.fail("was attached")
            draw(pipe, steps=STEPS)
            assert modes(session) == "CCcccc"


def test_a_scheduler_that_two_pipelines_share(pipe: Pipe) -> None:
    other = tiny_pipeline(1)
    other.scheduler = pipe.scheduler
    with (
        attached(pipe, CACHING["reuse"]),
        pytest.raises(EngineError, match="Scheduler already runs under a method"),
        attached(other, CACHING["reuse"]),
    ):
        pytest.fail("was attached")
    assert "_cachelens" not in vars(other.transformer)


def test_a_model_that_is_not_described() -> None:
    with (
        pytest.raises(EngineError, match="Linear is not described; known transformers are"),
        attached(torch.nn.Linear(2, 2), CACHING["reuse"], steps=4),
    ):
        pytest.fail("was attached")


def test_a_pipeline_of_more_streams_than_named(pipe: Pipe) -> None:
    with (
        attached(pipe, CACHING["reuse"], streams=("cond",)),
        pytest.raises(EngineError, match="call 2 does not fit 6 steps of 1 calls"),
    ):
        draw(pipe, steps=STEPS, guided=True)


def test_a_pipeline_of_fewer_streams_than_named(pipe: Pipe) -> None:
    with (
        attached(pipe, CACHING["reuse"], streams=("cond", "uncond")),
        pytest.raises(EngineError, match="step 0: the model was called 1 times for 2 streams"),
    ):
        draw(pipe, steps=STEPS)


def test_forwards_that_instances_had_before_come_back(pipe: Pipe) -> None:
    """Offloading sets its own forward on the instance: the method works through it and restores it."""
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
    assert (
        seen.count("FluxTransformerBlock") == STEPS + 2
    )  # the first runs in all steps, the second in the two computed steps
    assert footprint(other) == before


def test_a_pipeline_of_numbers_that_are_none(pipe: Pipe) -> None:
    """With a cache the change reveals the broken numbers, without a cache the picture does; both errors name
    the step.
    """

    def broken(pipe: Pipe, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        return {"latents": tensors["latents"] * torch.nan} if step == 2 else {}

    for method in (CACHING["reuse"], CACHING["forecast"], Baseline()):
        with attached(pipe, method), pytest.raises(EngineError, match=r"^step 3: "):
            draw(pipe, steps=STEPS, callback_on_step_end=broken)
