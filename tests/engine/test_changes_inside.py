"""What users wrap around a model or change inside the ``with``: followed, or refused in one sentence."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import pytest
import torch
from diffusers import (
    CogVideoXDDIMScheduler,
    CogView3PlusPipeline,
    FlowMatchEulerDiscreteScheduler,
    WanPipeline,
)
from peft import LoraConfig, get_peft_model
from torch import Tensor, nn

from cache_engine.method import METHODS, method_from
from cache_engine.session import Session
from cache_engine.sites.attach import attached
from cache_engine.strict import EngineError
from tests.engine.runs import CACHING, COMPUTING, Pipe, at_step, footprint, modes
from tests.engine.tiny_models import Calls, sample, tiny
from tests.tiny_pipeline import draw, noise, tiny_pipeline

NAME = "FluxTransformer2DModel"
CALLS = Calls(NAME)
METHOD = CACHING["reuse"]
LAYERS = (["to_out.0", "to_add_out", "net.2", "proj_out"], ["to_v", "net.0.proj", "proj_mlp"])


def lora(layers: list[str]) -> LoraConfig:
    torch.manual_seed(2)
    return LoraConfig(r=2, init_lora_weights=False, target_modules=layers)


def called(model: nn.Module, session: Session, steps: int = 4) -> list[Tensor]:
    """One run on a bare transformer."""
    with torch.no_grad():
        session.begin()
        return [sample(model(**CALLS.at(step), return_dict=False)) for step in range(steps)]


def compiled_forward(model: Any) -> Any:
    model.forward = torch.compile(model.forward, backend="eager")
    return model


def same(some: list[Tensor], others: list[Tensor]) -> bool:
    return all(map(torch.equal, some, others))


@pytest.mark.parametrize(
    ("wrapped", "sentence"),
    [
        (
            lambda model: torch.compile(model, backend="eager"),
            r"compile_repeated_blocks\(\) before attaching",
        ),
        (compiled_forward, "the transformer is compiled as a whole"),
        (nn.DataParallel, r"^DataParallel runs copies .* \(its \.module\)"),
        (lambda model: get_peft_model(nn.DataParallel(model), lora(["to_q"])), "^DataParallel"),
    ],
    ids=["compiled", "forward compiled", "parallel", "parallel in peft"],
)
def test_a_model_in_a_wrapper_is_refused(wrapped: Callable[[Any], Any], sentence: str) -> None:
    pipe = tiny_pipeline()
    pipe.transformer = wrapped(pipe.transformer)
    for target in (pipe, pipe.transformer):
        with pytest.raises(EngineError, match=sentence), attached(target, METHOD, steps=6):
            pytest.fail("attached")


def test_a_model_in_peft_s_wrapper_is_cached() -> None:
    wrapped = get_peft_model(tiny(NAME), lora(["to_q"]))
    plain: Any = tiny(NAME)
    plain.add_adapter(lora(["to_q"]))
    with attached(wrapped, METHOD, steps=4) as ours, attached(plain, METHOD, steps=4) as theirs:
        assert same(called(wrapped, ours), called(plain, theirs))
    assert modes(ours) == modes(theirs) == "CCcc"


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (lambda pipe: pipe.transformer.compile(backend="eager"), "the transformer is compiled as a whole"),
        (lambda pipe: compiled_forward(pipe.transformer), "the transformer is compiled as a whole"),
        (
            lambda pipe: setattr(pipe, "transformer", torch.compile(pipe.transformer, backend="eager")),
            "the transformer is compiled as a whole",
        ),
        (
            lambda pipe: pipe.transformer.compile_repeated_blocks(backend="eager"),
            r"compiled inside the `with`; call compile_repeated_blocks\(\) before",
        ),
        (
            lambda pipe: setattr(pipe, "transformer", tiny_pipeline().transformer),
            "does not call the transformer that the method was attached to",
        ),
    ],
    ids=["compiled", "forward compiled", "wrapped", "blocks compiled", "exchanged"],
)
def test_a_model_that_is_compiled_or_exchanged_inside_is_refused(
    change: Callable[[Pipe], None], sentence: str
) -> None:
    pipe = tiny_pipeline()
    with attached(pipe, METHOD):
        change(pipe)
        with pytest.raises(EngineError, match=sentence):
            draw(pipe)


def without_a_step_index() -> Pipe:
    """A pipeline whose scheduler does not know its step."""
    no_parts: dict[str, Any] = dict.fromkeys(("tokenizer", "text_encoder", "vae"))
    model: Any = tiny("CogView3PlusTransformer2DModel")
    pipe = CogView3PlusPipeline(transformer=model, scheduler=CogVideoXDDIMScheduler(), **no_parts)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def cogview(pipe: Pipe, callback: Any = None) -> Tensor:
    return pipe(
        prompt_embeds=noise(1, 1, 6, 32),
        height=64,
        width=64,
        num_inference_steps=6,
        guidance_scale=1.0,
        generator=torch.Generator().manual_seed(1),
        output_type="latent",
        callback_on_step_end=callback,
    ).images


def stop() -> None:
    raise KeyError("stop")


@pytest.mark.parametrize("made", [without_a_step_index, tiny_pipeline])
@pytest.mark.parametrize("raising", [False, True])
def test_an_interrupted_run_ends_and_the_next_begins(made: Callable[[], Pipe], raising: bool) -> None:
    pipe = made()
    run: Any = cogview if made is without_a_step_index else draw
    callback = at_step(2, stop if raising else lambda: setattr(pipe, "_interrupt", True))

    def interrupted() -> None:
        with pytest.raises(KeyError) if raising else nullcontext():
            run(pipe, **{"callback" if run is cogview else "callback_on_step_end": callback})

    bare = run(pipe)
    with attached(pipe, COMPUTING["baseline"]) as session:
        interrupted()
        assert modes(session) == "CCC"
        assert torch.equal(run(pipe), bare)
        assert modes(session) == "CCCCCC"
        interrupted()
    assert torch.equal(run(pipe), bare)


@pytest.mark.parametrize("interrupted", [False, True])
def test_a_scheduler_exchanged_inside_is_followed(interrupted: bool) -> None:
    """Also there and back again."""
    pipe, first = tiny_pipeline(), None
    with attached(pipe, METHOD) as session:
        expected = draw(pipe, steps=5)
    before = footprint(pipe)
    with attached(pipe, METHOD) as session:
        first = pipe.scheduler
        if interrupted:
            draw(pipe, callback_on_step_end=at_step(3, lambda: setattr(pipe, "_interrupt", True)))
        pipe.scheduler = second = type(first).from_config(first.config)
        assert torch.equal(draw(pipe, steps=5), expected)
        assert modes(session) == "CCccc"
        pipe.scheduler = first
        assert torch.equal(draw(pipe, steps=5), expected)
        pipe.scheduler = second
        assert torch.equal(draw(pipe, steps=5), expected)
    assert footprint(pipe) == before
    pipe.scheduler = first
    assert footprint(pipe) == before


def test_a_scheduler_of_another_attached_pipeline_is_refused() -> None:
    pipe, other = tiny_pipeline(), tiny_pipeline()
    with attached(pipe, METHOD), attached(other, METHOD):
        pipe.scheduler = other.scheduler
        with pytest.raises(EngineError, match="this FlowMatchEulerDiscreteScheduler already runs"):
            draw(pipe)


def with_two_transformers(**different: int) -> Pipe:
    """Wan 2.2: the first steps run on one transformer, the others on another one."""
    first: Any = tiny("WanTransformer3DModel")
    second: Any = tiny("WanTransformer3DModel")
    if different:
        second = type(second)(**dict(second.config) | different)
    with torch.no_grad():
        for parameter in second.parameters():
            parameter.mul_(1.05)
    no_parts: dict[str, Any] = dict.fromkeys(("tokenizer", "text_encoder", "vae"))
    pipe = WanPipeline(
        transformer=first,
        transformer_2=second,
        scheduler=FlowMatchEulerDiscreteScheduler(),
        boundary_ratio=0.6,
        **no_parts,
    )
    pipe.set_progress_bar_config(disable=True)
    return pipe


def wan(pipe: Pipe) -> Tensor:
    return pipe(
        prompt_embeds=noise(1, 1, 6, 32),
        negative_prompt_embeds=noise(4, 1, 6, 32),
        latents=noise(2, 1, 4, 1, 8, 8),
        num_inference_steps=8,
        guidance_scale=3.0,
        height=64,
        width=64,
        num_frames=1,
        output_type="latent",
    ).frames


def test_two_transformers_are_both_cached_each_with_its_own_memory() -> None:
    pipe = with_two_transformers()
    bare = wan(pipe)
    with attached(pipe, COMPUTING["threshold 0"]):
        assert torch.equal(wan(pipe), bare)
    with attached(pipe, METHOD) as session:
        found = wan(pipe)
        assert wan(pipe).equal(found)
        streams = ("cond", "uncond", "cond, transformer_2", "uncond, transformer_2")
        assert tuple(session.memory) == streams
    assert [modes(session, stream) for stream in streams] == ["CCc", "CCc", "Ccccc", "Ccccc"]
    assert (found - bare).abs().max() > 0
    assert torch.equal(wan(pipe), bare)


def test_two_transformers_with_different_blocks_are_refused() -> None:
    pipe = with_two_transformers(num_layers=2)
    with (
        pytest.raises(EngineError, match=r"^transformer and transformer_2 have different blocks"),
        attached(pipe, METHOD),
    ):
        pytest.fail("attached")


def test_a_pipeline_without_its_first_or_any_transformer() -> None:
    pipe = with_two_transformers()
    pipe.transformer = None
    with attached(pipe, METHOD) as session:
        assert session.blocks == 3
    pipe.transformer_2 = None
    with pytest.raises(EngineError, match=r"^this WanPipeline has no transformer"), attached(pipe, METHOD):
        pytest.fail("attached")


def test_a_method_that_changes_the_request_is_refused() -> None:
    """The pipeline's caller sets the steps. With all the steps it changes nothing."""
    pipe = tiny_pipeline()
    with (
        pytest.raises(EngineError, match=r"^FewerSteps runs fewer steps, but here the pipeline's caller"),
        attached(pipe, method_from({"name": "fewer_steps", "fraction": 0.5})),
    ):
        pytest.fail("attached")
    with attached(pipe, method_from({"name": "fewer_steps", "fraction": 1})) as session:
        draw(pipe)
    assert modes(session) == "CCCCCC"


