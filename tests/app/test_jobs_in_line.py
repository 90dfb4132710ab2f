"""Tests long jobs in rare situations: the longest queue, a stop while a job starts, deleted files, and no
torch.
"""

from __future__ import annotations

import json
import os
import queue
import re
import threading
import time
from collections.abc import Callable, Generator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from app import api
from app.engine import worker as engine
from app.engine.kinds import sweep_from, tune_from
from app.engine.longjobs import MOST_IN_LINE, LongJobs
from app.engine.store import JobStore
from app.engine.worker import Worker
from app.tune.job_views import jobs
from cache_engine import METHODS, Comparison, EngineError, Goal, RunRequest, SweepTask, TuneTask, comparison
from cache_engine.__main__ import main
from tests.app.drawing import REQUEST, TASK, Drawing, long, steps
from tests.app.made import QUALITY, run


def test_no_more_than_may_be_in_line_and_what_is_refused_leaves_nothing(tmp_path: Path) -> None:
    long_jobs = long(tmp_path, Drawing())
    stopped = long_jobs.add("tune", "Stopped", TASK)
    long_jobs.stop(stopped)
    for place in range(MOST_IN_LINE):
        long_jobs.add("tune", f"Tune {place}", TASK)
    for more in (lambda: long_jobs.add("tune", "One more", TASK), lambda: long_jobs.resume(stopped)):
        with pytest.raises(
            EngineError,
            match=f"^jobs: {MOST_IN_LINE} are in line already; wait until one is done, or stop one.$",
        ):
            more()
    assert long_jobs.due == MOST_IN_LINE
    assert long_jobs.job(stopped).state == "stopped"
    assert "One more" not in [job.title for job in long_jobs.jobs()]
    long_jobs.step()
    long_jobs.stop(long_jobs.jobs()[0].key)
    long_jobs.resume(stopped)
    long_jobs.resume(stopped)  # a second click
    assert long_jobs.due == MOST_IN_LINE


def test_every_job_that_ended_can_be_reached(tmp_path: Path) -> None:
    long_jobs = long(tmp_path, Drawing())
    keys = [long_jobs.add("tune", f"Tune {place}", TASK) for place in range(MOST_IN_LINE)]
    for key in keys:
        long_jobs.stop(key)
    assert [row["key"] for row in jobs(long_jobs.jobs(), "")["jobs"]] == keys[::-1]


def test_stop_while_a_job_is_being_begun_is_of_that_job(tmp_path: Path) -> None:
    begun, go = threading.Event(), threading.Event()

    def kind(
        task: str, folder: Path, *, stop: threading.Event, enough: Callable[[], bool]
    ) -> Generator[dict[str, Any]]:
        if not begun.is_set():
            begun.set()
            go.wait(20)  # waits as long as a model takes to load
        return (
            {"doing": folder.name, "made": place, "left": 1 - place, "stage": "running"} for place in range(2)
        )

    long_jobs = LongJobs(JobStore(tmp_path), {"tune": kind})
    first, second = (long_jobs.add("tune", f"Tune {place}", TASK) for place in range(2))
    drawing = threading.Thread(target=long_jobs.step)
    drawing.start()
    begun.wait(20)
    assert long_jobs.running
    assert long_jobs.stop(first)
    assert long_jobs.job(first).state == "stopping"
    go.set()
    drawing.join()
    assert long_jobs.job(first).state == "stopped"
    assert long_jobs.snapshot(first) is None
    steps(long_jobs)
    assert long_jobs.job(second).state == "done"
    assert (long_jobs.snapshot(second) or {})["doing"] == second


@pytest.mark.parametrize("fails", [False, True])
def test_who_hears_of_the_end_finds_the_worker_free(monkeypatch: pytest.MonkeyPatch, *, fails: bool) -> None:
    monkeypatch.setattr(engine, "preload", lambda: None)
    ready, busy = threading.Event(), list[bool]()

    def compared(*_: Any, **__: Any) -> Comparison:
        ready.wait(20)
        if fails:
            raise EngineError("model: it cannot be loaded.")
        return Comparison(run(METHODS["baseline"]()), run(METHODS["dbcache"]()), QUALITY, False)

    class Heard(queue.SimpleQueue[Any]):
        def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
            busy.append(worker.busy_with(job.key))
            super().put(item, block, timeout)

    worker = Worker(compared, None, LongJobs(None))
    job = worker.submit(REQUEST, METHODS["dbcache"]())
    job.events = Heard()
    ready.set()
    with pytest.raises(EngineError, match="cannot be loaded") if fails else nullcontext():
        list(worker.watch(job))
    assert busy == [False]


