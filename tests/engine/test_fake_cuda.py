"""Tests the CUDA path without CUDA: full width and size on a fake device, on which nothing can be computed
and no value can be read.

Tensors have a shape, a dtype and a device ("cuda"), but no values. ``.item()``, ``bool()`` and copies to the
host's memory raise an error or are detected, so a hidden synchronisation fails a test.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import diffusers
import pytest
import torch
from diffusers import FlowMatchEulerDiscreteScheduler
from torch import Tensor
from torch._subclasses import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from cache_engine.cache_size import cache_bytes
from cache_engine.flops import tensors
from cache_engine.method import METHODS, Method
from cache_engine.models.catalog import MODELS
from cache_engine.models.generic import TRANSFORMERS
from cache_engine.records import RunRequest
from cache_engine.sites.attach import attached
from cache_engine.sites.clock import Clock
from cache_engine.sites.tensor_history import SignalReference

STEPS = 4
STATIC = dict(max_warmup_steps=1, residual_diff_threshold=1)  # computed, then cached to the end
METHOD = {
    "flux-dev": ("FluxPipeline", ("cond",)),
    "qwen-image": ("QwenImagePipeline", ("cond", "uncond")),
    "flux2-klein-base-4b": ("Flux2KleinPipeline", ("cond", "uncond")),
}


class StandInClock(Clock):
    """Records, in order, the requests that a CUDA device would get."""

    def __init__(self) -> None:
        super().__init__(torch.device("cuda"))
        self.asked: list[str] = []

    def mark(self) -> float:
        self.asked.append("event")
        return 0.0

    def synchronise(self) -> float:
        self.asked.append("synchronise")
        return 0.0

    def fetch(self, scalar: Tensor) -> float:
        assert scalar.device.type == "cuda"
        self.asked.append("fetch")
        return 1.0


class NothingLeaves(TorchDispatchMode):
    """Detects a tensor that is copied from the device to the host, and a value that is read."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        assert func is not torch.ops.aten._local_scalar_dense.default, "a value was read"
        result = func(*args, **kwargs or {})
        if func is torch.ops.aten._to_copy.default and args[0].device.type == "cuda":
            assert result.device.type == "cuda", "a tensor left the device"
        return result


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


@contextmanager
def pipeline(row: str, **config: int) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield the stock pipeline around the row's transformer at full width on fake CUDA, and the arguments of
    one call.
    """
    spec = MODELS[row]
    kind, streams = METHOD[row]
    scheduler = FlowMatchEulerDiscreteScheduler(use_dynamic_shifting=True)
    with FakeTensorMode(allow_non_fake_inputs=True):
        with torch.device("cuda"), default_dtype(torch.bfloat16):
            transformer = getattr(diffusers, spec.transformer)(**spec.config | config).eval()
        parts: dict[str, Any] = dict.fromkeys(
            ("vae", "text_encoder", "tokenizer", "text_encoder_2", "tokenizer_2")
        )
        # this pipeline undoes the autoencoder's normalisation even for latents
        if row == "flux2-klein-base-4b":
            with torch.device("cuda"):
                parts["vae"] = diffusers.AutoencoderKLFlux2(
                    block_out_channels=(8, 8, 8, 8), norm_num_groups=4
                )
        wanted = getattr(diffusers, kind).__init__.__annotations__
        pipe = getattr(diffusers, kind)(
            scheduler=scheduler,
            transformer=transformer,
            **{name: part for name, part in parts.items() if name in wanted},
        )
        pipe.set_progress_bar_config(disable=True)

        def text(*shape: int) -> Tensor:
            return torch.empty(1, *shape, device="cuda", dtype=torch.bfloat16)

        width = spec.config["joint_attention_dim"]
        given: dict[str, Any] = {"prompt_embeds": text(24 if row == "qwen-image" else 512, width)}
        if row == "flux-dev":
            given["pooled_prompt_embeds"] = text(768)
        if len(streams) == 2:
            given |= {f"negative_{name}": value for name, value in given.items()}
        with NothingLeaves():
            yield pipe, given


def draw(
    pipe: Any, given: dict[str, Any], method: Method, streams: tuple[str, ...]
) -> tuple[Any, StandInClock, list[Tensor]]:
    """Make a run at 1024 x 1024. Return its session's calls, the requests to the clock, and the tensors that
    the engine holds.
    """
    clock = StandInClock()
    with attached(pipe, method, clock=clock, streams=streams) as session:
        result = pipe(
            height=1024,
            width=1024,
            num_inference_steps=STEPS,
            output_type="latent",
            generator=torch.Generator("cpu"),
            **given,
        ).images
        assert isinstance(result, FakeTensor)
        assert result.device.type == "cuda"
        held = [
            tensor
            for stream in session.memory.values()
            for history in stream.places.values()
            for tensor in history.tensors
        ]
        held += [
            stream.reference.signal for stream in session.memory.values() if stream.reference is not None
        ]
        return list(session.calls), clock, held


def expected(row: str, settings: dict[str, Any]) -> int:
    """Return the cache's bytes as computed before the run, for 2 + 2 blocks."""
    spec = MODELS[row]
    request = spec.resolve(RunRequest(model=row, prompt="-", steps=STEPS))
    return cache_bytes(request, METHODS["dbcache"](**STATIC | settings).plan(spec.facts(request)), computed=2)


