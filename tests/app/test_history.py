"""Kept comparisons: whole or not at all, the same after a restart, as many as there may be, harmless as text."""

from __future__ import annotations

import csv
import io
import json
import os
from dataclasses import dataclass
from pathlib import Path

import pytest

from app import history as history_module
from app.history import LONGEST, MOST, History, history_folder
from app.history_views import PINNED, card, found, held, rivals, sheet, table
from app.longjobs import LongJobs
from app.worker import Worker
from cache_engine import METHODS, Comparison, EngineError, clock, keep_comparison, kept_comparison
from tests.app.made import QUALITY, run

METHOD = METHODS["dbcache"](residual_diff_threshold=0.3)


def made(finished: float = 1_000.0, **request: object) -> Comparison:
    """A comparison whose pictures are alike, so that its likeness is the same when it is measured again."""
    before, after = (run(method)._replace(finished=finished) for method in (METHODS["baseline"](), METHOD))
    asked = before.request.replaced(**request)
    return Comparison(before._replace(request=asked), after._replace(request=asked), QUALITY, False)


@dataclass
class Filled:
    """A history of three runs, oldest first: a, b, c."""

    folder: Path

    def __post_init__(self) -> None:
        self.history = History(self.folder)
        for place, (key, prompt) in enumerate((("a", "a red fox"), ("b", "an owl"), ("c", "a red fox"))):
            self.history.add(key, made(1_000.0 + place, prompt=prompt))


@pytest.fixture
def filled(tmp_path: Path) -> Filled:
    return Filled(tmp_path / "history")


def keys(history: History) -> list[str]:
    return [one.key for one in history.listed()]


def test_what_is_kept_is_there_after_a_restart_with_its_note(filled: Filled) -> None:
    filled.history.note("a", name="  the\n first ", pinned=True)
    again = History(filled.folder)
    assert keys(again) == keys(filled.history) == ["c", "b", "a"]
    assert again.listed() == filled.history.listed()
    first = again.one("a")
    assert first is not None
    assert (first.name, first.pinned) == ("the first", True)
    kept, fresh = again.comparison("a"), made(1_000.0, prompt="a red fox")
    assert kept is not None
    assert kept.accelerated._replace(image=fresh.accelerated.image) == fresh.accelerated
    again.note("a", name="x" * 500)
    assert len((again.one("a") or pytest.fail("gone")).name) == LONGEST


def test_a_kept_comparison_is_what_was_measured(tmp_path: Path) -> None:
    fresh = made(5.0)
    data = keep_comparison(fresh, tmp_path / "one", survey_note="none")
    assert json.loads((tmp_path / "one" / "result.json").read_text(encoding="utf-8"))["survey_note"] == data["survey_note"] == "none"
    kept = kept_comparison(tmp_path / "one")
    assert (kept.speedup, kept.compute_ratio, kept.baseline.trace) == (fresh.speedup, fresh.compute_ratio, fresh.baseline.trace)
    assert kept.baseline.image.tobytes() == fresh.baseline.image.tobytes()


def test_what_is_damaged_or_cut_is_passed_over(filled: Filled) -> None:
    (filled.folder / "b" / "result.json").write_text('{"request": {}}', encoding="utf-8")
    (filled.folder / "c" / "accelerated.png").write_bytes(b"no picture")
    for name in (".old.part", ".young.part"):  # a server ended while it was written; another server is writing it
        (filled.folder / name).mkdir()
    os.utime(filled.folder / ".old.part", (0, 0))
    (filled.folder / "a file").write_text("?", encoding="utf-8")
    again = History(filled.folder)
    assert keys(again) == ["c", "a"]
    assert again.comparison("c") is None
    assert again.comparison("../a") is None
    assert again.pictures("../a") is None
    assert not (filled.folder / ".old.part").exists()
    assert (filled.folder / ".young.part").exists()
    (filled.folder / "a" / "note.json").write_text('{"pinned": "yes", "name": 3}', encoding="utf-8")
    assert keys(History(filled.folder)) == ["c", "a"]


@pytest.mark.parametrize(("path", "value"), [
    (("request",), None), (("request", "prompt"), 3), (("speedup",), "2"), (("speedup",), 1e999), (("accelerated", "schedule"), None),
    (("accelerated", "finished"), 1e300), (("accelerated", "finished"), 10**400), (("baseline", "seconds"), None), (("psnr_db",), "x"),
    (("accelerated", "timed"), 3), (("engine",), []), (("method",), {})])
def test_an_odd_result_is_passed_over_and_no_more(filled: Filled, path: tuple[str, ...], value: object) -> None:
    file = filled.folder / "b" / "result.json"
    data = json.loads(file.read_text(encoding="utf-8"))
    place = data
    for name in path[:-1]:
        place = place[name]
    place[path[-1]] = value
    if value is None:
        del place[path[-1]]
    file.write_text(json.dumps(data), encoding="utf-8")
    again = History(filled.folder)
    assert keys(again) == ["c", "a"]
    again.add("d", made(2_000.0))
    assert keys(again) == ["d", "c", "a"]


def test_the_oldest_goes_that_is_not_pinned(tmp_path: Path) -> None:
    history = History(tmp_path)
    for place in range(3):
        history.add(f"old{place}", made(place + 1.0))
    history.note("old0", pinned=True)
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


