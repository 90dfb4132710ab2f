"""LoRA files as trainers and interfaces name their layers: read, or refused with the reason."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable
from pathlib import Path

import diffusers
import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from cache_engine import METHODS, EngineError, run
from cache_engine.files import Lora
from cache_engine.loading import load_model
from cache_engine.models.lora_layouts import renamed
from tests.engine.test_loras import APPLE, RANK, write

Weights = dict[str, Tensor]
BASELINE = METHODS["baseline"]()


def picture(file: Path | None) -> np.ndarray:
    request = APPLE.replaced(loras=(Lora(file=str(file)),) if file else ())
    return np.asarray(run(request, BASELINE).image).astype(int)


@pytest.fixture(scope="module")
def native(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """As diffusers writes it."""
    return write(tmp_path_factory.mktemp("native"), 1)


@pytest.fixture(scope="module")
def drawn(native: Path) -> np.ndarray:
    return picture(native)


def layer(key: str) -> str:
    return key.removeprefix("transformer.").partition(".lora_")[0]


def kohya(weights: Weights, alpha: float = RANK) -> Weights:
    found: Weights = {}
    for key, value in weights.items():
        name = f"lora_transformer_{layer(key).replace('.', '_')}"
        up = ".lora_B." in key
        found[f"{name}.lora_{'up' if up else 'down'}.weight"] = value if up else value * RANK / alpha
        found[f"{name}.alpha"] = torch.tensor(alpha)
    return found


LAYOUTS: dict[str, Callable[[Weights], Weights]] = {
    "no prefix": lambda own: {key.removeprefix("transformer."): value for key, value in own.items()},
    "ComfyUI": lambda own: {
        key.replace("transformer.", "diffusion_model.", 1): value for key, value in own.items()
    },
    "peft": lambda own: {
        key.replace("transformer.", "base_model.model.", 1): value for key, value in own.items()
    },
    "kohya": kohya,
    "kohya with alpha": lambda own: kohya(own, alpha=1.0),
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_draws_what_diffusers_own_draws(
    layout: str, native: Path, drawn: np.ndarray, tmp_path: Path
) -> None:
    file = tmp_path / "x.safetensors"
    save_file(LAYOUTS[layout](load_file(native)), file)
    assert np.abs(picture(file) - drawn).max() <= 1
    assert np.abs(picture(None) - drawn).max() > 1


def test_a_short_suffix_is_the_same_format(native: Path, drawn: np.ndarray, tmp_path: Path) -> None:
    shutil.copy(native, tmp_path / "x.sft")
    assert (picture(tmp_path / "x.sft") == drawn).all()


# ---- FLUX.1's publisher's names: query, key and value in one layer ----
def published(transformer: nn.Module) -> tuple[Weights, Weights]:
    """Random LoRAs under the publisher's names, and the same under the names of diffusers."""
    torch.manual_seed(0)
    theirs: Weights = {}
    ours: Weights = {}

    def add(name: str, *parts: str) -> None:
        layers = [transformer.get_submodule(part) for part in parts]
        widths = [part.out_features for part in layers]
        down, up = torch.randn(RANK, layers[0].in_features), torch.randn(sum(widths), RANK)
        theirs.update({f"{name}.lora_A.weight": down, f"{name}.lora_B.weight": up})
        if "adaLN" in name:
            up = torch.cat(up.chunk(2)[::-1])
        for part, rows in zip(parts, up.split(widths), strict=True):
            ours.update(
                {f"transformer.{part}.lora_A.weight": down, f"transformer.{part}.lora_B.weight": rows}
            )

    block, single = "transformer_blocks.1", "single_transformer_blocks.0"
    add("double_blocks.1.img_attn.qkv", *(f"{block}.attn.to_{part}" for part in "qkv"))
    add("double_blocks.1.txt_attn.qkv", *(f"{block}.attn.add_{part}_proj" for part in "qkv"))
    add("double_blocks.1.txt_mlp.2", f"{block}.ff_context.net.2")
    add("double_blocks.1.img_mod.lin", f"{block}.norm1.linear")
    add("single_blocks.0.linear1", *(f"{single}.attn.to_{part}" for part in "qkv"), f"{single}.proj_mlp")
    add("single_blocks.0.linear2", f"{single}.proj_out")
    add("img_in", "x_embedder")
    add("final_layer.linear", "proj_out")
    add("final_layer.adaLN_modulation.1", "norm_out.linear")
    return theirs, ours


def underscored(weights: Weights) -> Weights:
    return {
        f"lora_unet_{layer(key).replace('.', '_')}.lora_{'up' if '.lora_B.' in key else 'down'}.weight": value
        for key, value in weights.items()
    }


