"""Tests the contract with a ZeroGPU Space, using a fake `spaces` that forks and pickles; without `spaces`,
nothing may change.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import gradio as gr
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from app.engine import zerogpu
from app.engine.worker import Worker
from cache_engine import (
    METHODS,
    MODELS,
    Baselines,
    Comparison,
    EngineError,
    RunRequest,
    RunResult,
    resolve,
    run,
    run_comparison,
    save_baseline,
)
from cache_engine.model import ModelSpec
from cache_engine.models.hub import Weights
from tests import forked
from tests.app.hub import served
from tests.app.made import pair

ROOT = Path(__file__).resolve().parents[2]
SETTING = METHODS["dbcache"]()
KLEIN = RunRequest(model="flux2-klein-base-4b", prompt="-", steps=28)


@pytest.fixture(scope="module")
def told() -> dict[str, Any]:
    """Return the results that the script printed on a fake Space."""
    space = {"SPACES_ZERO_GPU": "1", "MODEL": "tiny"}
    ran = forked.run(["-m", "tests.app.zerogpu_script"], environment=space)
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


if sys.platform != "win32":  # a Space runs Linux; other systems cannot fork

    def test_a_comparison_runs_and_streams_every_step(told: dict[str, Any]) -> None:
        assert told["steps"] == 2 * 2 * 6  # both sides, with two streams
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


def test_a_fresh_space_downloads_its_model_and_opens_with_it(tmp_path: Path) -> None:
    """The hub is asked over HTTP, with an empty cache: first for the index, and for the listed files when the
    model is loaded.
    """
    shutil.copytree(
        ROOT / "assets" / "tiny_flux", tmp_path / "repository", ignore=shutil.ignore_patterns("vae")
    )
    index = tmp_path / "repository" / "model_index.json"
    parts = json.loads(index.read_text(encoding="utf-8"))
    index.write_text(
        json.dumps(parts | {"vae": ["diffusers", "AutoencoderKL"]}), encoding="utf-8"
    )  # the script brings its own
    around = {
        name: value
        for name, value in os.environ.items()
        if name not in ("MODEL", "HF_HUB_OFFLINE", "BASELINES_DIR")
    }
    with served("someone/tiny", tmp_path / "repository") as address:
        ran = subprocess.run(
            [sys.executable, "-m", "tests.app.fresh_script"],
            cwd=ROOT,
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=280,
            env=around
            | {
                "SPACES_ZERO_GPU": "1",
                "HF_ENDPOINT": address,
                "HF_HOME": str(tmp_path / "home"),
                "HF_HUB_DISABLE_XET": "1",
            },
        )
    assert ran.returncode == 0, ran.stderr
    told = json.loads(ran.stdout.splitlines()[-1])
    assert told["before"].startswith("someone/tiny is not on this machine")
    assert told["not_there"].startswith(
        "model: FLUX.2 klein base 4B is not on this machine and the hub cannot be reached"
    )
    assert told["after"] is None
    assert told["engine"] == "someone/tiny"
    assert told["opens_with"] == zerogpu.MODEL


def test_what_is_too_large_for_the_disk_is_not_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "none" / "yet"))
    with pytest.raises(
        EngineError, match=r"^model: someone/huge needs 1000000000 GB on disk and .* GB free; make room"
    ):
        Weights("someone/huge", "SOMEONES_DIR", 10**18, "Apache-2.0").fetch()


@pytest.mark.parametrize(
    ("title", "message", "told"),
    [
        (
            "ZeroGPU quota exceeded",
            "You have exceeded your free ZeroGPU quota (37s requested vs. 12s left). Try again in 3:10:00. ",
            "ZeroGPU quota exceeded: You have exceeded your free ZeroGPU quota (37s requested vs. 12s left). "
            "Try again in 3:10:00.",
        ),
        (
            "ZeroGPU illegal duration",
            "The requested GPU duration (300s) is larger than the maximum allowed",
            "ZeroGPU illegal duration: The requested GPU duration (300s) is larger than the maximum allowed.",
        ),
        (
            "ZeroGPU queue timeout",
            'No GPU was available. <a style="x" href="https://hf.co">Sign up</a> for more.',
            "ZeroGPU queue timeout: No GPU was available. Sign up for more.",
        ),
        (
            "ZeroGPU queue timeout",
            "No GPU was available [Sign up](https://hf.co/join) for more.",
            "ZeroGPU queue timeout: No GPU was available Sign up (https://hf.co/join) for more.",
        ),
        (
            "ZeroGPU worker error",
            "GPU task aborted",
            "ZeroGPU worker error: GPU task aborted; choose fewer steps, or try again.",
        ),
    ],
)
def test_what_the_platform_refuses_reaches_the_visitor(
    title: str, message: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No fork started, so no file may be left behind either."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("app.engine.worker.preload", lambda: None)

    def run(*_: Any) -> Any:
        raise gr.Error(message, title=title, print_exception=False)
        yield

    worker = Worker(zerogpu.ForkedRunner(run), None)
    with pytest.raises(EngineError) as caught:
        list(worker.watch(worker.submit(RunRequest(prompt="-"), SETTING)))
    assert str(caught.value) == told
    assert list(tmp_path.iterdir()) == []


def test_without_a_space_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    monkeypatch.delenv("MODEL", raising=False)
    monkeypatch.setattr(zerogpu, "preload_model", lambda name: pytest.fail("loaded"))
    monkeypatch.setattr(zerogpu, "fetch_model", lambda name: pytest.fail("fetched"))
    zerogpu.prepare()
    assert zerogpu.comparison_runner() is run_comparison


@pytest.mark.parametrize("reached", [True, False])
def test_the_owners_model_is_fetched_and_without_a_hub_the_page_is_served(
    reached: bool, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fetched: list[str] = []

    def fetch(spec: ModelSpec) -> None:
        fetched.append(spec.name)
        if not reached:
            raise LocalEntryNotFoundError("no")

    row = MODELS["qwen-image"]
    monkeypatch.delenv("SPACES_ZERO_GPU", raising=False)
    monkeypatch.setenv("MODEL", row.name)
    monkeypatch.setitem(MODELS._filled(), row.name, type(row)(**{**vars(row), "fetch": partial(fetch, row)}))
    zerogpu.prepare()
    assert fetched == [row.name]
    assert ("the hub cannot be reached" in caplog.text) is not reached


def test_what_crosses_the_fork_pickles() -> None:
    for item in (KLEIN, SETTING, zerogpu.ForkError("a sentence.")):
        assert pickle.loads(pickle.dumps(item)) == item


def test_the_spaces_model_needs_no_licence_and_no_token() -> None:
    row = MODELS[zerogpu.MODEL]
    assert (row.licence, row.gated) == ("Apache-2.0", False)
    assert f"\npreload_from_hub: [{row.revision()}]\n" in (ROOT / "README.md").read_text(encoding="utf-8")


def test_a_click_with_its_baseline_there_declares_25_seconds_at_most() -> None:
    assert zerogpu.declared_seconds(KLEIN, SETTING, baseline=object()) <= 25
    assert zerogpu.declared_seconds(KLEIN, SETTING) > zerogpu.declared_seconds(
        KLEIN, SETTING, baseline=object()
    )
    assert zerogpu.declared_seconds(KLEIN.replaced(steps=200), SETTING) == zerogpu.MOST_SECONDS
    assert (
        zerogpu.declared_seconds(RunRequest(model=zerogpu.MODEL, prompt="-"), SETTING, baseline=object())
        <= 25
    )  # the name of its row


def test_baselines_that_came_with_the_code_or_outlived_a_restart(tmp_path: Path) -> None:
    """Baselines are stored in a folder, read again bit for bit, and used if the engine is the same: then
    fewer seconds are declared.
    """
    request = RunRequest(prompt="a small red apple on a blue background", seed=7, steps=2, true_cfg_scale=1)
    handed: list[RunResult | None] = []

    def run(request: RunRequest, method: Any, baseline: RunResult | None, marker: str) -> Any:
        handed.append(baseline)
        return zerogpu.compare_in_fork(request, method, baseline, marker)

    def click(runner: zerogpu.ForkedRunner, baselines: Baselines) -> Comparison:
        return runner(
            request,
            METHODS["dbcache"](max_warmup_steps=1),
            baselines=baselines,
            emit=lambda event: None,
            stop=Event(),
        )

    first, filled = zerogpu.ForkedRunner(run, folder=tmp_path), Baselines()
    before, made = first.cost_note(request, SETTING, filled), click(first, filled).baseline
    (folder,) = tmp_path.iterdir()
    (tmp_path / "damaged").mkdir()
    (tmp_path / "damaged" / "result.json").write_text("{", encoding="utf-8")
    (saved,) = zerogpu.saved_baselines("tiny", [tmp_path, tmp_path / "none"])
    assert saved._replace(image=made.image) == made
    assert saved.image.tobytes() == made.image.tobytes()
    second, restarted = zerogpu.ForkedRunner(run), Baselines()
    restarted.put(saved)
    assert click(second, restarted).baseline_reused
    assert handed == [None, saved]
    note = f"Uses up to {zerogpu.declared_seconds(request, SETTING, saved)} s of your daily GPU time."
    assert second.cost_note(request, SETTING, restarted) == note
    assert first.cost_note(request, SETTING, filled) == note
    assert before == f"Uses up to {zerogpu.declared_seconds(request, SETTING)} s of your daily GPU time."
    data = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    data["engine"]["device"] = "another"
    (folder / "result.json").write_text(json.dumps(data), encoding="utf-8")
    assert zerogpu.saved_baselines("tiny", [tmp_path]) == []


def test_the_page_and_the_price_know_the_same_baselines(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a knob moves, the page says that one side runs, and the declared time is for one side."""
    monkeypatch.setattr("app.engine.worker.preload", lambda: None)
    request, made = resolve(KLEIN), pair(SETTING)
    comparison = made._replace(baseline=made.baseline._replace(request=request))

    def run(*_: Any) -> Any:
        yield comparison

    worker = Worker(zerogpu.ForkedRunner(run), None)
    assert not worker.record_of(comparison).reusable
    both_sides = worker.cost_note(request, SETTING)
    list(worker.watch(worker.submit(request, SETTING)))
    assert worker.record_of(comparison).reusable
    one_side = f"Uses up to {zerogpu.declared_seconds(request, SETTING, comparison.baseline)} s"
    assert worker.cost_note(request, SETTING).startswith(one_side)
    assert not both_sides.startswith(one_side)


