"""A ZeroGPU Space's contract, with a fake `spaces` that forks and pickles; and that without one nothing changes."""

from __future__ import annotations

import json
import os
import pickle
import subprocess
import sys
from pathlib import Path
from threading import Event
from typing import Any

import pytest

from app import zerogpu
from cache_engine import METHODS, MODELS, Baselines, Comparison, RunRequest, RunResult, compared, resolve

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
    assert zerogpu.seconds(RunRequest(model=zerogpu.MODEL, prompt="-"), SETTING, baseline=object()) <= 25  # as its row is called


def test_baselines_that_came_with_the_code_or_outlived_a_restart(tmp_path: Path) -> None:
    """Kept in a folder, read again to the bit, and used if the engine is the same: then less is declared."""
    request = RunRequest(prompt="a small red apple on a blue background", seed=7, steps=2, true_cfg_scale=1)
    handed: list[RunResult | None] = []

    def run(request: RunRequest, method: Any, baseline: RunResult | None, marker: str) -> Any:
        handed.append(baseline)
        return zerogpu.forked(request, method, baseline, marker)

    def click(forked: zerogpu.Forked) -> Comparison:
        return forked(request, METHODS["dbcache"](max_warmup_steps=1), baselines=Baselines(), emit=lambda event: None, stop=Event())

    first = zerogpu.Forked(run, folder=tmp_path)
    before, made = first.told(request, SETTING), click(first).baseline
    (folder,) = tmp_path.iterdir()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "result.json").write_text("{", encoding="utf-8")
    (known,) = zerogpu.remembered("tiny", [tmp_path, tmp_path / "none"])
    assert known._replace(image=made.image) == made
    assert known.image.tobytes() == made.image.tobytes()
    second = zerogpu.Forked(run, [known])
    assert click(second).baseline_reused
    assert handed == [None, known]
    said = f"Uses up to {zerogpu.seconds(request, SETTING, known)} s of your daily GPU time."
    assert (second.told(request, SETTING), first.told(request, SETTING)) == (said, said)
    assert before == f"Uses up to {zerogpu.seconds(request, SETTING)} s of your daily GPU time."
    data = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    data["engine"]["device"] = "another"
    (folder / "result.json").write_text(json.dumps(data), encoding="utf-8")
    assert zerogpu.remembered("tiny", [tmp_path]) == []


@pytest.mark.parametrize("model", ["tiny", "flux2-klein-base-4b", "flux-dev", "flux-schnell"])
def test_the_durations_rest_on_counted_compute(model: str) -> None:
    from cache_engine.flops import costs

    request = resolve(RunRequest(model=model, prompt="-"))
    counted = costs(request, METHODS["baseline"]().plan(MODELS[model].facts(request)))("C", 0)
    assert counted <= zerogpu.TFLOPS_A_CALL[model] * 1.005
