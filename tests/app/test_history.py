"""Tests the history's files: they are complete or absent, the same after a restart, and within the limit."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from app.engine.longjobs import LongJobs
from app.engine.worker import Worker
from app.history import store as history_module
from app.history.store import LONGEST, MOST, HistoryStore, history_folder
from cache_engine import EngineError, load_comparison, save_comparison
from tests.app.past import METHOD, Filled, keys, made


def test_entries_names_and_pins_survive_a_restart(filled: Filled) -> None:
    filled.history.rename("a", "  the\n first ")
    filled.history.pin("a", True)
    again = HistoryStore(filled.folder)
    assert keys(again) == keys(filled.history) == ["c", "b", "a"]
    assert again.entries() == filled.history.entries()
    first = again.entry("a")
    assert first is not None
    assert (first.name, first.pinned) == ("the first", True)
    stored, fresh = again.comparison("a"), made(1_000.0, prompt="a red fox")
    assert stored is not None
    assert stored.accelerated._replace(image=fresh.accelerated.image) == fresh.accelerated
    again.rename("a", "x" * 500)
    assert len((again.entry("a") or pytest.fail("gone")).name) == LONGEST


def test_a_stored_comparison_equals_the_measured_one(tmp_path: Path) -> None:
    fresh = made(5.0)
    data = save_comparison(fresh, tmp_path / "one", survey_note="none")
    assert (
        json.loads((tmp_path / "one" / "result.json").read_text(encoding="utf-8"))["survey_note"]
        == data["survey_note"]
        == "none"
    )
    stored = load_comparison(tmp_path / "one")
    assert (stored.speedup, stored.compute_ratio, stored.baseline.trace) == (
        fresh.speedup,
        fresh.compute_ratio,
        fresh.baseline.trace,
    )
    assert stored.baseline.image.tobytes() == fresh.baseline.image.tobytes()


def test_damaged_and_half_written_folders_are_skipped(filled: Filled) -> None:
    (filled.folder / "b" / "result.json").write_text('{"request": {}}', encoding="utf-8")
    (filled.folder / "c" / "accelerated.png").write_bytes(b"no picture")
    for name in (
        ".old.part",
        ".young.part",
    ):  # the first belongs to a server that ended, the second to a server that is writing
        (filled.folder / name).mkdir()
    os.utime(filled.folder / ".old.part", (0, 0))
    (filled.folder / "a file").write_text("?", encoding="utf-8")
    again = HistoryStore(filled.folder)
    assert keys(again) == ["c", "a"]
    assert again.comparison("c") is None
    assert again.comparison("../a") is None
    assert again.pictures("../a") is None
    assert not (filled.folder / ".old.part").exists()
    assert (filled.folder / ".young.part").exists()
    (filled.folder / "a" / "note.json").write_text('{"pinned": "yes", "name": 3}', encoding="utf-8")
    assert keys(HistoryStore(filled.folder)) == ["c", "a"]


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("request",), None),
        (("request", "prompt"), 3),
        (("speedup",), "2"),
        (("speedup",), 1e999),
        (("accelerated", "schedule"), None),
        (("accelerated", "finished"), 1e300),
        (("accelerated", "finished"), 10**400),
        (("baseline", "seconds"), None),
        (("psnr_db",), "x"),
        (("accelerated", "timed"), 3),
        (("engine",), []),
        (("method",), {}),
    ],
)
def test_a_damaged_result_file_hides_its_own_run_only(
    filled: Filled, path: tuple[str, ...], value: object
) -> None:
    file = filled.folder / "b" / "result.json"
    data = json.loads(file.read_text(encoding="utf-8"))
    place = data
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    if value is None:
        del place[path[-1]]
    file.write_text(json.dumps(data), encoding="utf-8")
    again = HistoryStore(filled.folder)
    assert keys(again) == ["c", "a"]
    again.add("d", made(2_000.0))
    assert keys(again) == ["d", "c", "a"]


def test_the_oldest_unpinned_run_is_removed(tmp_path: Path) -> None:
    history = HistoryStore(tmp_path)
    for place in range(3):
        history.add(f"old{place}", made(place + 1.0))
    history.pin("old0", True)
    for place in range(MOST):
        history.add(f"new{place}", made(1_000.0 + place))
    assert len(keys(history)) == MOST + 1
    assert "old0" in keys(history)
    assert not {"old1", "old2"} & set(keys(history))
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(keys(history))
    history.remove("new0")
    history.remove("nobody")
    history.clear()
    assert keys(history) == [path.name for path in tmp_path.iterdir()] == ["old0"]


def test_the_oldest_unpinned_runs_make_room_in_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    history = HistoryStore(tmp_path)
    for place in range(4):
        history.add(f"run{place}", made(1.0 + place))
    history.pin("run0", True)
    size = max(entry.size for entry in history.entries())
    assert size == sum(path.stat().st_size for path in (tmp_path / "run3").iterdir() if path.stem != "note")
    monkeypatch.setattr("app.history.store.MOST_BYTES", 3 * size)
    history.add("run4", made(9.0))
    assert keys(history) == ["run4", "run3", "run2", "run0"]
    monkeypatch.setattr("app.history.store.MOST_BYTES", 10)
    history.add("run5", made(10.0))
    assert keys(history) == ["run5", "run0"]  # the newest stays, even if it is too large


def test_a_run_that_cannot_be_stored_is_reported_and_still_shown(tmp_path: Path) -> None:
    (tmp_path / "history").write_text("in the way", encoding="utf-8")
    history = HistoryStore(tmp_path / "history")
    worker = Worker(lambda *_, **__: made(), None, LongJobs(None), history)
    job = worker.submit(made().baseline.request, METHOD)
    list(worker.watch(job))
    other = worker.submit(made().baseline.request, METHOD)  # the engine's thread is still running
    list(worker.watch(other))
    assert worker.comparison(job.key) is not None
    assert history.last_failure == "history: the last run could not be stored (Not a directory)."
    assert history.entries() == []
    full_history = Filled(tmp_path / "more").history
    (tmp_path / "more" / "a" / "note.json.part").mkdir()
    with pytest.raises(EngineError, match=r"^history: .* cannot be written to \(Is a directory\); "):
        full_history.pin("a", True)


def test_the_worker_reopens_runs_of_an_earlier_server(filled: Filled) -> None:
    worker = Worker(
        lambda *_, **__: pytest.fail("compared"), None, LongJobs(None), HistoryStore(filled.folder)
    )
    # this is called for every move of a knob, so it must not read the disk
    assert worker.comparison("a") is None
    stored = worker.reopen("a")
    assert stored is not None
    assert stored.baseline.request.prompt == "a red fox"
    assert worker.comparison("a") is worker.reopen("a") is stored
    assert worker.reopen("nobody") is None
    assert Worker(lambda *_, **__: pytest.fail("compared"), None).reopen("a") is None


def test_no_failure_to_store_stops_the_engines_thread(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        (filled.folder / ".half.part").mkdir(exist_ok=True)
        raise ValueError("unknown")

    monkeypatch.setattr(history_module, "save_comparison", broken)
    worker = Worker(lambda *_, **__: made(), None, LongJobs(None), filled.history)
    for _ in range(2):
        list(worker.watch(worker.submit(made().baseline.request, METHOD)))
    assert "could not be stored (ValueError)" in filled.history.last_failure
    assert keys(filled.history) == ["c", "b", "a"]


def test_a_run_that_cannot_be_removed_stays_with_an_error(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    def in_use(*_: object) -> None:
        raise PermissionError(13, "in use")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", in_use)
        with pytest.raises(EngineError, match=r"^history: .* cannot be removed \(in use\)"):
            filled.history.remove("a")
    assert "a" in keys(filled.history)
    (filled.folder / "elsewhere").mkdir()
    (filled.folder / "b").rename(filled.folder / "elsewhere" / "b")
    (filled.folder / "b").symlink_to(filled.folder / "elsewhere" / "b")
    filled.history.remove("b")
    assert keys(HistoryStore(filled.folder)) == ["c", "a"]
    assert (
        filled.folder / "elsewhere" / "b" / "result.json"
    ).is_file()  # the link was removed, but not its target


def test_nothing_is_stored_on_a_space_or_when_switched_off(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CACHELENS_DIR", str(tmp_path))
    assert history_folder() == tmp_path / "history"
    for name, value in (
        ("SPACE_ID", "somebody/cachelens"),
        ("CACHELENS_HISTORY", "Off"),
        ("CACHELENS_HISTORY", "0"),
    ):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert history_folder() is None
    nothing = HistoryStore(None)
    nothing.add("a", made())
    assert (nothing.entries(), nothing.comparison("a"), nothing.pictures("a")) == ([], None, None)
    assert list(tmp_path.iterdir()) == []


def test_a_clock_that_was_set_back_removes_no_new_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(history_module, "MOST", 3)
    history = HistoryStore(tmp_path)
    for key, finished in zip("abcde", (5_000.0, 5_001.0, 5_002.0, 1_000.0, 999.0)):
        history.add(key, made(finished))
    assert sorted(keys(history)) == ["c", "d", "e"]
    again = HistoryStore(tmp_path)
    again.pin("d", True)
    again = HistoryStore(tmp_path)
    again.add("f", made(500.0))
    again.add("g", made(400.0))
    assert sorted(keys(again)) == ["d", "e", "f", "g"]


def test_a_run_is_stored_before_the_page_hears_of_its_end(tmp_path: Path) -> None:
    history = HistoryStore(tmp_path)
    worker = Worker(lambda *_, **__: made(), None, LongJobs(None), history)
    job = worker.submit(made().baseline.request, METHOD)
    for events in worker.watch(job):
        if events and events[-1] == made():
            assert keys(HistoryStore(tmp_path)) == [job.key]
    assert keys(history) == [job.key]


@pytest.mark.parametrize("fault", [SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError])
def test_no_exception_of_a_job_ends_the_engines_thread(fault: type[BaseException], tmp_path: Path) -> None:
    faults = [fault()]

    def compare(*_: object, **__: object) -> Any:
        if faults:
            raise faults.pop()
        return made()

    worker = Worker(compare, None, LongJobs(None), HistoryStore(tmp_path))
    with pytest.raises(EngineError, match=fault.__name__):
        list(worker.watch(worker.submit(made().baseline.request, METHOD)))
    assert worker.state()["status"] == "ok"
    assert list(worker.watch(worker.submit(made().baseline.request, METHOD)))


def test_an_engines_thread_that_ended_is_reported_and_started_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    worker = Worker(lambda *_, **__: made(), None, LongJobs(None), HistoryStore(tmp_path))
    with monkeypatch.context() as patch:
        patch.setattr(Worker, "_next", lambda _: sys.exit())
        worker.warm()
        thread = worker._thread
        assert thread is not None
        thread.join(20)
    assert worker.state()["status"] == "the engine has stopped"
    assert list(worker.watch(worker.submit(made().baseline.request, METHOD)))
    assert worker.state()["status"] == "ok"
