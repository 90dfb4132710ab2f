"""Tests one contract for every described transformer class of diffusers: the real classes, tiny, with random
weights.
"""

from __future__ import annotations

import threading
from functools import cache

import pytest
import torch
from diffusers.hooks import FirstBlockCacheConfig, apply_first_block_cache
from diffusers.models.cache_utils import CacheMixin
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from cache_engine import flops
from cache_engine.method import METHODS, Method
from cache_engine.models.catalog import sections_of
from cache_engine.models.generic import TRANSFORMERS, registered
from cache_engine.records import StepTrace
from cache_engine.sites.attach import attached
from cache_engine.strict import Cancelled, EngineError
from tests.engine.tiny_models import CONFIGS, Calls, sample, tiny, wide

STEPS = 5
NAMES = sorted(TRANSFORMERS)
FIRST_BLOCK_CACHE = (
    "CogView4Transformer2DModel",
    "FluxTransformer2DModel",
    "HunyuanImageTransformer2DModel",
    "LTXVideoTransformer3DModel",
    "PixArtTransformer2DModel",
    "QwenImageTransformer2DModel",
    "WanTransformer3DModel",
)
Outcome = tuple[dict[str, list[Tensor]], tuple[StepTrace, ...]]
NO_FORECAST = dict(max_warmup_steps=0, taylorseer_order=0)
STATIC = dict(NO_FORECAST, steps_computation_mask="11001", steps_computation_policy="static")


@cache
def model_of(name: str) -> nn.Module:
    return tiny(name)


@cache
def calls_of(name: str) -> Calls:
    return Calls(name)


@torch.inference_mode()
def loop(name: str, method: Method | None, streams: tuple[str, ...] = ("cond",)) -> Outcome:
    """Return the outputs of every step by stream, and the trace."""
    model, calls = model_of(name), calls_of(name)
    outputs: dict[str, list[Tensor]] = {stream: [] for stream in streams}

    def run() -> None:
        for step in range(STEPS):
            for stream in streams:
                outputs[stream].append(sample(model(**calls.at(step, stream), return_dict=False)))

    if method is None:
        run()
        return outputs, ()
    with attached(model, method, steps=STEPS, streams=streams) as session:
        session.begin()
        run()
    return outputs, session.trace


@cache
def bare(name: str) -> list[Tensor]:
    return loop(name, None)[0]["cond"]


def same(first: list[Tensor], other: list[Tensor]) -> bool:
    return all(map(torch.equal, first, other))


def test_at_least_sixteen_draw_pictures_and_two_draw_videos() -> None:
    assert sum(not description.video for description in TRANSFORMERS.values()) >= 16
    assert sum(description.video for description in TRANSFORMERS.values()) >= 2
    assert set(CONFIGS) == set(TRANSFORMERS)


@pytest.mark.parametrize("name", NAMES)
def test_threshold_zero_is_bit_equal_to_the_bare_model(name: str) -> None:
    outputs, trace = loop(name, METHODS["dbcache"](residual_diff_threshold=0, max_warmup_steps=0))
    assert same(outputs["cond"], bare(name))
    assert [call.mode for call in trace] == ["C"] * STEPS


@pytest.mark.parametrize("name", NAMES)
def test_a_cached_step_skips_blocks_and_is_another_picture(name: str) -> None:
    method = METHODS["dbcache"](Fn_compute_blocks=1, **STATIC)
    outputs, trace = loop(name, method)
    modes = "".join(call.mode for call in trace)
    assert modes == "CCccC"
    for step, mode in enumerate(modes):
        assert torch.isfinite(outputs["cond"][step]).all()
        assert torch.equal(outputs["cond"][step], bare(name)[step]) == (mode == "C"), step


@pytest.mark.parametrize("name", NAMES)
def test_back_blocks_run_after_the_skipped_middle(name: str) -> None:
    blocks = sum(len(model_of(name).get_submodule(section.path)) for section in TRANSFORMERS[name].sections)
    method = METHODS["dbcache"](Fn_compute_blocks=blocks - 2, Bn_compute_blocks=1, **STATIC)
    with attached(model_of(name), method, steps=STEPS) as session, torch.inference_mode():
        session.begin()
        for step in range(STEPS):
            model_of(name)(**calls_of(name).at(step), return_dict=False)
    assert [call.blocks_run for call in session.trace] == [blocks, blocks, blocks - 1, blocks - 1, blocks]


