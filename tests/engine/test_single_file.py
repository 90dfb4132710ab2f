"""Tests a single .safetensors file as a model: recognised by its header, loaded by diffusers, or refused in
one sentence.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import diffusers
import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor

from cache_engine import METHODS, EngineError, RunRequest, run
from cache_engine.__main__ import main
from cache_engine.loading import load_model
from cache_engine.models import single_file
from cache_engine.models.catalog import MODELS, spec_of
from cache_engine.placement import Placement
from tests.engine.tiny_models import CONFIGS, tiny

APPLE = RunRequest(prompt="a small red apple on a blue background", seed=7, steps=2, true_cfg_scale=1)
CPU = Placement("cpu", "float32")
Weights = dict[str, Tensor]


@pytest.fixture(scope="module")
def weights() -> Weights:
    """Return the weights of the embedded model's transformer."""
    return {name: value.clone() for name, value in load_model("tiny").pipe.transformer.state_dict().items()}


def test_it_draws_what_its_weights_draw(weights: Weights, tmp_path: Path) -> None:
    """The file also holds other parts than the transformer, as user interfaces write them."""
    path = tmp_path / "fine_tuned.safetensors"
    save_file(
        {single_file.PREFIX + name: value for name, value in weights.items()}
        | {"vae.decoder.x": torch.zeros(3)},
        path,
    )
    row = run(APPLE, METHODS["baseline"]())
    own = run(APPLE.replaced(model=str(path)), METHODS["baseline"]())
    assert own.image.tobytes() == row.image.tobytes()
    assert own.tflops == row.tflops
    assert own.engine.model == str(path)
    assert own.engine.revision.startswith(f"fine_tuned.safetensors ({path.stat().st_size} bytes")


@pytest.mark.parametrize("prefix", ["", "diffusion_model."])
def test_a_short_suffix_and_the_names_of_an_interface(prefix: str, weights: Weights, tmp_path: Path) -> None:
    path = tmp_path / "x.sft"
    save_file({prefix + name: value for name, value in weights.items()}, path)
    loaded = load_model(str(path)).pipe.transformer.state_dict()
    assert all(torch.equal(loaded[name], value) for name, value in weights.items())


