"""Tests the training recipe: optimizers, resuming, the refusal to measure during a training, and every stage
once.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from assets.train_tiny_flux import card, evaluate
from assets.train_tiny_flux.basis import fit
from assets.train_tiny_flux.build import build
from assets.train_tiny_flux.export import load
from assets.train_tiny_flux.optimizers import adam, orthogonal
from assets.train_tiny_flux.train import RUNNING, Recipe, Trainer
from tests import forked

ROOT = Path(__file__).resolve().parents[2]
SHORT = Recipe(minutes=60, steps=2, workers=1, batch=2, warmup_steps=1, compile=False)


@pytest.fixture(scope="module")
def vae():
    return fit(count=200)


def test_orthogonal_makes_every_singular_value_about_one():
    matrices = torch.randn(3, 40, 90, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(orthogonal(matrices))
    assert values.min() > 0.6
    assert values.max() < 1.3


def test_adam_is_torchs():
    start = torch.randn(5, 4, generator=torch.Generator().manual_seed(1))
    theirs = torch.nn.Parameter(start.clone())
    optimizer = torch.optim.Adam([theirs], lr=0.01, betas=(0.9, 0.95))
    ours, momentum, square = start.clone(), torch.zeros_like(start), torch.zeros_like(start)
    for step in range(1, 6):
        theirs.grad = torch.cos(theirs.detach())
        slope = torch.cos(ours)
        optimizer.step()
        adam([ours], [slope], [momentum], [square], 0.01, step)
    torch.testing.assert_close(ours, theirs.detach())


def test_resuming_goes_on_with_step_samples_average_and_sitting(tmp_path, vae):
    first = Trainer(build(vae), tmp_path, SHORT)
    assert not first.resume()
    first.run()
    saved = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert (saved["step"], saved["samples"]) == (2, 4)
    assert 0 < saved["sitting"] < 60 * 60
    second = Trainer(build(vae, seed=1), tmp_path, SHORT)
    assert second.resume()
    for name in ("values", "average", "momentum", "square"):
        assert all(torch.equal(a, b) for a, b in zip(getattr(second.shared, name), saved[name], strict=True))
    second.run()
    again = torch.load(tmp_path / "checkpoint.pt", weights_only=True)
    assert (again["step"], again["samples"]) == (4, 8)
    assert again["sitting"] > saved["sitting"]
    assert not (tmp_path / RUNNING).exists()


def test_the_rate_warms_up_holds_and_ends_at_nothing(tmp_path, vae):
    trainer = Trainer(build(vae), tmp_path, Recipe(minutes=1, warmup_steps=10))
    assert trainer.rate(0.0, 0) == pytest.approx(0.1)
    assert trainer.rate(0.3, 500) == 1.0
    assert 0 < trainer.rate(0.9, 500) < 0.5
    assert trainer.rate(1.0, 500) == 0.0


def test_nothing_is_measured_beside_training(tmp_path):
    evaluate.refuse_beside_training(tmp_path)
    (tmp_path / RUNNING).touch()
    with pytest.raises(SystemExit, match="training is running"):
        evaluate.refuse_beside_training(tmp_path)
    os.utime(tmp_path / RUNNING, (0, 0))  # left by a trainer that was killed long ago
    evaluate.refuse_beside_training(tmp_path)


def test_the_smoke_run_passes_every_stage_and_leaves_the_real_weights_alone(tmp_path):
    real = ROOT / "assets" / "tiny_flux"
    before = {path: path.stat().st_mtime_ns for path in real.rglob("*")}
    done = forked.run(["-m", "assets.train_tiny_flux", "all", "--smoke", "--folder", str(tmp_path)])
    assert done.returncode == 0, done.stderr[-2000:]
    assert {path: path.stat().st_mtime_ns for path in real.rglob("*")} == before
    out = tmp_path / "tiny_flux"
    page = (out / "README.md").read_text(encoding="utf-8")
    assert all((out / name).stat().st_size > 0 for name in ("contact-sheet.png", "change.svg", "domain.json"))
    assert "{" not in page.replace("{count}", "")
    picture = load(out)(
        "a red apple", num_inference_steps=1, width=256, height=256, max_sequence_length=16
    ).images[0]
    assert picture.size == (256, 256)


def test_scores_are_kept_where_nothing_was_trained_before(tmp_path: Path) -> None:
    card.keep(tmp_path / "build" / "tiny", "scores", {"prompts": 1})
    assert (tmp_path / "build" / "tiny" / "scores.json").is_file()
