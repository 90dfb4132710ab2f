"""The embedded few-step rows: fused as Qwen-Image-Lightning is, equal to a run's LoRA, right on new pairs."""

from __future__ import annotations

import json
from pathlib import Path
from shutil import copy2, copytree

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from assets.train_tiny_flux.evaluate import held_out, judge, nearest, reduced
from cache_engine import METHODS, MODELS, EngineError, RunRequest, run
from cache_engine.__main__ import main
from cache_engine.files import Lora
from cache_engine.loading import load_model
from cache_engine.models import tiny_flux, tiny_lightning
from cache_engine.placement import Placement
from cache_engine.quality import pixels, psnr
from cache_engine.records import RunResult

STEPS = (8, 4)
CPU = Placement("cpu", "float32")
APPLE = "a small red apple on a blue background"
BASELINE = METHODS["baseline"]()


def file(steps: int) -> Path:
    return tiny_lightning.FOLDER / f"tiny-lightning-{steps}.safetensors"


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """The embedded model's own weights."""
    return {name: weight.clone() for name, weight in load_model("tiny").pipe.transformer.state_dict().items()}


@pytest.fixture(scope="module", params=STEPS)
def steps(request: pytest.FixtureRequest) -> int:
    """The tests of a row come together, so that each row is loaded once."""
    return request.param


@pytest.fixture(scope="module")
def by_hand() -> dict[int, RunResult]:
    """A picture of the embedded model with each LoRA as a user's, with nothing else changed but the steps."""
    requests = {
        steps: RunRequest(
            prompt=APPLE, seed=7, steps=steps, true_cfg_scale=1, loras=[Lora(file=str(file(steps)))]
        )
        for steps in STEPS
    }
    return {steps: run(request, BASELINE) for steps, request in requests.items()}


def test_a_row_is_the_embedded_model_with_its_lora_fused(
    steps: int, weights: dict[str, torch.Tensor], by_hand: dict[int, RunResult]
) -> None:
    name = f"tiny-lightning-{steps}"
    result = run(RunRequest(model=name, prompt=APPLE, seed=7), BASELINE)
    assert result.schedules == {"cond": "C" * steps}
    likeness = psnr(pixels(by_hand[steps].image), pixels(result.image))
    assert likeness is None or likeness > 45
    lora, fused = load_file(file(steps)), load_model(name).pipe.transformer.state_dict()
    assert fused.keys() == weights.keys()
    for key in (key for key in lora if key.endswith(".lora_up.weight")):
        change = lora[key].float() @ lora[key.replace("lora_up", "lora_down")].float()
        weight = key.removeprefix("transformer.").replace("lora_up.", "")
        torch.testing.assert_close(fused[weight], weights[weight] + change)
    assert file(steps).stat().st_size < 3_000_000


def test_new_prompts_are_drawn_right(steps: int) -> None:
    for spec, prompt in held_out(3, seed=5):
        picture = pixels(
            run(RunRequest(model=f"tiny-lightning-{steps}", prompt=prompt, seed=1), BASELINE).image
        )
        verdict = judge(spec, nearest(reduced(picture / np.float32(255))))
        assert verdict["thing"], prompt
        assert verdict["background"], prompt


def test_one_without_its_file_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(tiny_lightning, "FOLDER", tmp_path)
    (row, _) = (tiny_lightning.few_step_row(MODELS["tiny"], steps) for steps in STEPS)
    assert row.unavailable() == (
        "tiny-lightning-8.safetensors is missing from assets/tiny_lightning; restore it from the repository."
    )


def flipped(file: Path) -> None:
    """Flip one bit of the last weight."""
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def test_a_flipped_bit_of_a_lora_is_noticed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for file in tiny_lightning.FOLDER.glob("*"):
        copy2(file, tmp_path)
    monkeypatch.setattr(tiny_lightning, "FOLDER", tmp_path)
    row = tiny_lightning.few_step_row(MODELS["tiny"], 8)
    assert row.load(CPU)
    flipped(tmp_path / "tiny-lightning-8.safetensors")
    with pytest.raises(EngineError, match="the weights in assets/tiny_lightning are damaged"):
        row.load(CPU)
    (tmp_path / tiny_lightning.HASHES).unlink()
    with pytest.raises(EngineError, match=r"^hashes\.json: cannot be read"):
        row.load(CPU)


@pytest.mark.parametrize("part", ["transformer", "vae", "text_encoder", "text_encoder_2"])
def test_a_flipped_bit_of_the_embedded_model_is_noticed(
    part: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    copytree(tiny_flux.FOLDER, tmp_path, dirs_exist_ok=True)
    monkeypatch.setattr(tiny_flux, "FOLDER", tmp_path)
    (file,) = (tmp_path / part).glob("*.safetensors")
    flipped(file)
    tiny_flux._revision.cache_clear()
    try:
        with pytest.raises(EngineError, match="the weights in assets/tiny_flux are damaged"):
            MODELS["tiny"].load(CPU)
    finally:
        tiny_flux._revision.cache_clear()


def test_other_weights_are_another_model() -> None:
    revisions = {MODELS[name].revision() for name in ("tiny", "tiny-lightning-8", "tiny-lightning-4")}
    assert len(revisions) == 3


def test_methods_that_need_a_calibration_refuse_them() -> None:
    with pytest.raises(EngineError, match="kriging"):
        run(RunRequest(model="tiny-lightning-8", prompt=APPLE), METHODS["kriging"]())


def test_a_comparison_on_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = [
        "--model",
        "tiny-lightning-8",
        "--prompt",
        APPLE,
        "--out",
        str(tmp_path),
        "--no-survey",
        "--json",
    ]
    assert main(["compare", *arguments, "--set", "max_warmup_steps=4"]) == 0
    told = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert told["request"]["steps"] == 8
    assert (tmp_path / "accelerated.png").is_file()
