"""Tests the coefficients that are fitted for TeaCache and MagCache, against their definition and diffusers'
own measurement.
"""

from __future__ import annotations

import ast
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers.hooks.mag_cache import MagCacheConfig

from cache_engine.__main__ import main
from cache_engine.calibration import _Watch, calibrate
from cache_engine.method import METHODS
from cache_engine.models.catalog import MODELS
from cache_engine.models.tiny_flux import FOLDER
from cache_engine.plans import FixedPlan, ModelFacts, Plan
from cache_engine.predictors import Reuse
from cache_engine.records import RunRequest
from cache_engine.schedules import Always
from cache_engine.sites.attach import attached
from cache_engine.strict import EngineError
from studies.quality.settings import prompts
from tests.engine.tiny_models import Calls, tiny
from tests.parity.loop import denoise, tiny_flux
from tests.tiny_pipeline import draw, tiny_pipeline

STEPS = 9


def test_ratios_are_those_that_diffusers_measures(capsys: pytest.CaptureFixture[str]) -> None:
    model = tiny_flux()
    with attached(model, FixedPlan(Plan(Always(), Reuse(), ())), steps=STEPS) as session:
        session.begin()
        plain = denoise(model, STEPS)
    calibration = calibrate(model, [lambda: denoise(model, STEPS)], steps=STEPS)
    assert np.array_equal(denoise(model, STEPS), plain)
    theirs = tiny_flux()
    theirs.enable_cache(MagCacheConfig(calibrate=True, num_inference_steps=STEPS))
    with theirs.cache_context("cond"):
        denoise(theirs, STEPS)
    printed = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("[1.0"))
    assert calibration.ratios == pytest.approx(ast.literal_eval(printed), rel=1e-5)


def test_the_polynomial_finds_a_quartic_again() -> None:
    watch, quartic = _Watch(), (300.0, -200.0, 50.0, -3.0, 0.25)
    watch.moves = [(at, float(np.polyval(quartic, at))) for at in np.linspace(0.02, 0.3, 12)]
    assert watch.fit().polynomial == pytest.approx(quartic, rel=1e-6)


def test_runs_and_streams_of_a_pipeline_are_taken_together() -> None:
    pipe = tiny_pipeline()
    calibration = calibrate(
        pipe, [lambda: draw(pipe, steps=STEPS, guided=True), lambda: draw(pipe, steps=STEPS)]
    )
    assert calibration.polynomial is not None
    assert calibration.ratios is not None
    assert (len(calibration.polynomial), len(calibration.ratios)) == (5, STEPS)
    facts = ModelFacts(6, STEPS, polynomial=calibration.polynomial, ratios=calibration.ratios)
    for name in ("teacache", "magcache"):
        assert METHODS[name]().plan(facts)


def test_a_model_without_teacaches_signal_is_calibrated_for_the_other_methods() -> None:
    model, calls = tiny("QwenImageTransformer2DModel"), Calls("QwenImageTransformer2DModel")

    @torch.no_grad()
    def one() -> None:
        for step in range(STEPS):
            model(**calls.at(step))

    calibration = calibrate(model, [one, one], steps=STEPS)
    assert calibration.polynomial is None
    assert calibration.ratios is not None
    assert calibration.alike is not None
    assert len(calibration.ratios) == len(calibration.alike) == STEPS
    assert all(ratio > 0 for ratio in calibration.ratios)


def test_the_command_says_which_prompts_are_missing_and_takes_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out, prompts = tmp_path / "calibration.json", tmp_path / "prompts.txt"
    prompts.write_text("a small red apple on a blue background\n", encoding="utf-8")
    shutil.copytree(FOLDER, tmp_path / "folder")  # a copied folder has no example prompts
    assert main(["calibrate", "--model", str(tmp_path / "folder"), "--steps", "6", "--out", str(out)]) == 2
    error = capsys.readouterr().err.strip()
    assert error.endswith("has no example prompts; give --prompts FILE, one prompt per line.")
    assert (
        main(["calibrate", "--steps", "6", "--prompts", str(prompts), "--runs", "2", "--out", str(out)]) == 0
    )
    assert len(json.loads(out.read_text(encoding="utf-8"))["ratios"]) == 6


def test_too_few_steps_are_refused() -> None:
    model = tiny_flux()
    with pytest.raises(EngineError, match="4 measured steps are too few"):
        calibrate(model, [lambda: denoise(model, 5)], steps=5)


def test_a_calibration_belongs_to_the_weights_that_it_was_made_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from cache_engine.models import tiny_flux as module

    monkeypatch.setattr(module, "FOLDER", tmp_path)
    monkeypatch.setattr(module, "_revision", lambda: "of these weights")
    assert module._coefficients().ratios is None
    file = tmp_path / "calibration.json"
    file.write_text(
        '{"revision": "of these weights", "polynomial": [1, 0], "ratios": [1.0, 0.9]}', encoding="utf-8"
    )
    assert module._coefficients() == ((1, 0), (1.0, 0.9), None)
    file.write_text(
        '{"revision": "of these weights", "polynomial": [], "ratios": [], "alike": [[1, 0.9], [0.9, 1]]}',
        encoding="utf-8",
    )
    assert module._coefficients().alike == ((1, 0.9), (0.9, 1))
    file.write_text('{"revision": "of others", "polynomial": [1, 0], "ratios": [1.0, 0.9]}', encoding="utf-8")
    assert module._coefficients() == (None, None, None)


def test_the_embedded_model_is_calibrated_on_prompts_that_no_score_uses() -> None:
    """teacache and magcache run on the embedded model; the prompts of their calibration are not among the
    scored ones.
    """
    row = MODELS["tiny"]
    facts = row.facts(row.resolve(RunRequest(model="tiny", prompt="-", steps=28)))
    assert facts.polynomial is not None
    assert facts.ratios is not None
    assert len(facts.ratios) == 28
    for name in ("teacache", "magcache", "kriging"):
        assert METHODS[name]().plan(facts)
    assert not {*row.examples} & {*prompts()}
