"""Tests the page as programs see it: gradio_client, the command line, two users at once, and no heavy import
before it is needed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from gradio_client import Client
from gradio_client.exceptions import AppError
from PIL import Image

from tests import forked

ROOT = Path(__file__).resolve().parents[2]
APPLE = "a small red apple on a blue background"
METHOD = {"name": "dbcache", "Fn_compute_blocks": 1, "max_warmup_steps": 3, "residual_diff_threshold": 0.3}


def job(**request: Any) -> dict[str, Any]:
    return {"request": {"prompt": APPLE, "seed": 7} | request, "method": METHOD}


@pytest.fixture(scope="module")
def client(served: str) -> Client:
    return Client(served, verbose=False)


def test_compare_streams_and_ends_with_the_figures(client: Client) -> None:
    events = list(client.submit(job(), api_name="/compare"))
    assert events[0]["event"] == "job"
    assert len(events[0]["job"]) >= 16
    last = events[-1]
    assert last["event"] == "comparison"
    assert len(last["accelerated"]["schedule"]) == 28
    assert last["speedup"] == pytest.approx(
        last["baseline"]["seconds"]["denoise"] / last["accelerated"]["seconds"]["denoise"]
    )
    assert last["compute_ratio"] == pytest.approx(last["baseline"]["tflops"] / last["accelerated"]["tflops"])
    assert last["psnr_db"] > 5
    assert any(event["event"] == "progress" and event["stage"] == "denoise" for event in events)


@pytest.mark.parametrize(
    ("bad", "sentence"),
    [
        (job(steps=0), "steps: 0"),
        (job(seed=True), "seed: True"),
        (job(prompt=""), "prompt"),
        (job(prompt="x" * 2001), "prompt"),
        (job(model="../secret"), "model"),
        (job(colour="red"), "colour: unknown field"),
        (job(width=130), "width"),
        (
            {"request": {"prompt": APPLE}, "method": {"name": "dbcache", "Fn_compute_blocks": 12}},
            "Fn_compute_blocks",
        ),
        ({"request": {"prompt": APPLE}, "method": {"name": "magic"}}, "method"),
        (
            {"request": {"prompt": APPLE}, "method": {"name": "dbcache", "residual_diff_threshold": "NaN"}},
            "residual_diff_threshold",
        ),
        ({"request": {"prompt": APPLE}}, "method"),
        ("text", "job"),
    ],
)
def test_bad_input_is_one_sentence_and_the_next_request_works(
    client: Client, bad: Any, sentence: str
) -> None:
    with pytest.raises(AppError, match=r"[.;]") as error:
        client.predict(bad, api_name="/compare")
    assert sentence in str(error.value)
    assert "Traceback" not in str(error.value)
    assert (
        client.predict(job(steps=2) | {"method": METHOD | {"max_warmup_steps": 1}}, api_name="/compare")[
            "event"
        ]
        == "comparison"
    )


def test_cancel_stops_a_run(client: Client) -> None:
    running = client.submit(job(steps=200, seed=99), api_name="/compare")
    events = iter(running)
    key = next(events)["job"]
    assert not client.predict("someone else's", api_name="/cancel")
    assert client.predict(key, api_name="/cancel")
    assert list(events)[-1]["event"] == "cancelled"


def test_simulate_judges_another_setting_without_a_run(client: Client) -> None:
    key = next(iter(list(client.submit(job(steps=8), api_name="/compare"))))["job"]
    for _ in range(600):
        if not client.predict(api_name="/health")["to_record"]:
            break
        time.sleep(0.1)
    answer = client.predict(
        {"job": key, "method": METHOD | {"residual_diff_threshold": 0.0}}, api_name="/simulate"
    )
    assert (answer["schedule"], answer["identical"], answer["compute_ratio"]) == ("C" * 8, True, 1.0)
    cached = client.predict(
        {"job": key, "method": METHOD | {"residual_diff_threshold": 1.0}}, api_name="/simulate"
    )
    assert cached["schedule"] == "CCCccccc"
    assert cached["speedup"] > 1
    for bad, sentence in (
        ({"job": "?", "method": METHOD}, "job"),
        ({"job": key}, "simulate"),
        ({"job": key, "method": {"name": "x"}}, "method"),
    ):
        with pytest.raises(AppError, match=sentence):
            client.predict(bad, api_name="/simulate")


@pytest.mark.parametrize(
    ("headers", "content"),
    [
        ({"Host": "rebound.example"}, b"{}"),
        ({"Origin": "https://elsewhere.example"}, b"{}"),
        ({}, b"x" * 2_000_000),
    ],
    ids=["another name", "another site", "too large"],
)
def test_the_server_refuses_what_its_pages_do_not_send(
    served: str, headers: dict[str, str], content: bytes
) -> None:
    for path in ("/gradio_api/queue/join", "/gradio_api/call/history_clear"):
        answer = httpx.post(served + path, headers=headers, content=content)
        assert answer.status_code in (403, 413)
        assert answer.text.count(".") >= 1
    assert httpx.get(served + "/cachelens/nothing").status_code == 404


def test_two_users_at_once_are_queued_and_never_mixed(served: str) -> None:
    """Each user gets the result that they would get alone."""
    method = METHOD | {"max_warmup_steps": 2}
    jobs = [{"request": {"prompt": APPLE, "seed": seed, "steps": 6}, "method": method} for seed in range(4)]
    alone = [Client(served, verbose=False).predict(single_job, api_name="/compare") for single_job in jobs]
    collected: dict[int, Any] = {}

    def ask(index: int) -> None:
        collected[index] = Client(served, verbose=False).predict(jobs[index], api_name="/compare")

    threads = [threading.Thread(target=ask, args=(index,)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, result in enumerate(alone):
        assert collected[index]["request"]["seed"] == index
        assert collected[index]["psnr_db"] == result["psnr_db"]
        assert [call["change"] for call in collected[index]["accelerated"]["trace"]] == [
            call["change"] for call in result["accelerated"]["trace"]
        ]


def test_health_and_presets(client: Client) -> None:
    assert client.predict(api_name="/health")["status"] == "ok"
    titles = [preset["title"] for preset in client.predict(api_name="/presets")]
    assert {"Slow", "Medium", "Fast", "Ultra"} <= set(titles)


def run_cli(*arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    return forked.run(["-m", "cache_engine", *arguments], folder)


def test_the_command_line_writes_pictures_and_figures(tmp_path: Path) -> None:
    ran = run_cli(
        "compare",
        "--prompt",
        APPLE,
        "--seed",
        "7",
        "--steps",
        "8",
        "--recipe",
        "F1B0_W2_R0.4_T1O1",
        "--out",
        "out",
        "--json",
        folder=tmp_path,
    )
    assert ran.returncode == 0, ran.stderr
    data = json.loads(ran.stdout.splitlines()[-1])
    written = json.loads((tmp_path / "out" / "result.json").read_text(encoding="utf-8"))
    assert written == data
    assert set(written) >= {
        "request",
        "method",
        "engine",
        "baseline",
        "accelerated",
        "speedup",
        "compute_ratio",
        "psnr_db",
        "ssim",
    }
    assert len(written["accelerated"]["schedule"]) == 8
    for name in ("baseline", "accelerated", "difference"):
        assert Image.open(tmp_path / "out" / f"{name}.png").size == (256, 256)


FAILURES = (
    ("nonsense",),
    ("compare", "--prompt", "", "--out", "out"),
    ("compare", "--prompt", "x", "--set", "Fn_compute_blocks=x", "--out", "out"),
    ("compare", "--prompt", "x", "--model", "flux-dev", "--out", "out"),
    ("compare", "--prompt", "x"),
    ("flops", "--model", "flux-dev", "--method", "dbcache"),
    ("flops", "--size", "10"),
)


@pytest.mark.parametrize("arguments", FAILURES, ids=" ".join)
def test_the_command_line_fails_in_one_line(arguments: tuple[str, ...], tmp_path: Path) -> None:
    ran = run_cli(*arguments, folder=tmp_path)
    assert ran.returncode == 2
    assert len(ran.stderr.strip().splitlines()) == 1, ran.stderr
    assert ran.stdout == ""


def test_the_page_is_served_before_torch_is_imported(tmp_path: Path) -> None:
    code = """
