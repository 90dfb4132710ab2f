"""Tests the code that the page exports by running it: each piece draws the accelerated picture of its
comparison.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from app.compare.code import code_of
from cache_engine import METHODS, Baselines, Comparison, RunRequest, run_comparison
from cache_engine.models.patch_autoencoder import PatchAutoencoder
from tests import forked

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "assets" / "tiny_flux"
REQUEST = RunRequest(prompt="a small red apple on a blue background", seed=11, steps=10)
BASELINES = Baselines()
FORECAST = METHODS["dbcache"](
    max_warmup_steps=2, max_continuous_cached_steps=2, residual_diff_threshold=0.3, taylorseer_order=1
)
FIRST_BLOCK = METHODS["dbcache"](max_warmup_steps=0, residual_diff_threshold=0.2, taylorseer_order=0)
LOADS = f"""
from diffusers import FluxPipeline
from cache_engine.models.patch_autoencoder import PatchAutoencoder
vae = PatchAutoencoder.from_pretrained({str(FOLDER / "vae")!r})
pipe = FluxPipeline.from_pretrained({str(FOLDER)!r}, vae=vae)
"""


def drawn(method: Any) -> Comparison:
    comparison = run_comparison(REQUEST, method, baselines=BASELINES)
    assert "c" in comparison.accelerated.schedule or comparison.accelerated.effective.steps != REQUEST.steps
    return comparison


def pipeline() -> Any:
    from diffusers import FluxPipeline

    return FluxPipeline.from_pretrained(
        str(FOLDER), vae=PatchAutoencoder.from_pretrained(str(FOLDER / "vae"))
    )


@pytest.mark.parametrize(
    "method",
    [
        FORECAST,
        METHODS["taylorseer"](interval=3),
        METHODS["teacache"](threshold=0.3),
        METHODS["fewer_steps"](fraction=0.5),
        METHODS["fewer_steps"](fraction=0.8, cache="F1B0_W2I1M0MC2_R0.4_T1O1"),
    ],
    ids=lambda method: f"{method.name} {method.to_dict().get('cache', '')}",
)
def test_on_a_pipeline_of_ones_own(method: Any) -> None:
    comparison = drawn(method)
    names: dict[str, Any] = {"pipe": pipeline()}
    exec(code_of(comparison, "Your pipeline"), names)
    assert names["image"].tobytes() == comparison.accelerated.image.tobytes()


def test_on_diffusers_alone() -> None:
    comparison = drawn(FIRST_BLOCK)
    names: dict[str, Any] = {"pipe": pipeline()}
    exec(code_of(comparison, "diffusers"), names)
    assert names["image"].tobytes() == comparison.accelerated.image.tobytes()


@pytest.mark.parametrize("method", [FORECAST, FIRST_BLOCK], ids=["forecast", "first block"])
def test_on_cache_dit(method: Any, tmp_path: Path) -> None:
    """It runs in its own process, because cache-dit patches classes. Forecasts differ in the last bits, so a
    pixel may differ by a level.
    """
    comparison, out = drawn(method), tmp_path / "image.png"
    script = f"{LOADS}\n{code_of(comparison, 'cache-dit')}\nimage.save({str(out)!r})\n"
    ran = forked.run(["-c", script])
    assert ran.returncode == 0, ran.stderr[-3000:]
    apart = np.abs(np.asarray(Image.open(out), int) - np.asarray(comparison.accelerated.image, int))
    cached = np.abs(
        np.asarray(comparison.baseline.image, int) - np.asarray(comparison.accelerated.image, int)
    )
    assert apart.max() <= 1 < cached.max()


def test_in_a_shell(tmp_path: Path) -> None:
    comparison = drawn(FORECAST)
    text = code_of(comparison, "Command line").replace("python -m", f"{shlex.quote(sys.executable)} -m", 1)
    text = text.replace("--out out", f"--no-survey --out {shlex.quote(str(tmp_path))}")
    ran = subprocess.run(
        ["sh", "-c", text], cwd=ROOT, capture_output=True, text=True, encoding="utf-8", errors="replace"
    )
    assert ran.returncode == 0, ran.stderr[-3000:]
    assert Image.open(tmp_path / "accelerated.png").tobytes() == comparison.accelerated.image.tobytes()