@pytest.mark.parametrize(
    "layout",
    [
        dict,
        lambda own: {f"diffusion_model.{key}": value for key, value in own.items()},
        lambda own: {f"base_model.model.{key}": value for key, value in own.items()},
        underscored,
    ],
    ids=["publisher", "ComfyUI", "peft", "kohya"],
)
def test_fused_layers_are_split_among_those_of_diffusers(layout: Callable[[Weights], Weights]) -> None:
    pipe = load_model("tiny").pipe
    theirs, ours = published(pipe.transformer)
    found = renamed(layout(theirs), pipe)
    assert found is not None
    assert found.keys() == ours.keys()
    assert all(torch.equal(found[key], value) for key, value in ours.items())


def test_published_names_are_loaded_and_taken_off(tmp_path: Path) -> None:
    theirs, ours = published(load_model("tiny").pipe.transformer)
    for name, weights in (("theirs", theirs), ("ours", ours)):
        save_file({key: value.clone() for key, value in weights.items()}, tmp_path / f"{name}.safetensors")
    before = picture(None)
    one, two = (picture(tmp_path / f"{name}.safetensors") for name in ("theirs", "ours"))
    assert np.abs(one - two).max() <= 1
    assert np.abs(one - before).max() > 1
    assert (picture(None) == before).all()


def test_layers_of_the_text_encoder(tmp_path: Path) -> None:
    encoder = load_model("tiny").pipe.text_encoder
    name, linear = next((name, part) for name, part in encoder.named_modules() if isinstance(part, nn.Linear))
    torch.manual_seed(0)
    stem = f"lora_te1_{name.replace('.', '_')}"
    down, up = torch.randn(RANK, linear.in_features), torch.randn(linear.out_features, RANK)
    save_file({f"{stem}.lora_down.weight": down, f"{stem}.lora_up.weight": up}, tmp_path / "x.safetensors")
    assert np.abs(picture(tmp_path / "x.safetensors") - picture(None)).max() > 1


# ---- refused ----
def wider(own: Weights) -> Weights:
    embedder = load_model("tiny").pipe.transformer.x_embedder
    return own | {
        "transformer.x_embedder.lora_A.weight": torch.zeros(RANK, 2 * embedder.in_features),
        "transformer.x_embedder.lora_B.weight": torch.zeros(embedder.out_features, RANK),
    }


NOWHERE = {f"transformer.nowhere.lora_{part}.weight": torch.zeros(RANK, RANK) for part in "AB"}
REFUSED: dict[str, tuple[Callable[[Weights], Weights], str]] = {
    "DoRA": (
        lambda own: kohya(own) | {"lora_transformer_proj_out.dora_scale": torch.ones(4, 1)},
        r"is a DoRA with dora_scale, which diffusers leaves out; choose a plain LoRA\.",
    ),
    "LoHa": (lambda own: {"lora_unet_x.hada_w1_a": torch.ones(2, 2)}, "is a LoHa; choose a plain LoRA"),
    "LoKr": (lambda own: {"lora_unet_x.lokr_w1": torch.ones(2, 2)}, "is a LoKr in a layout"),
    "differences": (
        lambda own: own | {"diffusion_model.img_in.diff": torch.ones(2, 2)},
        r"is a file of whole differences \(\.diff\); choose a plain LoRA",
    ),
    "control": (
        wider,
        r"is a control LoRA, which widens the model's input from \d+ to \d+ channels; choose the",
    ),
    "a foreign layer": (
        lambda own: own | NOWHERE,
        r"was made for another model: 1 of its \d+ layers are not in tiny FLUX .*nowhere\.lora_A",
    ),
    "foreign names": (
        lambda own: {"diffusion_model.layers.0.to_q.lora_A.weight": torch.ones(2, 2)},
        r"its first names: diffusion_model\.layers\.0\.to_q\.lora_A\.weight; expected are such as",
    ),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_a_file_that_would_not_be_applied_is_named(kind: str, native: Path, tmp_path: Path) -> None:
    make, sentence = REFUSED[kind]
    before = picture(None)
    save_file(make(load_file(native)), tmp_path / "x.safetensors")
    with pytest.raises(EngineError, match=rf"^loras: x\.safetensors .*{sentence}") as caught:
        picture(tmp_path / "x.safetensors")
    assert "\n" not in str(caught.value)
    assert (picture(None) == before).all()


def test_what_diffusers_warns_of_is_a_sentence(native: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """diffusers goes on with a part of a file, and says so in a log that nobody reads."""
    log = logging.getLogger("diffusers.loaders.peft")
    load = type(load_model("tiny").pipe).load_lora_weights

    def warns(*args: object, **named: object) -> None:
        log.warning("Unsupported keys found: ['a.b'].\nThey will be ignored")
        load(*args, **named)

    monkeypatch.setattr(diffusers.FluxPipeline, "load_lora_weights", warns)
    with pytest.raises(
        EngineError, match=r"would be applied in part \(Unsupported keys found: \['a\.b'\]\.\\nThey"
    ):
        picture(native)
    assert log.getEffectiveLevel() == logging.ERROR
