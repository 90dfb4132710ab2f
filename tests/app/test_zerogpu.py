"""A ZeroGPU Space's contract, with a fake `spaces` that forks and pickles; and that without one nothing changes."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from app import zerogpu
from cache_engine import METHODS, MODELS, RunRequest, compared, resolve

ROOT = Path(__file__).resolve().parents[2]
SETTING = METHODS["dbcache"]()
KLEIN = RunRequest(model="flux2-klein-base-4b", prompt="-", steps=28)


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """What the script saw on a fake Space."""
    ran = subprocess.run([sys.executable, "-m", "tests.app.zerogpu_script"], cwd=ROOT, capture_output=True, text=True,
                         encoding="utf-8", timeout=280, env=os.environ | {"SPACES_ZERO_GPU": "1", "MODEL": "tiny"})
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


if sys.platform != "win32":  # a Space is Linux; there is no fork elsewhere
    def test_a_comparison_runs_and_streams_every_step(told: dict[str, Any]) -> None:
        assert told["steps"] == 2 * 2 * 6  # both sides, two streams
        assert told["schedule"] == "CCcccc"
        assert told["same_picture"]

    def test_the_baseline_crosses_into_the_next_fork(told: dict[str, Any]) -> None:
        assert told["reused"]
        assert told["declared"][1] <= told["declared"][0]

    def test_a_cancel_ends_the_fork_too(told: dict[str, Any]) -> None:
        assert told["cancelled"]
        assert told["fork_ended"]
        assert told["seconds_to_end"] < 20

    def test_errors_come_through_as_sentences(told: dict[str, Any]) -> None:
        assert told["early"].startswith("width x height: 2048")
        assert told["late"].startswith("Fn_compute_blocks + Bn_compute_blocks: 99 + 0 leaves nothing to skip")


def test_without_a_space_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    monkeypatch.setattr(zerogpu, "preload_model", lambda name: pytest.fail("loaded"))
    zerogpu.prepare()
    assert zerogpu.comparer() is compared


def test_what_crosses_the_fork_pickles() -> None:
    for item in (KLEIN, SETTING, zerogpu.Failed("a sentence.")):
        assert pickle.loads(pickle.dumps(item)) == item


def test_the_spaces_model_needs_no_licence_and_no_token() -> None:
    row = MODELS[zerogpu.MODEL]
    assert (row.licence, row.gated) == ("Apache-2.0", False)


def test_a_click_with_its_baseline_there_declares_25_seconds_at_most() -> None:
    assert zerogpu.seconds(KLEIN, SETTING, baseline=object()) <= 25
    assert zerogpu.seconds(KLEIN, SETTING) > zerogpu.seconds(KLEIN, SETTING, baseline=object())
    assert zerogpu.seconds(KLEIN.replaced(steps=200), SETTING) == zerogpu.MOST_SECONDS
    assert zerogpu.told(KLEIN, SETTING, kept=True) == f"Uses up to {zerogpu.seconds(KLEIN, SETTING, True)} s of your daily GPU time."


@pytest.mark.parametrize("model", ["tiny", "flux2-klein-base-4b", "flux-dev", "flux-schnell"])
def test_the_durations_rest_on_counted_compute(model: str) -> None:
    from cache_engine.flops import costs

    request = resolve(RunRequest(model=model, prompt="-"))
    counted = costs(request, METHODS["baseline"]().plan(MODELS[model].facts(request)))("C", 0)
    assert counted <= zerogpu.TFLOPS_A_CALL[model] * 1.005