def test_a_run_that_cannot_be_kept_is_told_and_shown_all_the_same(tmp_path: Path) -> None:
    (tmp_path / "history").write_text("in the way", encoding="utf-8")
    history = History(tmp_path / "history")
    worker = Worker(lambda *_, **__: made(), None, LongJobs(None), history)
    job = worker.submit(made().baseline.request, METHOD)
    list(worker.watch(job))
    other = worker.submit(made().baseline.request, METHOD)  # the engine's thread goes on
    list(worker.watch(other))
    assert worker.kept(job.key) is not None
    assert history.said.startswith("history: the last run could not be kept")
    assert history.listed() == []
    kept = Filled(tmp_path / "more").history
    (tmp_path / "more" / "a" / ".note.json").mkdir()
    with pytest.raises(EngineError, match=r"^history: .* cannot be written to \(Is a directory\); "):
        kept.note("a", pinned=True)


def test_the_worker_finds_what_was_run_before_its_start(filled: Filled) -> None:
    worker = Worker(lambda *_, **__: pytest.fail("compared"), None, LongJobs(None), History(filled.folder))
    assert worker.kept("a") is None  # asked with every move of a knob: no disk is read for it
    kept = worker.reopened("a")
    assert kept is not None
    assert kept.baseline.request.prompt == "a red fox"
    assert worker.kept("a") is worker.reopened("a") is kept
    assert worker.reopened("nobody") is None
    assert Worker(lambda *_, **__: pytest.fail("compared"), None).reopened("a") is None


def test_whatever_hinders_keeping_the_engines_thread_goes_on(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        (filled.folder / ".half.part").mkdir(exist_ok=True)
        raise ValueError("unknown")

    monkeypatch.setattr(history_module, "keep_comparison", broken)
    worker = Worker(lambda *_, **__: made(), None, LongJobs(None), filled.history)
    for _ in range(2):
        list(worker.watch(worker.submit(made().baseline.request, METHOD)))
    assert "could not be kept (ValueError)" in filled.history.said
    assert keys(filled.history) == ["c", "b", "a"]


def test_a_run_that_cannot_be_removed_stays_and_says_so(filled: Filled, monkeypatch: pytest.MonkeyPatch) -> None:
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
    assert keys(History(filled.folder)) == ["c", "a"]
    assert (filled.folder / "elsewhere" / "b" / "result.json").is_file()  # a link was removed, not what it leads to


def test_none_is_kept_on_a_space_or_by_choice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CACHELENS_DIR", str(tmp_path))
    assert history_folder() == tmp_path / "history"
    for name, value in (("SPACE_ID", "somebody/cachelens"), ("CACHELENS_HISTORY", "Off"), ("CACHELENS_HISTORY", "0")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            assert history_folder() is None
    nothing = History(None)
    nothing.add("a", made())
    assert (nothing.listed(), nothing.comparison("a"), nothing.pictures("a")) == ([], None, None)
    assert list(tmp_path.iterdir()) == []


def test_words_are_looked_for_in_prompt_setting_name_and_model(filled: Filled) -> None:
    filled.history.note("b", name="Keeper", pinned=True)
    every = filled.history.listed()
    for words, wanted in (("", "cba"), ("FOX red", "ca"), ("keeper", "b"), ("r0.3 fox", "ca"), ("tiny", "cba"), ("fox owl", ""),
                          ("dbcache", "cba"), ("pinned", "b")):
        assert "".join(one.key for one in found(every, words)) == wanted, words
    assert [one.key for one in found(every, "", PINNED)] == ["b"]


def test_rows_and_card_say_what_was_measured(filled: Filled) -> None:
    filled.history.note("a", name="first", pinned=True)
    every = filled.history.listed()
    view = sheet(every[:2], len(every), "a", "/kept")
    assert view["count"] == "2 of 3 runs"
    row = sheet(every, len(every), "a", "/kept")["rows"][2]
    assert (row["id"], row["mark"], row["tag"], row["picture"]) == ("a", "pinned", "first", "gradio_api/file=/kept/a/small.png")
    assert [cell.get("text") for cell in row["cells"][3:6]] == [f"{made().speedup:.2f}×", f"{made().compute_ratio:.2f}×",
                                                               f"{QUALITY.psnr_db:.1f} dB"]
    shown = card(every[2])
    assert shown["title"] == "first"
    assert {"name": "SSIM", "text": f"{QUALITY.ssim:.3f}"} in shown["facts"]
    assert "No run yet" in sheet([], 0, "", "")["empty"]
    assert sheet([], 3, "", "")["empty"] == "No run has these words."
    assert card(None)["facts"] == []


def test_a_run_is_held_against_others_of_the_same_picture_alone(filled: Filled) -> None:
    every = filled.history.listed()
    newest, owl, oldest = every
    assert [key for _, key in rivals(every, newest)] == ["", "a"]
    assert [key for _, key in rivals(every, owl)] == [""]
    assert rivals(every, None) == [("its baseline", "")]
    assert held(newest, oldest).count(f"{QUALITY.psnr_db:.1f} dB") == 2


def test_a_spreadsheet_runs_nothing(tmp_path: Path) -> None:
    history = History(tmp_path)
    history.add("a", made(prompt="=HYPERLINK(1)"))
    history.note("a", name="@me")
    line = next(csv.DictReader(io.StringIO(table(history.listed()))))
    assert (line["prompt"], line["name"], line["pinned"]) == ("'=HYPERLINK(1)", "'@me", "0")
    assert float(line["psnr_db"]) == QUALITY.psnr_db


def test_the_clock_names_the_day_when_it_is_not_today() -> None:
    noon = 1_780_000_000.0
    assert len(clock(noon, noon + 60)) == len("12:00")
    assert clock(noon, noon + 30 * 86_400).endswith(clock(noon, noon))
    assert clock(noon, noon + 400 * 86_400).endswith("2026")