def test_no_more_baselines_are_kept_than_may_be(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The oldest baseline written here is removed; baselines put there by hand stay, and no more are read
    than are kept.
    """
    monkeypatch.setattr(zerogpu, "MOST_BASELINES", 2)
    baseline = run(RunRequest(prompt="a fox", steps=1, true_cfg_scale=1), METHODS["baseline"]())
    asked = [baseline.request.replaced(seed=seed) for seed in range(4)]
    baselines = [baseline._replace(request=request) for request in asked]
    save_baseline(baselines[3], tmp_path / "by hand")
    runner = zerogpu.ForkedRunner(lambda *_: pytest.fail("run"), folder=tmp_path)
    for place, this_baseline in enumerate(baselines[:3]):
        runner._save(this_baseline)  # pyright: ignore[reportPrivateUsage]
        for folder in tmp_path.glob(f"*-{'[0-9a-f]' * 8}"):
            if folder.stat().st_mtime > 1000:  # just made
                for path in (folder / "result.json", folder):
                    os.utime(path, (place, place))
    seeds = {
        json.loads(path.read_text(encoding="utf-8"))["request"]["seed"]
        for path in tmp_path.glob("*/result.json")
    }
    assert seeds == {1, 2, 3}
    assert [each_baseline.request.seed for each_baseline in zerogpu.saved_baselines("tiny", [tmp_path])] == [
        2,
        3,
    ]  # put there by hand, and the newest


@pytest.mark.parametrize("model", ["tiny", "flux2-klein-base-4b", "flux-dev", "flux-schnell"])
def test_the_durations_rest_on_counted_compute(model: str) -> None:
    from cache_engine.flops import costs

    request = resolve(RunRequest(model=model, prompt="-"))
    counted = costs(request, METHODS["baseline"]().plan(MODELS[model].facts(request)))("C", 0)
    assert counted <= zerogpu.TFLOPS_A_CALL[model] * 1.005
