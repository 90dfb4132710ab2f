"""Tests chart, table, card and strips with a real tune's snapshots, and tasks made from the fields."""

from __future__ import annotations

import csv
import io
import itertools
from pathlib import Path
from typing import Any

import pytest

from app.presets import own_folder, presets_for, save
from app.tune import form as tune_form
from app.tune import sweep_views
from app.tune import views as tune_views
from app.tune.chart import MARK_DISTANCE, FrontierChoice, chart
from app.tune.csv_files import sweep_csv, tune_csv
from app.tune.snapshot import settings_by_key
from cache_engine import METHODS, MODELS, EngineError, Goal, RunRequest, TuneTask, tune_json

REQUEST = RunRequest(prompt="a big panda on a pink background", seed=3, steps=8)
TASK = TuneTask(
    request=REQUEST,
    prompts=(REQUEST.prompt, "a small fox on a blue background"),
    acceptance=("a tiny owl on a red background",),
    goal=Goal(value=30),
    most=3,
    vary={"dbcache": {"residual_diff_threshold": "0.1, 0.3, 1", "max_continuous_cached_steps": "1, 3, -1"}},
)


@pytest.fixture(scope="module")
def snapshots(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    return list(tune_json(TASK, tmp_path_factory.mktemp("tune")))


def test_the_frontier_appears_once_the_settings_are_estimated(snapshots: list[dict[str, Any]]) -> None:
    assert chart(snapshots[0], FrontierChoice())["points"] == []
    assert "frontier appears" in chart(snapshots[0], FrontierChoice())["empty"]
    estimated = next(snapshot for snapshot in snapshots if snapshot["stage"] == "judging")
    view = chart(estimated, FrontierChoice())
    assert {point["mark"] for point in view["points"]} == {"expected", "cross"}
    assert len(estimated["cloud"]) == estimated["settings"]
    assert 0 < len(view["cloud"]) <= estimated["settings"]  # points beyond the axis are left out
    assert view["limit"]["text"] == "30 dB"


def test_measured_settings_and_the_best_have_their_marks(snapshots: list[dict[str, Any]]) -> None:
    last = snapshots[-1]
    view = chart(last, FrontierChoice(), last["best"]["key"])
    by_key = {point["id"]: point for point in view["points"]}
    for verification in last["verified"]:
        if verification["key"] in by_key:  # the setting is within the axis
            assert by_key[verification["key"]]["mark"] in ("dot", "edge", "cross")
            assert "measured on" in by_key[verification["key"]]["lines"][1]
            assert by_key[verification["key"]]["picture"].startswith("cachelens/picture/")
    assert by_key[last["best"]["key"]]["label"] == "best"
    assert all(0 <= point[axis] <= 100 for point in view["points"] for axis in "xy")
    assert all(0 <= place <= 100 for dot in view["cloud"] for place in dot)


def test_expected_marks_keep_a_distance(snapshots: list[dict[str, Any]]) -> None:
    places = sorted(
        point["x"]
        for point in chart(snapshots[-1], FrontierChoice())["points"]
        if point["mark"] == "expected"
    )
    assert all(later - earlier >= MARK_DISTANCE for earlier, later in itertools.pairwise(places))


def test_near_the_goal_shows_ten_decibels(snapshots: list[dict[str, Any]]) -> None:
    near, whole = chart(snapshots[-1], FrontierChoice(near=True)), chart(snapshots[-1], FrontierChoice())
    assert len(near["cloud"]) < len(whole["cloud"])
    assert near["limit"]["y"] == 50


def test_the_running_setting_is_shown(snapshots: list[dict[str, Any]]) -> None:
    running = next(snapshot for snapshot in snapshots if snapshot["stage"] == "verifying")
    assert (
        next(
            point["mark"]
            for point in chart(running, FrontierChoice())["points"]
            if point["id"] == running["running"]["key"]
        )
        == "running"
    )


def test_table_and_csv_hold_every_described_setting(snapshots: list[dict[str, Any]]) -> None:
    last = snapshots[-1]
    rows = tune_views.sheet(last)["rows"]
    assert {row["id"] for row in rows} == set(settings_by_key(last))
    measured = tune_views.sheet(last, measured=True)["rows"]
    assert {row["id"] for row in measured} == {verification["key"] for verification in last["verified"]}
    table = list(csv.DictReader(io.StringIO(tune_csv(last))))
    assert len(table) == len(rows)
    best = next(row for row in table if row["recipe"] == last["best"]["recipe"])
    assert float(best["psnr_db"]) == last["best"]["measured"]["psnr_db"]


def test_the_card_shows_the_acceptance_prompts(snapshots: list[dict[str, Any]]) -> None:
    last = snapshots[-1]
    names = [fact["name"] for fact in tune_views.card(last, last["best"])["facts"]]
    assert names[:2] == ["Reached by 95 % of 2 tuning prompts", "Denoise loop, mean"]
    assert "Other prompts that pass (1)" in names
    assert tune_views.card(None, None)["title"] == "Best so far"
    nothing = {**last, "best": None}
    assert "Lower the goal" in tune_views.card(nothing, None)["notes"][0]


def test_dots_below_the_floor_and_cliffs_look_different() -> None:
    setting = {
        "acceptance": {"prompts": 2, "psnr_db_each": [29.0, 41.0]},
        "edge_db": 28.0,
        "neighbours": [{"recipe": "r", "knob": "max_warmup_steps", "value": 3, "psnr_db": 25.5}],
    }
    view = tune_views.margins(setting, {"kind": "close", "value": 30.0})
    assert [[dot["look"] for dot in row["dots"]] for row in view["rows"]] == [["below", ""], ["below"]]
    assert view["rows"][1]["text"] == "3: 25.5"
    assert view["lines"][0]["at"] > view["lines"][1]["at"]


# ---- fields ----
def test_fields_become_a_task() -> None:
    given = tune_form.TuneFields(
        goal="At least this close",
        value=30,
        share=95,
        methods=["dbcache"],
        vary="max_warmup_steps = 2, 4",
        fewer_steps=True,
        prompts="a fox\n\n an owl ",
        acceptance="a pig",
    )
    task = tune_form.tune_task(REQUEST, given)
    assert task.prompts == ("a fox", "an owl")
    assert task.goal == Goal(value=30, share=0.95)
    for change, sentence in (
        ({"prompts": " "}, "tuning prompts: missing"),
        ({"acceptance": "a fox"}, "is also a tuning prompt"),
        ({"share": 0}, "prompts to pass: 0 is not valid"),
        ({"value": None}, "value: None is not valid"),
        ({"vary": "max_warmup_steps"}, "cannot be read"),
        ({"vary": ""}, "no knob is named"),
    ):
        with pytest.raises(EngineError, match=sentence):
            tune_form.tune_task(REQUEST, given._replace(**change))


@pytest.mark.parametrize("model", ["tiny", "flux-dev"])
def test_example_prompts_for_tuning_and_acceptance_differ(model: str) -> None:
    tuning, acceptance = (
        tune_form.text_lines(tune_form.example_prompts(model, kind)) for kind in ("", "-acceptance")
    )
    assert len(tuning) == 8
    assert len(acceptance) >= 24
    assert not set(tuning) & set(acceptance)


def test_the_embedded_model_knows_every_word_of_its_prompts() -> None:
    for kind in ("", "-acceptance"):
        for prompt in tune_form.text_lines(tune_form.example_prompts("tiny", kind)):
            assert not MODELS["tiny"].unknown_words(prompt)


@pytest.mark.parametrize("method", tune_form.TUNABLE)
def test_first_ranges_can_be_read(method: str) -> None:
    task = TuneTask(
        request=REQUEST,
        prompts=("a fox",),
        goal=Goal(value=30),
        fewer_steps=False,
        vary=tune_form.parse_ranges(tune_form.default_ranges([method]), [method]),
    )
    assert len(task.settings) >= 4


def test_several_methods_have_a_heading_each() -> None:
    both = ["dbcache", "teacache"]
    text = tune_form.default_ranges(both, "max_warmup_steps = 3, 5")
    # ranges that were typed stay
    assert text.startswith("[dbcache]\nmax_warmup_steps = 3, 5\n\n[teacache]\nthreshold")
    assert set(tune_form.parse_ranges(text, both)) == set(both)
    assert tune_form.default_ranges(["dbcache"], text) == "max_warmup_steps = 3, 5"
    assert tune_form.default_ranges(["teacache"], "max_warmup_steps = 3, 5").startswith(
        "threshold"
    )  # no knob of the other method is left
    with pytest.raises(EngineError, match="methods: no method is chosen"):
        tune_form.parse_ranges(text, [])
    with pytest.raises(EngineError, match="magic"):
        tune_form.parse_ranges("[magic]\nthreshold = 1", both)


# ---- sweep ----
def sweep_snapshot(third: bool = False) -> dict[str, Any]:
    axes = [
        {"knob": "a_b", "values": [1, 2]},
        {"knob": "c", "values": [0.1, 0.2, 0.3]},
        {"knob": "d", "values": [7, 8]},
    ][: 2 + third]
    cells = [
        {"values": list(values), "refused": "no"}
        for values in itertools.product(*(axis["values"] for axis in axes))
    ]
    return {"axes": axes, "cells": cells}


def test_two_axes_swap_and_three_go_through_six_orders() -> None:
    view = sweep_views.cells(sweep_snapshot(), [])
    assert (view["columns"], [row["head"] for row in view["tables"][0]["rows"]]) == (
        ["1", "2"],
        ["0.1", "0.2", "0.3"],
    )
    order = sweep_views.next_order(sweep_snapshot(), [])
    assert sweep_views.cells(sweep_snapshot(), order)["columns"] == ["0.1", "0.2", "0.3"]
    seen, order = set(), [0, 1, 2]
    for _ in range(6):
        seen.add(tuple(order))
        order = sweep_views.next_order(sweep_snapshot(third=True), order)
    assert len(seen) == 6
    assert [
        table["title"] for table in sweep_views.cells(sweep_snapshot(third=True), [0, 1, 2])["tables"]
    ] == [
        "d 7",
        "d 8",
    ]


def test_a_sweeps_csv_has_a_line_for_each_measured_cell() -> None:
    snapshot = sweep_snapshot()
    figures = {
        "recipe": "r",
        "psnr_db": None,
        "ssim": 1.0,
        "tflops": 2.0,
        "seconds": 0.5,
        "compute_ratio": 1.5,
        "speedup": 1.2,
        "schedule": "CCc",
    }
    snapshot["cells"][4] = {"values": [2, 0.2], "key": "k", "picture": "p.png", **figures}
    rows = list(csv.DictReader(io.StringIO(sweep_csv(snapshot))))
    assert [(row["a_b"], row["c"], row["psnr_db"], row["schedule"]) for row in rows] == [
        ("2", "0.2", "", "CCc")
    ]
    assert sweep_views.chosen_cell(snapshot, "k") == snapshot["cells"][4]
    assert [bar["text"] for bar in sweep_views.card(snapshot["cells"][4])["bars"]] == [
        "1.50×",
        "1.20×",
    ]


# ---- saved presets ----
def test_a_saved_preset_belongs_to_its_method_and_keeps_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CACHELENS_DIR", str(tmp_path))
    method = METHODS["dbcache"](max_warmup_steps=3).to_dict()
    save("Mine", "found", "tiny", 28, method)
    assert presets_for("tiny", "dbcache")["Mine"].method == method
    assert "Mine" not in presets_for("flux-dev")
    assert len(list(own_folder().glob("*.json"))) == 1
    for title in ("Mine", "", "x" * 61, next(iter(presets_for("tiny")))):
        with pytest.raises(EngineError, match="name: "):
            save(title, "found", "tiny", 28, method)
