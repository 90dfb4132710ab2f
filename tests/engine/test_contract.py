"""Tests the contract of every method on a model. A new file in cache_engine/methods is tested here without
any change.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from diffusers import FluxTransformer2DModel, QwenImageTransformer2DModel
from torch import Tensor, nn

from cache_engine.method import METHODS, Method
from cache_engine.plans import ModelFacts, Plan
from cache_engine.session import Session
from cache_engine.sites.attach import attached
from cache_engine.strict import Cancelled
from tests.engine.facts import ALIKE, PUBLISHED, STEPS
from tests.parity.loop import denoise, tiny_flux, tiny_qwen_image

# TeaCache needs the modulated input, which is described for FLUX.1 only. Delta-DiT's published rule needs
# single blocks.
FLUX_ALONE = ("teacache", "delta_dit")
on_both_models = pytest.mark.parametrize(
    ("name", "model"),
    [
        *((name, "flux") for name in METHODS),
        *((name, "qwen-image") for name in METHODS if name not in FLUX_ALONE),
    ],
    indirect=["model"],
)
Model = FluxTransformer2DModel | QwenImageTransformer2DModel


@pytest.fixture(scope="module")
def model(request: pytest.FixtureRequest) -> Model:
    return {"flux": tiny_flux, "qwen-image": tiny_qwen_image}[request.param]()


def planned(method: Method) -> Callable[[ModelFacts], Plan]:
    """Return the method's plan for a random model, which borrows FLUX.1-dev's coefficients."""
    return lambda facts: method.plan(
        facts._replace(polynomial=PUBLISHED.polynomial, ratios=PUBLISHED.ratios, alike=ALIKE)
    )


def under(
    model: nn.Module, method: Method, streams: tuple[str, ...] = ("cond",), **more: Any
) -> AbstractContextManager[Session]:
    return attached(model, SimpleNamespace(plan=planned(method)), steps=STEPS, streams=streams, **more)


def run(model: Model, method: Method, streams: tuple[str, ...] = ("cond",)) -> tuple[Tensor, Session]:
    with under(model, method, streams) as session:
        session.begin()
        return denoise(model, STEPS, streams), session


def modes(session: Session, stream: str = "cond") -> str:
    return "".join(call.mode for call in session.trace if call.stream == stream)


def path(stream: str, model: nn.Module | None = None) -> Iterator[dict[str, Any]]:
    """Yield one stream's calls along a path that does not depend on the model's answers. The model is a
    FLUX.1 unless another is given.
    """
    generator = torch.Generator().manual_seed(len(stream))
    start, end = torch.randn((2, 1, 16, 4), generator=generator)
    text, pooled = torch.randn((1, 6, 32), generator=generator), torch.randn((1, 32), generator=generator)
    for step in range(STEPS):
        share = 0.05 * step / STEPS  # small enough for every threshold's default
        call = {
            "hidden_states": start + share * (end - start),
            "encoder_hidden_states": text,
            "timestep": torch.tensor([1 - share]),
        }
        yield call | (
            {"img_shapes": [[(1, 4, 4)]]}
            if isinstance(model, QwenImageTransformer2DModel)
            else {"pooled_projections": pooled, "img_ids": torch.zeros(16, 3), "txt_ids": torch.zeros(6, 3)}
        )


@on_both_models
def test_a_setting_that_computes_everything_is_bit_equal_to_the_baseline(name: str, model: Model) -> None:
    outputs, session = run(model, METHODS[name](**METHODS[name].always), ("cond", "uncond"))
    assert torch.equal(outputs, denoise(model, STEPS, ("cond", "uncond")))
    assert {call.mode for call in session.trace} == {"C"}
    assert {call.blocks_run for call in session.trace} == {6}


@on_both_models
def test_the_model_is_restored_after_a_run_an_error_and_a_cancel(name: str, model: Model) -> None:
    method = METHODS[name]()
    before = {path: dict(vars(module)) for path, module in model.named_modules()}
    baseline = denoise(model, STEPS)

    def restored() -> bool:
        unchanged = all(dict(vars(module)) == before[path] for path, module in model.named_modules())
        return unchanged and torch.equal(denoise(model, STEPS), baseline)

    run(model, method)
    assert restored()
    with pytest.raises(RuntimeError, match="halfway"):
        broken(model, method)
    assert restored()
    with pytest.raises(Cancelled):
        cancelled(model, method)
    assert restored()


def broken(model: Model, method: Method) -> None:
    with under(model, method) as session:
        session.begin()
        denoise(model, STEPS // 2)
        raise RuntimeError("halfway")


def cancelled(model: Model, method: Method) -> None:
    stop = threading.Event()
    with under(model, method, stop=stop) as session:
        session.begin()
        denoise(model, STEPS // 2)
        stop.set()
        denoise(model, 1)


@on_both_models
def test_streams_never_mix(name: str, model: Model) -> None:
    method = METHODS[name]()

    def answers(*streams: str) -> tuple[list[Tensor], str]:
        with under(model, method, streams) as session, torch.inference_mode():
            session.begin()
            collected = [
                model(**call, return_dict=False)[0]
                for calls in zip(*(path(stream, model) for stream in streams))
                for call in calls
            ]
        return collected[:: len(streams)], modes(session, streams[0])

    alone, schedule = answers("cond")
    together, schedule_of_two = answers("cond", "uncond")
    assert schedule_of_two == schedule
    assert method.grain == "none" or set(schedule) & {"c", "p"}  # otherwise this test would show nothing
    assert all(torch.equal(first, other) for first, other in zip(alone, together, strict=True))


@on_both_models
def test_decisions_are_repeatable(name: str, model: Model) -> None:
    outputs, session = run(model, METHODS[name]())
    again, session_again = run(model, METHODS[name]())
    assert torch.equal(outputs, again)
    assert [call[:8] for call in session.trace] == [call[:8] for call in session_again.trace]
    assert all(call.reason for call in session.trace)
