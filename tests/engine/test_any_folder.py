"""A pipeline that is no row: saved to a folder as diffusers saves it, then compared from the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
import torch
from diffusers import AutoencoderKL, FluxPipeline, FluxTransformer2DModel

from cache_engine.__main__ import main
from cache_engine.models.patch_autoencoder import PatchAutoencoder
from cache_engine.models.tiny_flux import FOLDER

FOUR = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The embedded model's text encoders, with a transformer and an autoencoder of random weights."""
    path = tmp_path_factory.mktemp("pipeline")
    embedded = FluxPipeline.from_pretrained(str(FOLDER), vae=PatchAutoencoder.from_pretrained(str(FOLDER / "vae")))
    config = {name: value for name, value in embedded.transformer.config.items() if not name.startswith("_")}
    torch.manual_seed(0)
    transformer = FluxTransformer2DModel(**config | dict(in_channels=16, num_layers=2, num_single_layers=2))
    vae = AutoencoderKL(block_out_channels=(8,) * FOUR, norm_num_groups=4, latent_channels=4, shift_factor=0.0,
                        down_block_types=("DownEncoderBlock2D",) * FOUR, up_block_types=("UpDecoderBlock2D",) * FOUR)
    FluxPipeline(embedded.scheduler, vae, embedded.text_encoder, embedded.tokenizer, embedded.text_encoder_2,
                 embedded.tokenizer_2, transformer).save_pretrained(path)
    return path


def test_it_is_compared_like_a_row(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(["compare", "--model", str(folder), "--prompt", "a red fox", "--steps", "6", "--size", "64x64",
                 "--text-tokens", "16", "--set", "max_warmup_steps=2", "--set", "residual_diff_threshold=1",
                 "--out", str(tmp_path), "--json"])
    assert code == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["accelerated"]["schedule"] == "CCcccc"
    assert result["baseline"]["tflops"] > result["accelerated"]["tflops"] > 0
    assert result["engine"]["model"] == str(folder)


def test_a_damaged_weight_file_is_named(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    weights = next((copy / "transformer").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:100])
    code = main(["compare", "--model", str(copy), "--prompt", "a red fox", "--steps", "4", "--size", "64x64",
                 "--out", str(tmp_path / "out")])
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert code == 2
    assert told.startswith("model: ")
    assert told.endswith("download it again.")