def test_the_command_line_says_what_it_found(
    weights: Weights, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.safetensors"
    save_file(weights, path)
    assert main(["models", "--model", str(path), "--json"]) == 0
    data = json.loads(capsys.readouterr().out.splitlines()[-1])
    tiny_row = MODELS["tiny"]
    assert data["title"] == f"x ({tiny_row.title})"
    assert data["transformer"] == "FluxTransformer2DModel"
    assert sum(data["blocks"]) == tiny_row.blocks
    assert data["streams"] == ["cond", "uncond"]
    assert "dbcache" in data["methods"]
    assert "teacache" in data["unfit"]  # its polynomial was fitted on other weights


# ---- recognised at full size, from names and shapes alone ----
def shapes_of(row: str) -> single_file.Shapes:
    with torch.device("meta"):
        model = getattr(diffusers, MODELS[row].transformer)(**MODELS[row].config)
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def flux_as_published(guided: bool) -> single_file.Shapes:
    """Return Black Forest Labs' names, as far as the code reads them."""
    shapes: single_file.Shapes = {
        "img_in.weight": (3072, 64),
        "txt_in.weight": (3072, 4096),
        "vector_in.in_layer.weight": (3072, 768),
    }
    shapes |= {f"double_blocks.{block}.img_attn.qkv.weight": (9216, 3072) for block in range(19)}
    shapes |= {f"single_blocks.{block}.linear1.weight": (21504, 3072) for block in range(38)}
    return shapes | ({"guidance_in.in_layer.weight": (3072, 256)} if guided else {})


def klein_as_published() -> single_file.Shapes:
    shapes: single_file.Shapes = {
        "img_in.weight": (3072, 128),
        "txt_in.weight": (3072, 7680),
        "double_stream_modulation_img.lin.weight": (18432, 3072),
    }
    shapes |= {f"double_blocks.{block}.img_attn.qkv.weight": (9216, 3072) for block in range(5)}
    return shapes | {f"single_blocks.{block}.linear1.weight": (27648, 3072) for block in range(20)}


@pytest.mark.parametrize(
    ("shapes", "row"),
    [
        *(
            (lambda row=row: shapes_of(row), row)
            for row in ("flux-dev", "flux-schnell", "flux2-klein-base-4b", "qwen-image", "tiny")
        ),
        (lambda: flux_as_published(True), "flux-dev"),
        (lambda: flux_as_published(False), "flux-schnell"),
        (klein_as_published, "flux2-klein-base-4b"),
    ],
)
def test_each_row_is_recognised(shapes: Callable[[], single_file.Shapes], row: str) -> None:
    assert single_file.matching("x", shapes(), tuple(MODELS.values())).name == row


# ---- FLUX.2 in Black Forest Labs' own layout ----
OWN_NAMES = (
    (r"^x_embedder", "img_in"),
    (r"^context_embedder", "txt_in"),
    (r"^proj_out", "final_layer.linear"),
    (r"^norm_out\.linear", "final_layer.adaLN_modulation.1"),
    (r"_modulation(_img|_txt)?\.linear", r"_modulation\1.lin"),
    (r"^time_guidance_embed\.timestep_embedder\.linear_1", "time_in.in_layer"),
    (r"^time_guidance_embed\.timestep_embedder\.linear_2", "time_in.out_layer"),
    (r"^single_transformer_blocks", "single_blocks"),
    (r"^transformer_blocks", "double_blocks"),
    (r"attn\.to_qkv_mlp_proj", "linear1"),
    (r"(single_blocks\.\d+)\.attn\.to_out", r"\1.linear2"),
    (r"(single_blocks\.\d+)\.attn\.norm_([qk])\.weight", r"\1.norm.\2_norm.scale"),
    (r"attn\.norm_added_([qk])\.weight", r"txt_attn.norm.\1_norm.scale"),
    (r"attn\.norm_([qk])\.weight", r"img_attn.norm.\1_norm.scale"),
    (r"attn\.to_out\.0", "img_attn.proj"),
    (r"attn\.to_add_out", "txt_attn.proj"),
    (r"ff\.linear_in", "img_mlp.0"),
    (r"ff\.linear_out", "img_mlp.2"),
    (r"ff_context\.linear_in", "txt_mlp.0"),
    (r"ff_context\.linear_out", "txt_mlp.2"),
    (r"norm\.q_norm", "norm.query_norm"),
    (r"norm\.k_norm", "norm.key_norm"),
)


def as_published(weights: Weights) -> Weights:
    """Convert diffusers' names and tensors to Black Forest Labs' layout: q, k and v in one; shift before
    scale at the end.
    """
    collected: Weights = {}
    for name, value in weights.items():
        if re.search(r"(to_[kv]|add_[kv]_proj)\.weight", name):
            continue
        if name.endswith(("attn.to_q.weight", "attn.add_q_proj.weight")):
            side, own = ("img", "to_{}") if "to_q" in name else ("txt", "add_{}_proj")
            block = name.split(".")[1]
            parts = [weights[f"transformer_blocks.{block}.attn.{own.format(part)}.weight"] for part in "qkv"]
            collected[f"double_blocks.{block}.{side}_attn.qkv.weight"] = torch.cat(parts)
            continue
        if name.startswith("norm_out"):
            value = torch.cat(value.chunk(2)[::-1])
        for pattern, new in OWN_NAMES:
            name = re.sub(pattern, new, name)
        collected[name] = value.contiguous()
    return collected


def test_flux2_in_its_publishers_layout(tmp_path: Path) -> None:
    name = "Flux2Transformer2DModel"
    row = MODELS["flux2-klein-base-4b"]
    base = replace(row, config=row.config | CONFIGS[name])
    weights = {key: value.clone() for key, value in tiny(name).state_dict().items()}
    path = tmp_path / "klein.safetensors"
    save_file(as_published(weights), path)
    read = single_file.transformer(path, base, CPU).state_dict()
    assert read.keys() == weights.keys()
    assert all(torch.equal(read[key], value) for key, value in weights.items())


# ---- refused ----
def cut_short(folder: Path, weights: Weights) -> Path:
    save_file(weights, folder / "x.safetensors")
    (folder / "x.safetensors").write_bytes((folder / "x.safetensors").read_bytes()[:-1000])
    return folder / "x.safetensors"


def of_bytes(content: bytes, name: str = "x.safetensors") -> Callable[[Path, Weights], Path]:
    def make(folder: Path, weights: Weights) -> Path:
        (folder / name).write_bytes(content)
        return folder / name

    return make


def of_weights(change: Callable[[Weights], Weights]) -> Callable[[Path, Weights], Path]:
    def make(folder: Path, weights: Weights) -> Path:
        save_file(change(weights), folder / "x.safetensors")
        return folder / "x.safetensors"

    return make


REFUSED: dict[str, tuple[Callable[[Path, Weights], Path], str]] = {
    "pickled": (of_bytes(b"PK", "x.ckpt"), r"x\.ckpt is not a \.safetensors file, and other formats can"),
    "no header": (
        of_bytes(b"<html>404</html>"),
        "is not a .safetensors file, or its beginning is damaged; download it again",
    ),
    "empty": (of_bytes(b""), "or its beginning is damaged"),
    "cut short": (cut_short, r"is incomplete \(\d+ of \d+ bytes\); download it again"),
    "LoRA": (
        of_weights(lambda own: {"transformer.x.lora_A.weight": torch.zeros(2, 2)}),
        "is a LoRA, not a model; name its model, and a LoRA's file with --lora",
    ),
    "peft's LoRA": (
        of_weights(lambda own: {"base_model.model.x.lora_A.weight": torch.zeros(2, 2)}),
        "is a LoRA, not a model",
    ),
    "LoHa": (of_weights(lambda own: {"lora_unet_x.hada_w1_a": torch.zeros(2, 2)}), "is a LoHa, not a model"),
    "LoKr": (of_weights(lambda own: {"lora_unet_x.lokr_w1": torch.zeros(2, 2)}), "is a LoKr, not a model"),
    "differences": (
        of_weights(lambda own: {"diffusion_model.img_in.diff": torch.zeros(2, 2)}),
        r"holds differences from a model \(\.diff\), not a model; choose the whole model",
    ),
    "unknown weight": (
        of_weights(lambda own: own | {"extra.weight": torch.zeros(2)}),
        r"has weights that tiny FLUX \(embedded\) does not have \(such as extra\.weight\); choose",
    ),
    "other shape": (
        of_weights(lambda own: own | {"proj_out.bias": torch.zeros(3)}),
        r"has a proj_out\.bias of shape \(3,\), and tiny FLUX \(embedded\) has \(\d+,\); choose another file",
    ),
    **{
        part: (
            of_weights(lambda own, part=part: own | {f"transformer_blocks.0.ff.net.2{part}": torch.zeros(2)}),
            sentence,
        )
        for part, sentence in {
            ".input_scale": "scaled 8-bit weights, which diffusers cannot unpack; choose the file's bfloat16",
            ".weight_scale_inv": "scaled 8-bit weights",
            ".weight.absmax": "4-bit or 8-bit weights of bitsandbytes",
            ".weight.quant_state.bitsandbytes__nf4": "4-bit or 8-bit weights of bitsandbytes",
            ".qweight": "4-bit weights of nunchaku",
            ".wscales": "4-bit weights of nunchaku",
        }.items()
    },
    "int8": (
        of_weights(lambda own: {name: value.to(torch.int8) for name, value in own.items()}),
        r"holds weights of type I8 without scales \(such as .*\.weight\); choose the file's bfloat16 version",
    ),
    "deep header": (of_bytes((10**5).to_bytes(8, "little") + b"[" * 10**5), "or its beginning is damaged"),
    "autoencoder": (
        of_weights(lambda own: {"decoder.conv_in.weight": torch.zeros(2, 2)}),
        "has unknown weights",
    ),
    "scaled": (
        of_weights(lambda own: own | {"x_embedder.scale_weight": torch.zeros(1)}),
        "scaled 8-bit weights",
    ),
    "other size": (
        of_weights(
            lambda own: {
                name: setting for name, setting in own.items() if not name.startswith("transformer_blocks.1.")
            }
        ),
        r"is a FluxTransformer2DModel of \d+ \+ \d+ blocks, \d+ wide, unlike .*FLUX\.1-dev",
    ),
    "incomplete": (
        of_weights(
            lambda own: {name: setting for name, setting in own.items() if not name.startswith("proj_out")}
        ),
        r"lacks weights of tiny FLUX \(embedded\) \(",
    ),
}


@pytest.mark.parametrize("fault", REFUSED)
def test_a_wrong_file_is_one_sentence_and_the_next_run_works(
    fault: str, weights: Weights, tmp_path: Path
) -> None:
    make, sentence = REFUSED[fault]
    path = make(tmp_path, weights)
    with pytest.raises(EngineError, match=sentence) as caught:
        load_model(str(path))
    assert str(caught.value).startswith("model: ")
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
    assert spec_of("tiny") is MODELS["tiny"]
