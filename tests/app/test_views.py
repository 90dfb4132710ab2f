"""Tests how records become the values that the components draw."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app import statuses, views
from cache_engine import METHODS, Progress, Quality
from tests.app.made import QUALITY, dbcache, pair, run


def cards(comparison: Any, **more: Any) -> dict[str, dict[str, Any]]:
    return {card["name"]: card for card in views.headline(comparison, **more)["cards"]}


def test_measured_time_and_counted_compute_are_two_numbers() -> None:
    comparison = pair(dbcache())
    slow = comparison.accelerated._replace(seconds=comparison.accelerated.seconds._replace(denoise=7.0))
    shown = cards(comparison._replace(accelerated=slow))
    assert (shown["speed"]["num"], shown["speed"]["word"]) == ("1.20×", "faster")
    assert shown["speed"]["strong"] == "8.40 s → 7.00 s"
    assert shown["speed"]["kind"] == "measured"
    reused = f"baseline of {comparison.baseline.clock}, reused"
    assert shown["speed"]["notes"] == ["1 run a side, warm", "cpu, float32, 2 threads", reused]
    assert (shown["flops"]["before"], shown["flops"]["num"], shown["flops"]["word"]) == (
        "2086",
        "978",
        "TFLOPs",
    )
    assert (shown["flops"]["strong"], shown["flops"]["kind"]) == ("2.13× less compute", "counted")
    assert shown["flops"]["notes"] == [
        "12 of 28 steps computed, 16 cached",
        "a full step 74.5, a cached step 5.23 TFLOPs",
    ]


def test_several_runs_a_side_tell_their_spread() -> None:
    comparison = pair(dbcache(), reused=False)
    timed = comparison._replace(
        baseline=comparison.baseline._replace(timed=(8.0, 8.4, 9.0)),
        accelerated=comparison.accelerated._replace(timed=(4.0, 4.0, 5.0)),
    )
    assert cards(timed)["speed"]["notes"][0] == "median of 3 alternating runs, 1.80× to 2.10×"


def test_calls_are_called_calls_where_a_step_has_two() -> None:
    notes = cards(pair(dbcache(), streams=("cond", "uncond")))["flops"]["notes"]
    assert notes[0] == "24 of 56 calls computed, 32 cached"
    assert "a full call 74.5" in notes[1]


def test_equal_sides_are_the_same_not_faster() -> None:
    shown = cards(pair(METHODS["baseline"](), quality=Quality(None, 1.0, 0.0, 0, 0.0), reused=False))
    assert (shown["speed"]["num"], shown["speed"]["word"]) == ("1.00×", "the same")
    assert shown["flops"]["strong"] == "the same compute"
    assert (shown["psnr"]["num"], shown["psnr"]["word"]) == ("identical", "")
    assert (shown["psnr"]["scale"]["place"], shown["psnr"]["scale"]["on"]) == (100, -1)
    assert shown["psnr"]["exact"] == "no pixel differs"
    assert len(shown["speed"]["notes"]) == 2  # no baseline was reused


@pytest.mark.parametrize(
    ("psnr", "place", "word"),
    [
        (20, 0, "different"),
        (3, 0, "different"),
        (27, 28, "visible"),
        (32, 48, "very close"),
        (38, 72, "nearly identical"),
        (99, 100, "nearly identical"),
    ],
)
def test_the_mark_stands_in_the_zone_of_its_word(psnr: float, place: float, word: str) -> None:
    card = cards(pair(dbcache(), quality=QUALITY._replace(psnr_db=psnr)))["psnr"]
    scale = card["scale"]
    edges = [0, *scale["ends"], 100]
    assert (scale["place"], card["word"]) == (place, word)
    assert scale["words"][scale["on"]] == word
    assert edges[scale["on"]] <= place <= edges[scale["on"] + 1]


def test_nothing_measured_has_no_number() -> None:
    view = views.headline(None)
    assert view["state"] == "empty"
    assert {card["num"] for card in view["cards"]} == {"–"}


def test_published_figures_keep_their_source_and_their_name() -> None:
    printed = {
        "tflops": 871.39,
        "speedup_tflops": 2.4,
        "psnr_as_printed": 24.5,
        "latency_s": None,
        "source": "a table",
    }
    line = views.published_line(printed)
    assert line == {
        "text": "published: 871.39 TFLOPs, 2.40× less compute, 24.5 dB PSNR as printed",
        "source": "a table",
    }
    assert views.published_line(None) is None
    assert (
        views.headline(pair(dbcache()), published={"tflops": 9})["published"]["text"] == "published: 9 TFLOPs"
    )


def test_gain_changes_the_end_of_the_scale_and_no_number() -> None:
    low, high = views.difference_facts(QUALITY, 1), views.difference_facts(QUALITY, 8)
    assert (
        low["rows"]
        == high["rows"]
        == [
            {"name": "Mean", "text": "1.6"},
            {"name": "Largest", "text": "143"},
            {"name": "Pixels over 8", "text": "3.4 %"},
        ]
    )
    assert (low["top"], high["top"]) == ("255", "32 and more")
    assert views.difference_facts(None, 8) == {"rows": [], "top": "32 and more"}


def test_times_share_one_axis() -> None:
    comparison = pair(dbcache())
    view = views.times(comparison)
    baseline, accelerated = view["rows"]
    assert sum(part["share"] for part in baseline["parts"]) == pytest.approx(1, abs=1e-4)
    whole = comparison.accelerated.seconds.total / comparison.baseline.seconds.total
    assert sum(part["share"] for part in accelerated["parts"]) == pytest.approx(whole, abs=1e-4)
    assert [part["name"] for part in baseline["parts"]] == ["encode", "denoise", "decode"]
    assert view["note"] == f"whole picture: {1 / whole:.2f}× faster"
    assert [entry["text"] for entry in view["legend"]] == ["encode 0.12 s", "decode 0.32 s"]
    assert views.times(pair(METHODS["baseline"]()))["note"] == "whole picture: the same time"
    assert views.times(None)["rows"] == []


def test_a_row_a_run_and_one_for_the_baseline() -> None:
    first, second = pair(dbcache()), pair(dbcache(taylorseer_order=0))
    view = views.runs([first, second], 1)
    assert [row["index"] for row in view["rows"]] == [0, 1]
    assert [row["modes"] for row in view["rows"]] == [first.accelerated.schedule, second.accelerated.schedule]
    assert (view["chosen"], view["steps"], view["unit"]) == (1, 28, "TFLOPs")
    assert view["rows"][0]["recipe"] == "F4B0_W4I1M0MC3_R0.12_T1O1"
    assert view["baseline"] == {
        "index": None,
        "recipe": "Baseline, 28 steps",
        "modes": "C" * 28,
        "flops": "2086",
        "faster": "1.00×",
        "psnr": "",
        "word": "the reference",
        "when": first.baseline.clock,
    }
    assert views.runs([])["rows"] == []


def test_recipe_parts_off_the_preset_are_marked() -> None:
    parts = views.recipe_parts("F4B0_W4I1M0MC3_R0.12_T1O1", "F4B0_W4I1M0MC4_R0.12_T0O0")["parts"]
    assert [part["code"] for part in parts] == ["F4", "B0", "W4", "I1", "M0", "MC3", "R0.12", "T1O1"]
    assert [part["code"] for part in parts if part["changed"]] == ["MC3", "T1O1"]
    assert not any(part["changed"] for part in views.recipe_parts("F4B0_W4I1M0MC3_R0.12_T1O1")["parts"])
    mask = views.recipe_parts("F1B0_W4I1M0MC0_R0.8_T1O1_SCM1100_dynamic")["parts"][-1]
    assert (mask["code"], mask["word"]) == ("SCM1100_dynamic", "mask")


def test_every_part_of_a_recipe_is_a_chip() -> None:
    recipe = "F8B0_W8I1M0MC3_R0.12_T1O1_dmd_before_SCM10_static"
    chips = views.recipe_parts(recipe, "F8B0_W8I1M0MC3_R0.12_T1O1")["parts"]
    assert [chip["code"] for chip in chips] == [
        *("F8", "B0", "W8", "I1", "M0", "MC3", "R0.12", "T1O1", "dmd", "before", "SCM10_static")
    ]
    assert [chip["code"] for chip in chips if chip["changed"]] == ["dmd", "before", "SCM10_static"]
    assert all(chip["word"] and chip["title"] for chip in chips)
    assert views.recipe_parts("fora(interval=3)")["parts"] == []


def test_status_tells_pace_and_rest() -> None:
    calls = run(dbcache()).trace[:4]  # all steps are computed, 0.3 s each
    view = statuses.status(Progress("accelerated", "denoise", "", 4, 28), calls, "10:42")
    assert view == {
        "kind": "running",
        "title": "Accelerated, step 4 of 28",
        "detail": "0.30 s a step, 7.2 s left; baseline of 10:42 reused",
        "share": 4 / 28,
    }
    assert statuses.status(Progress("baseline", "denoise", "", 0, 28))["detail"] == ""
    assert statuses.status(Progress("baseline", "load", "Loading the model"))["title"] == "Loading the model"
    assert statuses.status(Progress("baseline", "decode", "decoding"))["title"] == "Baseline: decoding"


def test_other_states_say_what_stays() -> None:
    assert statuses.stopped(Progress("accelerated", "denoise", "", 14, 28))["title"] == "Stopped at step 14."
    assert statuses.stopped()["title"] == "Stopped."
    assert statuses.failed("steps: 0 is not valid.")["kind"] == "error"
    assert statuses.queued(2, 20) == {
        "kind": "queued",
        "title": "2 jobs ahead",
        "detail": "about 20 s",
        "share": None,
    }
    assert statuses.queued(0)["title"] == "Next in line"
    reused, fresh = statuses.finished(pair(dbcache())), statuses.finished(pair(dbcache(), reused=False))
    assert "was reused; only the accelerated side ran" in reused["detail"]
    assert "is kept" in fresh["detail"]
    assert statuses.header(("tiny", "cpu"), "busy") == {"engine": "tiny · cpu · busy", "state": "busy"}


@pytest.mark.parametrize(
    "view", [views.headline(pair(dbcache())), views.times(pair(dbcache())), views.runs([pair(dbcache())])]
)
def test_views_are_json(view: dict) -> None:
    assert json.loads(json.dumps(view, allow_nan=False)) == view
