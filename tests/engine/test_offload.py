"""Tests offloading part by part, which removes its hooks and sets them again after every run: each run in a
``with`` block is cached.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from cache_engine.calibration import calibrate
from cache_engine.method import Method
from cache_engine.sites.attach import attached
from tests.engine.runs import CACHING, COMPUTING, STEPS, Pipe, footprint, modes, run
from tests.tiny_pipeline import draw, tiny_pipeline


def offloaded() -> Pipe:
    pipe = tiny_pipeline()
    pipe.enable_model_cpu_offload(device="cpu")
    return pipe


def plain(pipe: Pipe) -> dict[str, Any]:
    """Return the state of the instances, except the wrappers that accelerate sets around the forwards of two
    parts.
    """
    return {
        name: (own, hooks) if name.endswith(" ") else (own, forward, hooks)
        for name, (own, forward, _, hooks) in footprint(pipe).items()
    }


@pytest.mark.parametrize("method", CACHING.values(), ids=CACHING)
def test_every_run_is_cached_and_nothing_is_left(
    pipe: Pipe, bare: dict[bool, Tensor], method: Method
) -> None:
    expected, session = run(pipe, method)
    schedule, other = modes(session), offloaded()
    draw(other, steps=STEPS)
    before = plain(other)
    with attached(other, method) as session:
        for _ in range(3):
            assert torch.equal(draw(other, steps=STEPS), expected)
            assert modes(session) == schedule
    assert plain(other) == before
    assert torch.equal(draw(other, steps=STEPS), bare[False])
    assert hasattr(other.transformer, "_hf_hook")


def test_computing_everything_is_bit_equal_in_every_run(bare: dict[bool, Tensor]) -> None:
    other = offloaded()
    with attached(other, COMPUTING["threshold 0"]) as session:
        for guided in (False, True):
            assert torch.equal(draw(other, steps=STEPS, guided=guided), bare[guided])
            assert len(session.trace) == (1 + guided) * STEPS


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
@pytest.mark.parametrize("place", ["transformer_blocks.0", "proj_out"])
def test_a_run_that_fails(
    pipe: Pipe, bare: dict[bool, Tensor], place: str, error: type[BaseException]
) -> None:
    """After a failed run, the next run in the same ``with`` block is correct, and the model is unchanged
    afterwards.
    """

    def burn(*_: Any) -> None:
        raise error("the kernel burns")

    expected, _ = run(pipe, CACHING["forecast"])
    other = offloaded()
    with attached(other, CACHING["forecast"]) as session:
        draw(other, steps=STEPS)
        hook = other.transformer.get_submodule(place).register_forward_pre_hook(burn)
        with pytest.raises(error, match="burns"):
            draw(other, steps=STEPS)
        hook.remove()
        assert torch.equal(draw(other, steps=STEPS), expected)
        assert modes(session) != "C" * STEPS
        hook = other.transformer.get_submodule(place).register_forward_pre_hook(burn)
        with pytest.raises(error, match="burns"):
            draw(other, steps=STEPS)
    hook.remove()
    assert session.memory == {}
    assert torch.equal(draw(other, steps=STEPS), bare[False])


def test_offloading_that_comes_and_goes_within_the_with(pipe: Pipe, bare: dict[bool, Tensor]) -> None:
    expected, _ = run(pipe, CACHING["reuse"])
    other = tiny_pipeline()
    with attached(other, CACHING["reuse"]):
        other.enable_model_cpu_offload(device="cpu")
        assert torch.equal(draw(other, steps=STEPS), expected)
        other.remove_all_hooks()
        assert torch.equal(draw(other, steps=STEPS), expected)
        other.enable_model_cpu_offload(device="cpu")
    assert hasattr(other.transformer, "_hf_hook")
    assert torch.equal(draw(other, steps=STEPS), bare[False])


def test_every_draw_of_a_calibration_counts() -> None:
    def fitted(pipe: Pipe, draws: int) -> Any:
        return calibrate(
            pipe,
            [
                lambda seed=seed: draw(pipe, steps=8, generator=torch.Generator().manual_seed(seed))
                for seed in range(draws)
            ],
        )

    assert fitted(offloaded(), 3) == fitted(tiny_pipeline(), 3) != fitted(offloaded(), 1)
