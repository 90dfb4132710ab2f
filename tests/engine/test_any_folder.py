"""Tests a pipeline that is not a row: it is saved to a folder by diffusers, then compared from the command
line.
"""

from __future__ import annotations

import json
import shutil
from functools import wraps
from pathlib import Path

import pytest
import torch
from diffusers import (
    AutoencoderKL,
    ChromaPipeline,
    ChromaTransformer2DModel,
    DPMSolverMultistepScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    PixArtAlphaPipeline,
    PixArtTransformer2DModel,
)

from cache_engine.__main__ import main
from cache_engine.models.patch_autoencoder import PatchAutoencoder
from cache_engine.models.tiny_flux import FOLDER

FOUR = 4


def embedded_and_vae() -> tuple[FluxPipeline, AutoencoderKL]:
    torch.manual_seed(0)
    return FluxPipeline.from_pretrained(
        str(FOLDER), vae=PatchAutoencoder.from_pretrained(str(FOLDER / "vae"))
    ), AutoencoderKL(
        block_out_channels=(8,) * FOUR,
        norm_num_groups=4,
        latent_channels=4,
        shift_factor=0.0,
        down_block_types=("DownEncoderBlock2D",) * FOUR,
        up_block_types=("UpDecoderBlock2D",) * FOUR,
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the embedded model's text encoders, and a transformer and an autoencoder with
    random weights. As in the hub's cache, its files are links to files that are named by a hash.
    """
    path = tmp_path_factory.mktemp("my models") / "flux (né 2024)"
    embedded, vae = embedded_and_vae()
    config = {name: value for name, value in embedded.transformer.config.items() if not name.startswith("_")}
    transformer = FluxTransformer2DModel(**config | dict(in_channels=16, num_layers=2, num_single_layers=2))
    FluxPipeline(
        embedded.scheduler,
        vae,
        embedded.text_encoder,
        embedded.tokenizer,
        embedded.text_encoder_2,
        embedded.tokenizer_2,
        transformer,
    ).save_pretrained(path)
    blobs = path.parent / "blobs"
    blobs.mkdir()
    for number, file in enumerate(file for file in sorted(path.rglob("*")) if file.is_file()):
        file.symlink_to(file.rename(blobs / f"{number:040x}"))
    return path


@pytest.fixture(scope="module")
def twice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a pipeline that is guided by guidance_scale, with a second call in every step that no argument
    announces.
    """
    path = tmp_path_factory.mktemp("chroma")
    embedded, vae = embedded_and_vae()
    transformer = ChromaTransformer2DModel(
        patch_size=1,
        in_channels=16,
        num_layers=2,
        num_single_layers=2,
        attention_head_dim=16,
        num_attention_heads=2,
        joint_attention_dim=embedded.text_encoder_2.config.d_model,
        axes_dims_rope=(4, 4, 8),
        approximator_num_channels=8,
        approximator_hidden_dim=32,
        approximator_layers=1,
    )
    ChromaPipeline(
        FlowMatchEulerDiscreteScheduler(), vae, embedded.text_encoder_2, embedded.tokenizer_2, transformer
    ).save_pretrained(path)
    return path


def small(model: Path) -> list[str]:
    return ["--model", str(model), "--steps", "4", "--size", "64x64", "--text-tokens", "16"]


def test_it_is_compared_like_a_row(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = main(
        [
            "compare",
            "--model",
            str(folder),
            "--prompt",
            "a red fox",
            "--steps",
            "6",
            "--size",
            "64x64",
            "--text-tokens",
            "16",
            "--set",
            "max_warmup_steps=2",
            "--set",
            "residual_diff_threshold=1",
            "--out",
            str(tmp_path),
            "--json",
        ]
    )
    assert code == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["accelerated"]["schedule"] == "CCcccc"
    assert result["baseline"]["tflops"] > result["accelerated"]["tflops"] > 0
    assert result["engine"]["model"] == str(folder)


def test_a_damaged_weight_file_is_named(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(folder, copy)
    weights = next((copy / "transformer").glob("*.safetensors"))
    weights.write_bytes(weights.read_bytes()[:100])
    code = main(
        [
            "compare",
            "--model",
            str(copy),
            "--prompt",
            "a red fox",
            "--steps",
            "4",
            "--size",
            "64x64",
            "--out",
            str(tmp_path / "out"),
        ]
    )
    told = capsys.readouterr().err.strip().splitlines()[-1]
    assert code == 2
    assert told.startswith("model: ")
    assert told.endswith("download it again.")


def test_a_model_that_is_called_twice_a_step_is_compared_and_says_why_it_leaves_no_survey(
    twice: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[str] = []
    real = ChromaPipeline.__call__

    @wraps(real)
    def counted(self: ChromaPipeline, *args: object, **kwargs: object) -> object:
        drawn.append("a run")
        return real(self, *args, **kwargs)

    monkeypatch.setattr(ChromaPipeline, "__call__", counted)
    assert main(["compare", *small(twice), "--prompt", "a red fox", "--out", str(tmp_path), "--json"]) == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert set(result["baseline"]["schedules"]) == {"cond", "uncond"}
    assert "called its transformer 8 times in 4 steps, not 4" in result["survey_note"]
    assert not (tmp_path / "survey.npz").exists()
    assert len(drawn) == 3  # one warm-up and the two sides
    assert main(["flops", *small(twice), "--method", "baseline", "--json"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert "may make a second call in every step" in told["note"]
    assert told["tflops"] * 2 == pytest.approx(result["baseline"]["tflops"], rel=0.01)


def test_a_model_that_is_called_twice_a_step_is_tuned_with_one_sentence(
    twice: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert (
        main(["tune", *small(twice), "--prompt", "a red fox", "--min-psnr", "30", "--out", str(tmp_path)])
        == 2
    )
    told = capsys.readouterr().err.strip().splitlines()
    assert "called its transformer 4 times in 2 steps, not 2" in told[-1]
    assert not any("Traceback" in line for line in told)


def test_compute_of_one_answer_a_step_has_no_doubt(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["flops", *small(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["note"] == ""


def test_a_survey_counts_both_answers_of_one_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    embedded, vae = embedded_and_vae()
    transformer = PixArtTransformer2DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=4,
        out_channels=8,
        num_layers=3,
        cross_attention_dim=32,
        sample_size=32,
        caption_channels=embedded.text_encoder_2.config.d_model,
        use_additional_conditions=False,
    )
    pipe = PixArtAlphaPipeline(
        embedded.tokenizer_2, embedded.text_encoder_2, vae, transformer, DPMSolverMultistepScheduler()
    )
    pipe.save_pretrained(tmp_path / "pixart")
    code = main(
        [
            "compare",
            "--model",
            str(tmp_path / "pixart"),
            "--steps",
            "6",
            "--size",
            "256x256",
            "--text-tokens",
            "16",
            "--prompt",
            "a red fox",
            "--set",
            "max_warmup_steps=1",
            "--set",
            "residual_diff_threshold=1",
            "--out",
            str(tmp_path / "out"),
            "--json",
        ]
    )
    assert code == 0
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["survey"]["schedule"] == result["accelerated"]["schedule"] == "Cccccc"
    assert result["survey"]["tflops"] == pytest.approx(result["accelerated"]["tflops"])
