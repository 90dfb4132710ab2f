"""Tests the timeline's value, made from records that real schedules decided."""

from __future__ import annotations

import json

import pytest

from app.timeline import RunningSide, axis_top, timeline_of, timeline_value
from cache_engine import METHODS
from tests.app.made import FULL, dbcache, pair, run

SHADES = {"C": {"computed", "forced"}, "c": {"cached"}, "p": {"partial"}}


def test_a_cell_a_step_with_the_modes_of_the_schedule() -> None:
    comparison = pair(dbcache())
    view = timeline_of(comparison)
    cells = view["rows"][0]["cells"]
    assert len(cells) == view["steps"] == 28
    assert all(
        cell["mode"] in SHADES[mode]
        for cell, mode in zip(cells, comparison.accelerated.schedule, strict=True)
    )
    assert view["counts"] == {"computed": 5, "forced": 7, "cached": 16, "partial": 0}
    assert view["warmup"] == 4
    assert [cell["mode"] for cell in cells[:4]] == ["forced"] * 4
    assert view["banner"] == ""
    assert json.loads(json.dumps(view)) == view  # gradio sends the value as JSON


def test_bars_and_the_limit_share_one_axis() -> None:
    view = timeline_of(pair(dbcache(residual_diff_threshold=0.12)))
    assert view["limit"] == {"place": 0.48, "text": "0.12"}
    assert view["top"] == 0.25
    for cell, call in zip(view["rows"][0]["cells"], pair(dbcache()).accelerated.trace):
        assert cell["y"] == (None if call.change is None else pytest.approx(call.change / 0.25, abs=1e-4))
        if cell["mode"] == "cached":
            assert cell["y"] < view["limit"]["place"]
        if cell["mode"] == "computed":
            assert cell["y"] >= view["limit"]["place"]
    assert [tick["text"] for tick in view["ticks"]] == ["0.1", "0.2"]


def test_a_cell_is_filled_to_its_share_of_the_compute() -> None:
    cells = timeline_of(pair(dbcache(Fn_compute_blocks=8)))["rows"][0]["cells"]
    assert {cell["cost"] for cell in cells if cell["mode"] == "cached"} == {round(8 / 57, 4)}
    assert {cell["cost"] for cell in cells if cell["mode"] != "cached"} == {1}
    assert cells[4]["facts"] == "8 of 57 blocks · 10.5 of 74.5 TFLOPs · 42 of 300 ms"
    assert FULL == 74.5


def test_two_streams_are_two_rows_decided_apart() -> None:
    comparison = pair(dbcache(), streams=("cond", "uncond"))
    view = timeline_of(comparison)
    assert [row["label"] for row in view["rows"]] == ["Accelerated, cond", "Accelerated, uncond"]
    assert view["calls"] == 56
    for row in view["rows"]:
        modes = comparison.accelerated.schedules[row["stream"]]
        assert all(cell["mode"] in SHADES[mode] for cell, mode in zip(row["cells"], modes, strict=True))


def test_a_running_side_fills_from_the_left_and_the_axis_stands_still() -> None:
    whole, baseline = run(dbcache()).trace, run(METHODS["baseline"]()).trace
    knobs = dbcache().model_dump()
    tops = set()
    for done in range(29):
        view = timeline_value(
            baseline, whole[:done], 28, knobs, running=RunningSide("accelerated", ("cond",))
        )
        cells = view["rows"][0]["cells"]
        assert [cell is not None for cell in cells] == [True] * done + [False] * (28 - done)
        assert view["at"] == (done - 1 if done else 27)
        assert view["banner"] == ""
        tops.add(view["top"])
    assert tops == {0.25}


def test_while_the_baseline_runs_its_last_step_is_told() -> None:
    baseline = run(METHODS["baseline"]()).trace
    view = timeline_value(baseline[:5], (), 28, dbcache().model_dump(), running=RunningSide("baseline"))
    assert view["baseline"] == [True] * 5 + [False] * 23
    assert view["at"] == 4
    assert timeline_value((), (), 28, running=RunningSide("baseline"))["at"] == 0
    guided = run(METHODS["baseline"](), streams=("cond", "uncond")).trace
    half = timeline_value(guided[:5], (), 28, running=RunningSide("baseline", ("cond", "uncond")))
    assert half["baseline"] == [True] * 2 + [False] * 26  # a call of the third step is missing


@pytest.mark.parametrize(
    ("knobs", "why"),
    [
        (
            dict(residual_diff_threshold=0.02),
            "every change after the warm-up is 0.024 or more and the threshold is 0.02. A threshold of 0.03",
        ),
        (dict(residual_diff_threshold=0), "threshold 0 caches no step"),
        (dict(max_warmup_steps=28), "the warm-up covers all steps (max_warmup_steps 28)"),
        (dict(steps_computation_mask="1" * 28), "mask"),
    ],
)
def test_nothing_cached_says_why_and_what_would_help(knobs: dict, why: str) -> None:
    banner = timeline_of(pair(dbcache(**knobs)))["banner"]
    assert banner.startswith("0 of 28 steps cached: ")
    assert why in banner


def test_the_threshold_that_the_banner_offers_does_cache() -> None:
    banner = timeline_of(pair(dbcache(residual_diff_threshold=0.02)))["banner"]
    offered = float(banner.split("A threshold of ")[1].split(" ")[0])
    assert "c" in run(dbcache(residual_diff_threshold=offered)).schedule


def test_a_baseline_has_no_limit_and_no_bars() -> None:
    view = timeline_of(pair(METHODS["baseline"]()))
    assert view["limit"] is None
    assert all(cell["y"] is None for cell in view["rows"][0]["cells"])
    assert "this method computes every step" in view["banner"]


@pytest.mark.parametrize("limit", [0.01, 0.04, 0.08, 0.12, 0.24, 0.35, 0.8, 1.0])
def test_the_limit_stands_well_inside_the_axis(limit: float) -> None:
    assert 0.35 <= limit / axis_top(limit, []) <= 1
    assert axis_top(limit, [5.0]) == axis_top(limit, [])
