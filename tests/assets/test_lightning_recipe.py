"""The recipe of the few-step LoRAs: every stage once, going on after a stop, and what a file holds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from assets.train_lightning import __main__ as recipe
from assets.train_lightning import paths
from assets.train_lightning.paths import noise_levels
from assets.train_lightning.student import Recipe, Student
from assets.train_tiny_flux.domain import DRAWN, TEXT_TOKENS

SHORT = Recipe(4, slopes=1, walks=1, slope_batch=2, walk_batch=1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a smoke run of every stage."""
    made = tmp_path_factory.mktemp("lightning")
    before = {path: path.stat().st_mtime_ns for path in recipe.OUT.rglob("*")}
    recipe.main(["all", "--smoke", "--folder", str(made)])
    assert {path: path.stat().st_mtime_ns for path in recipe.OUT.rglob("*")} == before
    return made


def test_every_stage_leaves_its_files(folder: Path) -> None:
    out = folder / "tiny_lightning"
    page = (out / "README.md").read_text(encoding="utf-8")
    assert "| `tiny-lightning-8` | 8 | 8 |" in page
    assert "{" not in page
    for steps in (8, 4):
        assert (out / f"contact-sheet-{steps}.png").stat().st_size > 0
        assert (out / f"tiny-lightning-{steps}.safetensors").stat().st_size < recipe.MOST_BYTES


def test_a_file_changes_each_weight_by_the_product_of_its_two_matrices(folder: Path) -> None:
    file = folder / "tiny_lightning" / "tiny-lightning-4.safetensors"
    teacher = recipe.pipeline()
    weights = {name: weight.clone() for name, weight in teacher.transformer.state_dict().items()}
    student = recipe.scores.Way("-", 4, 1.0, file).pipe().transformer.state_dict()
    assert student.keys() == weights.keys()  # plain layers again
    lora = load_file(file)
    names = {key.removesuffix(".lora_up.weight") for key in lora if key.endswith(".lora_up.weight")}
    linear = {name for name in weights if name.endswith(".weight") and weights[name].ndim == 2}
    assert {f"{name.removeprefix('transformer.')}.weight" for name in names} == linear
    for name in names:
        change = lora[f"{name}.lora_up.weight"].float() @ lora[f"{name}.lora_down.weight"].float()
        key = f"{name.removeprefix('transformer.')}.weight"
        torch.testing.assert_close(student[key], weights[key] + change)
        assert change.abs().max() > 0


def test_going_on_after_a_stop_gives_the_same_weights(folder: Path, tmp_path: Path) -> None:
    taught = paths.read(folder / "paths", range(2))

    def student() -> Student:
        return Student(recipe.pipeline(), tmp_path, SHORT)

    def train(some: Student, updates: int) -> Student:
        texts = paths.encode(some.pipe, taught.prompts)
        for _ in range(updates):
            some.update(texts, taught.states[:, ::2])
        return some

    whole, stopped, other = train(student(), 2), train(student(), 1), student()
    stopped.save()
    assert other.resume()
    assert train(other, 1).step == whole.step == 2
    for ours, theirs in zip((*whole.weights, *whole.mean), (*other.weights, *other.mean), strict=True):
        assert torch.equal(ours, theirs)


def test_the_levels_are_the_schedulers_and_the_paths_are_the_pipelines() -> None:
    pipe = recipe.pipeline()
    pipe.scheduler.set_timesteps(sigmas=[1, 0.75, 0.5, 0.25])
    assert noise_levels(pipe, 4) == pytest.approx(pipe.scheduler.sigmas.tolist())
    assert noise_levels(pipe, paths.STEPS)[:: paths.STEPS // 4] == pytest.approx(noise_levels(pipe, 4))
    prompt, noise = "a red apple on a blue background", torch.randn(1, 64, 96)
    states = paths.follow(pipe, paths.encode(pipe, [prompt]), noise, 2.0, steps=3, order=1)
    drawn = pipe(
        prompt,
        negative_prompt="",
        true_cfg_scale=2.0,
        num_inference_steps=3,
        width=DRAWN,
        height=DRAWN,
        max_sequence_length=TEXT_TOKENS,
        latents=noise,
        output_type="latent",
    ).images
    torch.testing.assert_close(states[:, -1], drawn, rtol=1e-4, atol=1e-4)