import sys, urllib.request
from app.page import build_page, launch_options
page = build_page()
options = launch_options(page)
_, address, _ = page.launch(prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", **options)
for path in ("", "config"):
    assert urllib.request.urlopen(address + path).status == 200
print(*(name for name in ("torch", "diffusers", "transformers", "calflops") if name in sys.modules))
page.close(verbose=False)
"""
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=os.environ | {"PYTHONPATH": str(ROOT), "GRADIO_ANALYTICS_ENABLED": "False"},
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.strip() == ""


TUNE = {
    "request": {"seed": 7, "steps": 6},
    "prompts": [APPLE],
    "goal": {"kind": "close", "value": 25.0},
    "most": 2,
    "vary": {"dbcache": {"max_continuous_cached_steps": "1, 2", "residual_diff_threshold": "0.3, 1"}},
}


def test_a_tune_streams_to_its_end_and_another_is_stopped(client: Client) -> None:
    events = list(client.submit(TUNE, api_name="/tune"))
    assert events[0]["event"] == "job"
    assert any(event["event"] == "progress" for event in events[1:])
    assert events[-1]["event"] == "tuned"
    assert events[-1]["best"]["measured"]["psnr_db"] >= 25
    longer = [APPLE, *(f"a {thing} on a red background" for thing in ("fox", "car", "owl"))]
    stopped = client.submit(TUNE | {"prompts": longer}, api_name="/tune")
    key = next(iter(stopped))["job"]
    assert client.predict(key, api_name="/cancel")
    assert list(stopped)[-1]["state"] == "stopped"
    with pytest.raises(AppError, match="goal: missing"):
        client.predict({name: value for name, value in TUNE.items() if name != "goal"}, api_name="/tune")