@pytest.mark.parametrize("row", METHOD)
def test_two_and_two_blocks_at_full_width_and_size(row: str) -> None:
    streams = METHOD[row][1]
    with pipeline(row, **{section.length: 2 for section in MODELS[row].sections}) as (pipe, given):
        calls, _, held = draw(pipe, given, METHODS["baseline"](), streams)
        assert "".join(call.decision.mode for call in calls) == "C" * STEPS * len(streams)
        assert not held
        for settings in (
            dict(taylorseer_order=0),
            dict(taylorseer_order=1),
            dict(max_continuous_cached_steps=1),
        ):
            calls, clock, held = draw(pipe, given, METHODS["dbcache"](**STATIC | settings), streams)
            modes = "".join(call.decision.mode for call in calls if call.stream == "cond")
            assert modes == ("CcCc" if "max_continuous_cached_steps" in settings else "Cccc")
            assert held
            assert {(type(tensor), tensor.device.type, tensor.dtype) for tensor in held} == {
                (FakeTensor, "cuda", torch.bfloat16)
            }
            # this model's text is shorter than the length to which the request pads it
            if row != "qwen-image":
                assert sum(tensor.numel() * tensor.element_size() for tensor in held) <= expected(
                    row, settings
                )
            assert clock.asked.count("synchronise") == 2
            assert clock.asked.count("fetch") == STEPS
            assert clock.asked[-STEPS:] == ["fetch"] * STEPS
    del pipe


@pytest.mark.parametrize("row", METHOD)
def test_a_dynamic_decision_reads_one_value(row: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A decision reads no value but the change: with a number in its place, the run needs no device."""
    asked = []

    def change(self: SignalReference, signal: Tensor) -> float:
        assert signal.device.type == "cuda"
        assert signal.dtype == torch.bfloat16
        asked.append(signal.shape)
        return 0.2 if len(asked) == 2 else 0.05

    monkeypatch.setattr(SignalReference, "change", change)
    streams = METHOD[row][1][:1]
    with pipeline(row, **{section.length: 2 for section in MODELS[row].sections}) as (pipe, given):
        given = {name: value for name, value in given.items() if not name.startswith("negative_")}
        given |= {"guidance_scale": 1.0} if row == "flux2-klein-base-4b" else {}
        calls, _, _ = draw(
            pipe, given, METHODS["dbcache"](max_warmup_steps=1, residual_diff_threshold=0.12), streams
        )
    assert "".join(call.decision.mode for call in calls) == "CcCc"
    assert len(asked) == STEPS - 1
    assert {tuple(shape) for shape in asked} == {(1, 4096, 3072)}


def test_a_measured_change_raises_where_values_cannot_be_read() -> None:
    """This shows that the other tests would detect a read: with the real measurement, a dynamic decision
    fails on the fake device.
    """
    with pipeline("flux-dev", num_layers=2, num_single_layers=2) as (pipe, given):
        method = METHODS["dbcache"](max_warmup_steps=1, residual_diff_threshold=0.12)
        with pytest.raises(AssertionError, match="a value was read"):
            draw(pipe, given, method, ("cond",))


def test_flux_dev_once_at_full_depth() -> None:
    with pipeline("flux-dev") as (pipe, given):
        calls, _, held = draw(
            pipe, given, METHODS["dbcache"](Fn_compute_blocks=8, **STATIC, taylorseer_order=1), ("cond",)
        )
    assert [call.blocks_run for call in calls] == [57, 8, 8, 8]
    assert {(tensor.device.type, tensor.dtype) for tensor in held} == {("cuda", torch.bfloat16)}
    assert {tuple(tensor.shape) for tensor in held} == {(1, 4096, 3072), (1, 512, 3072)}


@pytest.mark.parametrize("name", [name for name, description in TRANSFORMERS.items() if description.video])
def test_videos_through_attached(name: str) -> None:
    """Full width, two blocks, 832 x 480."""
    clock = StandInClock()
    with FakeTensorMode(allow_non_fake_inputs=True), torch.inference_mode():
        with torch.device("cuda"):
            model: Any = getattr(diffusers, name)(num_layers=2).eval()
        request = RunRequest(model="-", prompt="-", width=832, height=480, max_sequence_length=512)
        given = tensors(TRANSFORMERS[name].call(dict(model.config), request), "cuda", torch.empty)
        with (
            NothingLeaves(),
            attached(
                model, METHODS["dbcache"](**STATIC), steps=STEPS, streams=("cond",), clock=clock
            ) as session,
        ):
            session.begin()
            shapes = {model(**given, return_dict=False)[0].shape for _ in range(STEPS)}
            held = [
                tensor for history in session.memory["cond"].places.values() for tensor in history.tensors
            ]
            assert [call.decision.mode for call in session.calls] == ["C", "c", "c", "c"]
    assert shapes == {given["hidden_states"].shape}
    assert {tensor.device.type for tensor in held} == {"cuda"}


def test_the_loop_is_clocked_between_two_synchronisations() -> None:
    """The device finishes all earlier work before the first call begins, and all work after the last step."""
    with pipeline("flux-dev", num_layers=1, num_single_layers=1) as (pipe, given):
        _, clock, _ = draw(pipe, given, METHODS["baseline"](), ("cond",))
    assert clock.asked == ["synchronise", *["event", "event"] * STEPS, "synchronise", *["fetch"] * STEPS]
    assert clock.loop_begins is not None
    assert clock.loop_ends is not None