@pytest.mark.parametrize("name", NAMES)
def test_restored_after_a_run_a_cancel_and_an_error(name: str) -> None:
    model, stop = model_of(name), threading.Event()
    bare(name)
    before = [set(vars(module)) for module in model.modules()]
    method = METHODS["dbcache"](Fn_compute_blocks=1, **STATIC)

    @torch.inference_mode()
    def breaks(error: type[Exception]) -> None:
        with attached(model, method, steps=STEPS, stop=stop) as session:
            session.begin()
            model(**calls_of(name).at(0))
            if error is Cancelled:
                stop.set()
            model(**calls_of(name).at(1) | ({} if error is Cancelled else {"not_an_argument": 1}))

    loop(name, method)
    for error in (TypeError, Cancelled):
        with pytest.raises(error):
            breaks(error)
    assert [set(vars(module)) for module in model.modules()] == before
    assert same(loop(name, None)[0]["cond"], bare(name))


@pytest.mark.parametrize("name", NAMES)
def test_two_streams_do_not_mix(name: str) -> None:
    """Together, the two streams give the same as each stream alone."""
    method = METHODS["dbcache"](Fn_compute_blocks=1, residual_diff_threshold=0.5, **NO_FORECAST)
    together, _ = loop(name, method, ("cond", "uncond"))
    assert same(together["cond"], loop(name, method)[0]["cond"])
    assert same(together["uncond"], loop(name, method, ("uncond",))[0]["uncond"])
    assert not same(together["cond"], together["uncond"])


@pytest.mark.parametrize("name", NAMES)
def test_compute_is_counted_as_torch_counts_it(name: str) -> None:
    """The models are wide. torch counts only products; softmax, norms and activations are added."""
    model, inputs = wide(name)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(**inputs)
    products = counter.get_total_flops() / 1e12
    assert products > 0
    with flops.Attention() as attention, torch.no_grad():
        model(**inputs)
    assert flops.count(model, inputs) - attention.softmax / 1e12 == pytest.approx(products, rel=0.02)


@cache
def theirs(name: str, threshold: float) -> list[Tensor]:
    """Run the loop under diffusers' own FirstBlockCache."""
    model = tiny(name)
    apply_first_block_cache(model, FirstBlockCacheConfig(threshold=threshold))
    with torch.inference_mode(), CacheMixin.cache_context(model, "cond"):
        return [sample(model(**calls_of(name).at(step), return_dict=False)) for step in range(STEPS)]


@pytest.mark.parametrize("name", FIRST_BLOCK_CACHE)
def test_equal_to_diffusers_first_block_cache(name: str) -> None:
    """The threshold is above some changes and below others. DBCache has one block at the front, no warm-up
    and no forecast.
    """

    def method(threshold: float) -> Method:
        return METHODS["dbcache"](Fn_compute_blocks=1, residual_diff_threshold=threshold, **NO_FORECAST)

    changes = sorted(call.change for call in loop(name, method(1e-9))[1] if call.change is not None)
    threshold = (changes[1] + changes[2]) / 2
    ours, trace = loop(name, method(threshold))
    assert {call.mode for call in trace[1:]} == {"C", "c"}
    assert same(ours["cond"], theirs(name, threshold))


@pytest.mark.parametrize("name", sorted(set(NAMES) - set(FIRST_BLOCK_CACHE)))
def test_diffusers_has_no_first_block_cache_for_the_others(name: str) -> None:
    """If this fails, diffusers now supports the class: move it to the list above."""
    with pytest.raises((ValueError, TypeError, IndexError, AttributeError)):
        theirs(name, 0.5)


@pytest.mark.parametrize(
    "name",
    [
        "CogView4Transformer2DModel",
        "FluxTransformer2DModel",
        "HunyuanImageTransformer2DModel",
        "QwenImageTransformer2DModel",
        "SD3Transformer2DModel",
    ],
)
def test_diffusers_own_registry_says_the_same(name: str) -> None:
    ours = {section.path: (section.takes, section.returns) for section in TRANSFORMERS[name].sections}
    sections = registered(model_of(name)) or ()
    assert {section.path: (section.takes, section.returns) for section in sections} == ours


@pytest.mark.parametrize(
    "name",
    sorted(
        name
        for name, description in TRANSFORMERS.items()
        if all(part.outputs for part in description.sections)
    ),
)
@pytest.mark.parametrize("method", ["fora", "taylorseer"])
def test_module_methods_where_the_modules_are_described(name: str, method: str) -> None:
    """The first call is computed and equal. A cached call has the gates of its own step, so it differs from
    both.
    """
    outputs, trace = loop(name, METHODS[method](interval=2) if method == "fora" else METHODS[method]())
    modes = "".join(call.mode for call in trace)
    assert "c" in modes
    for step, mode in enumerate(modes):
        assert torch.equal(outputs["cond"][step], bare(name)[step]) == (mode == "C"), step


def test_a_class_that_nobody_describes_is_refused_in_one_sentence() -> None:
    with pytest.raises(
        EngineError,
        match=r"^Linear is not described; known transformers are .*generic\.py makes a class known\.$",
    ):
        sections_of(nn.Linear(2, 2))