IN_BLOCKS = [{"name": name} for name in ("fora", "taylorseer", "hicache", "toca", "duca")]


@pytest.mark.parametrize("layers", LAYERS, ids=["outputs", "inputs"])
@pytest.mark.parametrize("described", IN_BLOCKS, ids=lambda described: described["name"])
def test_a_lora_loaded_between_two_runs_is_in_the_second(
    described: dict[str, Any], layers: list[str]
) -> None:
    """As if it had been there from the start; and gone when it is unloaded."""
    method = method_from(described)
    model: Any = tiny(NAME)
    with attached(model, method, steps=5) as session:
        without = called(model, session, 5)
        model.add_adapter(lora(layers))
        with_lora = called(model, session, 5)
        model.unload_lora()
        assert same(called(model, session, 5), without)
    assert {"c", "p"} & set(modes(session))
    assert not same(with_lora, without)
    model.add_adapter(lora(layers))
    with attached(model, method, steps=5) as session:
        assert same(called(model, session, 5), with_lora)


def test_chipmunk_refuses_a_lora_loaded_between_two_runs_in_its_own_sentence() -> None:
    model: Any = tiny(NAME)
    with attached(model, METHODS["chipmunk"](), steps=4) as session:
        without = called(model, session)
        model.add_adapter(lora(LAYERS[0]))
        with pytest.raises(EngineError, match="use bfloat16 or float32 weights, with every LoRA fused"):
            called(model, session)
        model.unload_lora()
        assert same(called(model, session), without)


@pytest.mark.parametrize("name", ["chipmunk", "toca", "taylorseer"])
@pytest.mark.parametrize("how", ["layerwise casting", "autocast"])
def test_weights_in_another_dtype_than_the_data(name: str, how: str) -> None:
    """Chipmunk with all its columns is the model itself, up to rounding."""
    everything = {"keys": 1.0, "neurons": 1.0} if name == "chipmunk" else {}
    model: Any = tiny(NAME)
    if how == "layerwise casting":
        model.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=how == "autocast"):
        with attached(model, METHODS["baseline"](), steps=4) as session:
            bare = called(model, session)
        with attached(model, METHODS[name](**everything), steps=4) as session:
            found = called(model, session)
    assert {"c", "p"} & set(modes(session))
    assert all(tensor.isfinite().all() for tensor in found)
    if everything:
        most = 0.05 if how == "autocast" else 1e-4
        assert all((a - b).abs().max() < most * b.abs().max() for a, b in zip(found, bare, strict=True))
