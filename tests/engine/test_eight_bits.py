"""Tests 8-bit weights through diffusers' own configuration: on the CPU, the embedded model loads, runs and
caches with them, also with a LoRA.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torchao.quantization import Int8Tensor

from cache_engine import METHODS, EngineError, RunRequest, attached
from cache_engine.files import Lora
from cache_engine.loading import LoadedModel
from cache_engine.loras import apply_loras
from cache_engine.method import Method
from cache_engine.models import single_file
from cache_engine.models.catalog import MODELS
from cache_engine.models.tiny_flux import FOLDER
from cache_engine.placement import Placement
from cache_engine.records import Engine
from tests.engine.test_loras import write

INT8 = Placement("cpu", "bfloat16", "resident", "int8")
ENGINE = Engine(model="tiny", revision="r", dtype="bfloat16", quantisation="int8", device="cpu", versions="v")
COMPUTING = (
    METHODS["baseline"](),
    METHODS["dbcache"](residual_diff_threshold=0),
    METHODS["taylorseer"](interval=1),
    METHODS["toca"](interval=1),
)


@pytest.fixture(scope="module")
def pipe() -> Any:
    return MODELS["tiny"].load(INT8)


def draw(pipe: Any, method: Method | None = None) -> tuple[Tensor, str]:
    """Return the latents, and the mode of each call."""

    def latents() -> Tensor:
        return pipe(
            prompt="a small red apple on a blue background",
            num_inference_steps=4,
            width=256,
            height=256,
            generator=torch.Generator().manual_seed(3),
            output_type="latent",
        ).images

    if method is None:
        return latents(), ""
    with attached(pipe, method) as session:
        drawn = latents()
    return drawn, "".join(call.mode for call in session.trace)


@pytest.fixture(scope="module")
def plain(pipe: Any) -> Tensor:
    return draw(pipe)[0]


def eight_bit(module: Any) -> float:
    """Return the share of a module's numbers that are in 8 bits."""
    counted = [(isinstance(weight, Int8Tensor), weight.numel()) for weight in module.parameters()]
    return sum(count for quantised, count in counted if quantised) / sum(count for _, count in counted)


def test_transformer_and_text_encoders_are_in_eight_bits(pipe: Any) -> None:
    assert [eight_bit(part) > 0.5 for part in (pipe.transformer, pipe.text_encoder_2, pipe.vae)] == [
        True,
        True,
        False,
    ]
    assert eight_bit(pipe.transformer) > 0.95


def test_other_weights_are_another_picture_but_near(plain: Tensor) -> None:
    whole = draw(MODELS["tiny"].load(INT8._replace(quantisation="none")))[0].float()
    error = (plain.float() - whole).norm() / whole.norm()
    assert 0 < error < 0.2


@pytest.mark.parametrize("method", COMPUTING, ids=lambda method: method.name)
def test_what_computes_every_step_is_bit_equal(pipe: Any, plain: Tensor, method: Method) -> None:
    drawn, modes = draw(pipe, method)
    assert torch.equal(drawn, plain)
    assert set(modes) == {"C"}


@pytest.mark.parametrize(
    "method",
    [
        METHODS["dbcache"](residual_diff_threshold=1, max_warmup_steps=1),
        METHODS["taylorseer"](interval=2),
        METHODS["toca"](interval=2, first=1),
    ],
    ids=lambda method: method.name,
)
def test_it_caches_and_is_restored(pipe: Any, plain: Tensor, method: Method) -> None:
    drawn, modes = draw(pipe, method)
    assert set(modes) != {"C"}
    assert not torch.equal(drawn, plain)
    assert torch.equal(draw(pipe)[0], plain)


def test_neurons_cannot_be_chosen_from_packed_weights(pipe: Any, plain: Tensor) -> None:
    with pytest.raises(
        EngineError,
        match="whose weights are not plain, so single neurons cannot run; use bfloat16 or float32",
    ):
        draw(pipe, METHODS["chipmunk"](interval=2))
    assert torch.equal(draw(pipe)[0], plain)


def test_a_lora_lies_over_them_and_is_gone_afterwards(pipe: Any, plain: Tensor, tmp_path: Path) -> None:
    request = RunRequest(prompt="-", loras=(Lora(file=str(write(tmp_path, 1)), weight=0.8),))
    with apply_loras(LoadedModel(MODELS["tiny"], pipe, ENGINE, {}), request):
        drawn = draw(pipe)[0]
        assert torch.equal(draw(pipe, COMPUTING[1])[0], drawn)
    assert not torch.equal(drawn, plain)
    assert torch.equal(draw(pipe)[0], plain)
    assert eight_bit(pipe.transformer) > 0.95


def test_a_single_file_has_the_same_weights(pipe: Any) -> None:
    made = single_file.transformer(
        FOLDER / "transformer" / "diffusion_pytorch_model.safetensors", MODELS["tiny"], INT8
    )
    assert eight_bit(made) == eight_bit(pipe.transformer)
    for (name, loaded), (other, wanted) in zip(
        made.named_parameters(), pipe.transformer.named_parameters(), strict=True
    ):
        assert name == other
        assert type(loaded) is type(wanted)
        assert torch.equal(
            *(
                weight.dequantize() if isinstance(weight, Int8Tensor) else weight
                for weight in (loaded, wanted)
            )
        ), name


def test_a_lora_lies_over_a_single_files_weights(pipe: Any, plain: Tensor, tmp_path: Path) -> None:
    made = single_file.transformer(
        FOLDER / "transformer" / "diffusion_pytorch_model.safetensors", MODELS["tiny"], INT8
    )
    other = type(pipe)(**pipe.components | {"transformer": made})
    other.set_progress_bar_config(disable=True)
    assert torch.equal(draw(other)[0], plain)
    request = RunRequest(prompt="-", loras=(Lora(file=str(write(tmp_path, 1)), weight=0.8),))
    with apply_loras(LoadedModel(MODELS["tiny"], other, ENGINE, {}), request):
        assert not torch.equal(draw(other)[0], plain)
    assert torch.equal(draw(other)[0], plain)
