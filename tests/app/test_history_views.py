"""Tests stored comparisons as rows, card and CSV: measured figures, search by words, and harmless text."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from app.history import views
from app.history.store import HistoryStore
from app.history.views import PINNED, card, csv_table, rival_choices, rivals_line, search, sheet
from cache_engine import clock
from tests.app.made import QUALITY
from tests.app.past import Filled, made


def test_the_search_looks_into_prompt_setting_name_and_model(filled: Filled) -> None:
    filled.history.rename("b", "Keeper")
    filled.history.pin("b", True)
    every = filled.history.entries()
    for words, wanted in (
        ("", "cba"),
        ("FOX red", "ca"),
        ("keeper", "b"),
        ("r0.3 fox", "ca"),
        ("tiny", "cba"),
        ("fox owl", ""),
        ("dbcache", "cba"),
        ("pinned", "b"),
    ):
        assert "".join(entry.key for entry in search(every, words)) == wanted, words
    assert [entry.key for entry in search(every, "", PINNED)] == ["b"]


def test_rows_and_card_show_the_measured_figures(filled: Filled) -> None:
    filled.history.rename("a", "first")
    filled.history.pin("a", True)
    every = filled.history.entries()
    view = sheet(every[:2], len(every), "a", "/kept")
    assert view["count"] == "2 of 3 runs"
    row = sheet(every, len(every), "a", "/kept")["rows"][2]
    assert (row["id"], row["mark"], row["tag"], row["picture"]) == (
        "a",
        "pinned",
        "first",
        "cachelens/picture/small.png",
    )
    assert [cell.get("text") for cell in row["cells"][3:6]] == [
        f"{made().speedup:.2f}×",
        f"{made().compute_ratio:.2f}×",
        f"{QUALITY.psnr_db:.1f} dB",
    ]
    shown = card(every[2])
    assert shown["title"] == "first"
    assert {"name": "SSIM", "text": f"{QUALITY.ssim:.3f}"} in shown["facts"]
    assert shown["notes"] == ["“a red fox”"]
    with_more = every[2]._replace(request=every[2].request.replaced(negative_prompt="blurred"))
    assert card(with_more)["notes"][1] == "Also used: negative prompt."
    assert "No run yet" in sheet([], 0, "", "")["empty"]
    assert sheet([], 3, "", "")["empty"] == "No run has these words."
    assert card(None)["facts"] == []


def test_a_run_is_compared_only_against_runs_of_the_same_request(filled: Filled) -> None:
    every = filled.history.entries()
    newest, owl, oldest = every
    assert [key for _, key in rival_choices(every, newest)] == ["", "a"]
    assert [key for _, key in rival_choices(every, owl)] == [""]
    assert rival_choices(every, None) == [("its baseline", "")]
    assert rivals_line(newest, oldest).count(f"{QUALITY.psnr_db:.1f} dB") == 2


def test_a_spreadsheet_runs_nothing(tmp_path: Path) -> None:
    history = HistoryStore(tmp_path)
    history.add("a", made(prompt="=HYPERLINK(1)"))
    history.rename("a", "@me")
    line = next(csv.DictReader(io.StringIO(csv_table(history.entries()))))
    assert (line["prompt"], line["name"], line["pinned"]) == ("'=HYPERLINK(1)", "'@me", "0")
    assert float(line["psnr_db"]) == QUALITY.psnr_db


def test_the_clock_names_the_day_when_it_is_not_today() -> None:
    noon = 1_780_000_000.0
    assert len(clock(noon, noon + 60)) == len("12:00")
    assert clock(noon, noon + 30 * 86_400).endswith(clock(noon, noon))
    assert clock(noon, noon + 400 * 86_400).endswith("2026")


def test_a_long_search_is_cut_and_reads_each_text_once(
    filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    real = views._searched_text
    monkeypatch.setattr(views, "_searched_text", lambda entry: read.append(entry.key) or real(entry))
    assert search(filled.history.entries(), "fox " * 50_000)
    assert len(read) == 3


def test_a_run_of_a_model_that_is_no_row_is_shown(filled: Filled) -> None:
    file = filled.folder / "a" / "result.json"
    result = json.loads(file.read_text(encoding="utf-8"))
    result["request"]["model"] = "gone"
    file.write_text(json.dumps(result), encoding="utf-8")
    history = HistoryStore(filled.folder)
    every = history.entries()
    row = sheet(every, len(every), "a", "/kept")["rows"][2]
    assert "gone" in str(row) + str(card(every[2]))
    assert csv_table(every)
