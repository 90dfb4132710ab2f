"""Tests a method on a transformer without a pipeline: steps and streams are given, and broken input is
refused.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any

import pytest
import torch

from cache_engine.methods.baseline import Baseline
from cache_engine.methods.dbcache import DBCache
from cache_engine.records import StepTrace
from cache_engine.session import Session
from cache_engine.sites.attach import attached
from cache_engine.strict import EngineError
from tests.parity.loop import control_samples, denoise, tiny_flux

TWO = ("cond", "uncond")
FORECAST = DBCache(
    Fn_compute_blocks=2,
    Bn_compute_blocks=1,
    max_warmup_steps=4,
    max_continuous_cached_steps=2,
    residual_diff_threshold=0.3,
    taylorseer_order=1,
)
EVERYTHING_SIMILAR = DBCache(max_warmup_steps=1, residual_diff_threshold=1, taylorseer_order=0)


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny_flux()


def modes(session: Session, stream: str = "cond") -> str:
    return "".join(call.mode for call in session.trace if call.stream == stream)


def test_one_stream_is_the_default(model: Any) -> None:
    with attached(model, EVERYTHING_SIMILAR, steps=4) as session:
        session.begin()
        denoise(model, 4)
    assert [(call.step, call.call, call.stream, call.mode) for call in session.trace] == [
        (0, 0, "cond", "C"),
        (1, 1, "cond", "c"),
        (2, 2, "cond", "c"),
        (3, 3, "cond", "c"),
    ]
    assert [(call.blocks_run, call.blocks) for call in session.trace] == [(6, 6), (1, 6), (1, 6), (1, 6)]


def test_a_run_may_have_another_number_of_steps(model: Any) -> None:
    with attached(model, EVERYTHING_SIMILAR, steps=4) as session:
        session.begin(7)
        denoise(model, 7)
        assert modes(session) == "Ccccccc"
        session.begin()
        denoise(model, 7)
        assert modes(session) == "Ccccccc"


def test_steps_are_not_guessed(model: Any) -> None:
    with pytest.raises(EngineError, match="steps: a bare transformer"), attached(model, FORECAST):
        pytest.fail("was attached")


def test_a_run_must_begin(model: Any) -> None:
    with (
        attached(model, FORECAST, steps=4) as session,
        pytest.raises(EngineError, match=r"call session.begin\(\)"),
    ):
        denoise(model, 4)
    assert session.trace == ()


def test_after_an_exception_a_run_must_begin_again(model: Any) -> None:
    """Otherwise the next call would count as the failed run's next step, and use the values that it
    remembered.
    """
    expected = with_method(model, FORECAST, 8)
    with attached(model, FORECAST, steps=8) as session:
        session.begin()
        with pytest.raises(TypeError):
            denoise(model, 8, unknown_argument=1)
        with pytest.raises(EngineError, match="has not begun"):
            denoise(model, 8)
        session.begin()
        assert torch.equal(denoise(model, 8), expected)


def with_method(model: Any, method: Any, steps: int, streams: tuple[str, ...] = ("cond",)) -> torch.Tensor:
    with attached(model, method, steps=steps, streams=streams) as session:
        session.begin()
        return denoise(model, steps, streams)


@pytest.mark.parametrize("method", [FORECAST, EVERYTHING_SIMILAR], ids=["forecast", "reuse"])
def test_two_streams_never_mix(model: Any, method: DBCache) -> None:
    """One model with two streams gives the same as two models with one stream each, bit for bit."""
    together = with_method(model, method, 12, TWO)
    each = tiny_flux(), tiny_flux()
    calls = iter(range(24))

    def in_turns(*args: Any, **kwargs: Any) -> Any:
        return each[next(calls) % 2](*args, **kwargs)

    with attached(each[0], method, steps=12) as first, attached(each[1], method, steps=12) as second:
        first.begin()
        second.begin()
        assert torch.equal(denoise(in_turns, 12, TWO), together)  # type: ignore[arg-type]
    with attached(model, method, steps=12, streams=TWO) as session:
        session.begin()
        denoise(model, 12, TWO)
    assert (modes(session, "cond"), modes(session, "uncond")) == (modes(first), modes(second))
    assert [call.change for call in session.trace if call.stream == "uncond"] == [
        call.change for call in second.trace
    ]


def test_a_change_of_shape_starts_its_stream_afresh(model: Any) -> None:
    with attached(model, EVERYTHING_SIMILAR, steps=6, streams=("cond",)) as session:
        session.begin()
        latents = denoise(model, 6, side=lambda step: 4 if step < 3 else 6)
        assert session.memory["cond"].bytes == 4 * 32 * (
            36 + 36 + 6
        )  # the residual of the first blocks, and one residual for each stream
    assert modes(session) == "CccCcc"
    assert [call.change is None for call in session.trace] == [True, False, False, True, False, False]
    assert latents.isfinite().all()


@pytest.mark.parametrize("tokens", [1, 9])
def test_a_change_of_the_text_alone_does_too(model: Any, tokens: int) -> None:
    """By broadcasting, a text of one token would fit every other text, and the result would be wrong without
    an error.
    """

    def call(text: int) -> None:
        model(
            hidden_states=torch.ones(1, 16, 4),
            encoder_hidden_states=torch.ones(1, text, 32),
            timestep=torch.ones(1),
            pooled_projections=torch.ones(1, 32),
            img_ids=torch.zeros(16, 3),
            txt_ids=torch.zeros(text, 3),
        )

    with torch.inference_mode(), attached(model, EVERYTHING_SIMILAR, steps=4) as session:
        session.begin()
        for text in (6, 6, tokens, tokens):
            call(text)
    assert modes(session) == "CcCc"


def test_a_batch_is_decided_as_one(model: Any) -> None:
    def call(step: int) -> None:
        model(
            hidden_states=torch.full((3, 16, 4), 1.0 + step),
            encoder_hidden_states=torch.ones(3, 6, 32),
            pooled_projections=torch.ones(3, 32),
            timestep=torch.ones(3),
            img_ids=torch.zeros(16, 3),
            txt_ids=torch.zeros(6, 3),
        )

    with torch.inference_mode(), attached(model, EVERYTHING_SIMILAR, steps=3) as session:
        session.begin()
        for step in range(3):
            call(step)
    assert modes(session) == "Ccc"


NOT_A_NUMBER: dict[str, Callable[..., DBCache]] = {
    "threshold": lambda: DBCache(max_warmup_steps=1, residual_diff_threshold=0.5),
    "warm-up": lambda: DBCache(max_warmup_steps=8, residual_diff_threshold=0.5),
    "threshold 0": lambda: DBCache(max_warmup_steps=0, residual_diff_threshold=0),
    "threshold 1": lambda: DBCache(max_warmup_steps=1, residual_diff_threshold=1),
    "static mask": lambda: DBCache(steps_computation_mask="10010010", steps_computation_policy="static"),
    "limit": lambda: DBCache(max_warmup_steps=1, max_cached_steps=1, residual_diff_threshold=1),
}


@pytest.mark.parametrize("step", [1, 4, 7])
@pytest.mark.parametrize("method", NOT_A_NUMBER.values(), ids=NOT_A_NUMBER)
def test_not_a_number_names_the_step_whatever_decides(
    model: Any, method: Callable[..., DBCache], step: int
) -> None:
    with attached(model, method(), steps=8) as session:
        session.begin()
        with pytest.raises(EngineError, match=f"^step {step}: the change is nan"):
            denoise(model, 8, broken_from=step)


def test_a_block_that_changes_its_input_in_place_is_noticed(model: Any) -> None:
    """Then the first blocks' residual is zero and its change is 0/0, and without an error the cache would
    simply never be used.
    """
    broken = tiny_flux()
    block = broken.transformer_blocks[0]
    forward = block.forward

    def in_place(hidden_states: Any, encoder_hidden_states: Any, **more: Any) -> Any:
        text, image = forward(hidden_states, encoder_hidden_states, **more)
        return text, hidden_states.copy_(image)

    block.forward = in_place
    with attached(broken, DBCache(max_warmup_steps=1), steps=4) as session:
        session.begin()
        with pytest.raises(EngineError, match=r"^step 1: "):
            denoise(broken, 4)


def test_control_samples(model: Any) -> None:
    """A cache refuses control samples, by name and by position; the baseline accepts them."""
    samples = control_samples()
    with attached(model, Baseline(), steps=4) as session:
        session.begin()
        with_samples = denoise(model, 4, **samples)
    assert torch.equal(with_samples, denoise(model, 4, **samples))
    assert not torch.equal(with_samples, denoise(model, 4))

    place = list(inspect.signature(model.forward).parameters).index("controlnet_block_samples")
    with attached(model, FORECAST, steps=4) as session:
        session.begin()
        with pytest.raises(EngineError, match="ControlNet"):
            denoise(model, 4, controlnet_single_block_samples=samples["controlnet_single_block_samples"])
        session.begin()
        with pytest.raises(EngineError, match="ControlNet"):
            model(*[None] * place, samples["controlnet_block_samples"])


def test_the_forward_keeps_its_signature(model: Any) -> None:
    before = inspect.signature(model.forward), inspect.signature(model.transformer_blocks[0].forward)
    with attached(model, FORECAST, steps=4):
        assert (
            inspect.signature(model.forward),
            inspect.signature(model.transformer_blocks[0].forward),
        ) == before


def test_each_call_is_told_as_it_ends(model: Any) -> None:
    told: list[StepTrace] = []
    costs = {"C": 2.5, "c": 0.5}
    with attached(model, FORECAST, steps=8, on_call=told.append) as session:
        session.costs = lambda mode, step: costs[mode]
        session.begin()
        denoise(model, 8)
    assert tuple(told) == session.trace
    assert all(call.tflops == (2.5 if call.mode == "C" else 0.5) for call in told)
    assert all(call.seconds > 0 for call in told)
    assert all(call.reason for call in told)