def test_an_error_of_a_library_is_the_same_sentence_on_the_page_and_on_the_command_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """With the error's type and first line; its traceback is in the log, or on stderr if it is asked for."""
    told = (
        r"engine: this could not be done \(TypeError: unsupported operand\\x85for \+\); choose another model,"
    )

    def fails(*_: Any, **__: Any) -> Any:
        raise TypeError("unsupported operand\x85for +:\nNone and int")

    monkeypatch.setattr(comparison, "run_comparison", fails)
    arguments = ["compare", "--prompt", "a fox", "--out", str(Path(os.environ["CACHELENS_DIR"]) / "out")]
    assert main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.match(told, line)
    monkeypatch.setenv("CACHELENS_DEBUG", "1")
    assert main(arguments) == 2
    assert "in fails" in capsys.readouterr().err
    worker = Worker(fails, None, LongJobs(None))
    with pytest.raises(EngineError, match=told) as caught:
        list(worker.watch(worker.submit(REQUEST, METHODS["dbcache"]())))
    assert str(caught.value).rpartition(" ")[2].rstrip(".") in caplog.text
    assert "in fails" in caplog.text


def test_a_job_waits_where_torch_cannot_be_imported_and_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[float] = []

    def broken() -> None:
        tries.append(time.monotonic())
        raise OSError("[WinError 126] torch_cpu.dll")

    monkeypatch.setattr(engine, "preload", broken)
    drawing = Drawing()
    worker = Worker(
        lambda *_, **__: pytest.fail("compared"), None, LongJobs(JobStore(tmp_path), {"tune": drawing})
    )
    key = worker.long.add("tune", "Tune", TASK)
    ended = list(worker.long.watch(key))[-1]
    assert ended.state == "failed"
    assert ended.said.startswith(
        "engine: torch and diffusers cannot be imported (OSError, see the log); install them again"
    )
    time.sleep(0.2)
    assert len(tries) == 1
    with pytest.raises(EngineError, match="torch and diffusers cannot be imported"):
        list(worker.watch(worker.submit(REQUEST, METHODS["dbcache"]())))
    monkeypatch.setattr(engine, "preload", lambda: None)
    worker.long.resume(key)
    assert list(worker.long.watch(key))[-1].state == "done"
    assert len(drawing.log) == 4


def test_a_tune_that_is_removed_between_two_looks_ends_in_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "preload", lambda: threading.Event().wait(20))  # the engine never starts
    worker = Worker(
        lambda *_, **__: pytest.fail("compared"), None, LongJobs(JobStore(tmp_path), {"tune": Drawing()})
    )
    with gr.Blocks() as page:
        api.build(worker)
    tune = next(function.fn for function in page.fns.values() if function.api_name == "tune")
    assert tune is not None
    events = tune({"request": {"steps": 4}, "prompts": ["a fox"], "goal": {"value": 30}})
    key = next(events)["job"]
    assert next(events)["state"] == "waiting"
    worker.long.stop(key)
    worker.long.remove(key)
    with pytest.raises(gr.Error, match="job: no job has this key"):
        next(events)
    with pytest.raises(gr.Error, match="prompts: '' is not valid; give a text of 1 to 2000 characters"):
        next(
            tune(
                {"request": {"prompt": "a fox", "steps": 4}, "prompts": ["a fox", ""], "goal": {"value": 30}}
            )
        )


def test_a_jobs_files_are_its_own(tmp_path: Path) -> None:
    """An uploaded file is deleted within a day, but a tune may wait longer or continue after a restart."""
    for place, name in enumerate(("one", "other")):  # both files have the same name, as uploads may have
        (tmp_path / name).mkdir()
        (tmp_path / name / "style.safetensors").write_bytes(bytes([place]))
    Image.new("RGB", (32, 32), "red").save(tmp_path / "sketch.png")
    loras = tuple(
        {"file": str(tmp_path / name / "style.safetensors"), "weight": 0.5} for name in ("one", "other")
    )
    request = RunRequest(
        model="flux2-klein-base-4b",
        prompt="a fox",
        steps=4,
        loras=loras,
        image={"file": str(tmp_path / "sketch.png")},
    )
    tune = TuneTask(request=request, prompts=("a fox",), goal=Goal(value=30))
    sweep = SweepTask(request=request, axes=(("Fn_compute_blocks", "1, 2"), ("taylorseer_order", "0..1")))
    long_jobs = LongJobs(JobStore(tmp_path / "kept"), {"tune": Drawing(), "sweep": Drawing()})
    keys = long_jobs.add("tune", "Tune", tune), long_jobs.add("sweep", "Sweep", sweep)
    for path in (*tmp_path.glob("*/style.safetensors"), tmp_path / "sketch.png"):
        path.unlink()
    for key, read in zip(keys, (tune_from, sweep_from), strict=True):
        stored_request = read(json.loads(long_jobs.job(key).task)).request
        assert [(lora.unchanged().read_bytes(), lora.weight) for lora in stored_request.loras] == [
            (b"\0", 0.5),
            (b"\1", 0.5),
        ]
        assert stored_request.image is not None
        assert stored_request.image.opened().size == (32, 32)
        assert {Path(file.file).parent for file in (*stored_request.loras, stored_request.image)} == {
            tmp_path / "kept" / "files" / key
        }
        long_jobs.stop(key)
        long_jobs.remove(key)
    with pytest.raises(EngineError, match=r"^file: .* cannot be read"):
        long_jobs.add("tune", "Tune", tune)
    assert long_jobs.jobs() == []
    assert list((tmp_path / "kept" / "files").iterdir()) == []
