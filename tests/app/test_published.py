"""Tests the merged published tables: every row has its own baseline, and the figures in the notes are in the
tables.
"""

from __future__ import annotations

import csv
import math
import re
from collections import Counter

import numpy as np
import pytest

from app.axes import Axis, around
from app.published.chart import chart
from app.published.figures import QUALITIES, SPEEDS, FigureChoice
from app.published.notes import FLUX, LIGHTNING, NOTES, care_notes
from app.published.tables import (
    BASELINES,
    CITED,
    FAST,
    FOUR_STEPS,
    SLOW,
    TABLE,
    ListedSetting,
    knob_values,
    published_settings,
    select_settings,
)
from app.published.views import card, sheet

with TABLE.open(encoding="utf-8") as file:
    ROWS = list(csv.DictReader(file))
MISPRINTED = {"FLUX.1-dev: 34% steps": (3.13, 2.94), "TaylorSeer(N=7,O=2)": (5.54, 5.55)}


def named(name: str) -> ListedSetting:
    return next(setting for setting in published_settings() if name in (setting.name, setting.preset))


def test_rows_of_several_tables_become_one_entry_for_each_setting() -> None:
    kinds = Counter((setting.baseline.model, setting.family) for setting in published_settings())
    assert kinds == {
        (FLUX, "dbcache"): 43,
        (FLUX, "forecast"): 35,
        (FLUX, "other"): 13,
        (FLUX, "fewer"): 3,
        (FLUX, "baseline"): 3,
        (LIGHTNING, "dbcache"): 5,
        (LIGHTNING, "baseline"): 1,
    }
    assert len({setting.key for setting in published_settings()}) == len(published_settings())


def test_no_printed_figure_is_lost() -> None:
    columns = [*QUALITIES, *SPEEDS]
    printed = {
        (row["model"], row[column]) for row in ROWS for column in columns if row[column] not in ("", "inf")
    }
    shown = {
        (setting.baseline.model, setting.printed.get(column, ""))
        for setting in published_settings()
        for column in columns
    }
    # The summary table cuts digits off, and once prints another row's figure. It also prints the baselines'
    # seconds beside TaylorSeer.
    assert {text for _, text in printed - shown} == {
        "32.838",
        "32.849",
        "32.719",
        "32.568",
        "32.552",
        "42.92",
        "44.94",
    }
    assert {SLOW.latency_with_forecast_s, FAST.latency_with_forecast_s} == {42.92, 44.94}


def test_every_printed_speedup_is_the_ratio_to_its_own_baseline() -> None:
    """This holds for all but two of 99 settings; the cards of these two settings say so."""
    wrong = {}
    for setting in published_settings():
        for speed, column in (("tflops", "speedup_tflops"), ("latency_s", "speedup_latency")):
            printed, own = setting.value(column), setting.relative(speed)
            if printed is not None and (own is None or abs(printed - own) > 0.0051):
                wrong[setting.name] = (printed, round(own or 0, 2))
    assert wrong == MISPRINTED
    for name, (printed, own) in MISPRINTED.items():
        assert f"Printed as {printed}× less compute; its own TFLOPs say {own}×." in card(named(name))["notes"]


@pytest.mark.parametrize("base", BASELINES, ids=lambda base: base.title)
def test_the_baselines_are_rows_of_the_tables(base: object) -> None:
    match = next(
        setting
        for setting in published_settings()
        if setting.family == "baseline" and setting.baseline == base
    )
    rows = [
        row
        for row in ROWS
        if row["model"] == match.baseline.model and row["speedup_tflops"] in ("1.00", "1.00×")
    ]
    for column in ("image_reward", "clip_score", "tflops", "latency_s"):
        if text := match.printed.get(column):
            assert float(text) in {float(row[column]) for row in rows if row[column]}
    assert [match.relative(figure) for figure in ("tflops", "image_reward", "clip_score")] == [1, 100, 100]


def test_every_row_has_the_baseline_of_its_table() -> None:
    assert {setting.baseline for setting in select_settings(FLUX, ["other", "fewer"])} == {CITED}
    assert {setting.baseline for setting in select_settings(FLUX, ["dbcache", "forecast"], {"R": [0.8]})} == {
        FAST
    }
    assert {
        setting.baseline
        for setting in select_settings(
            FLUX, ["dbcache", "forecast"], {"R": [0.08, 0.12, 0.16, 0.2, 0.24, 0.32]}
        )
    } == {SLOW}
    assert {setting.baseline for setting in select_settings(LIGHTNING)} == {FOUR_STEPS}
    assert named("FoCa(N=5)").relative("image_reward") == pytest.approx(100 * 1.0029 / 0.9898)
    assert named("Fast").relative("image_reward") == pytest.approx(100 * 0.9271 / 1.0445)
    assert named("Slow").relative("image_reward") == pytest.approx(100 * 1.0065 / 1.0412)
    assert named("Slow").relative("psnr") == 31.5292  # this figure is already a comparison with the baseline


def test_filters() -> None:
    assert len(select_settings(FLUX)) == 97
    assert {setting.knob("W") for setting in select_settings(FLUX, ["forecast"], {"W": [16]})} == {16}
    rows = select_settings(FLUX, knobs={"F": [4, 8], "MC": [0]})
    assert {row.knob("F") for row in rows} == {8, None}  # methods without this knob stay in the list
    assert [setting.name for setting in select_settings(FLUX, words="TS slow")] == []
    assert [setting.preset for setting in select_settings(FLUX, words="SLOW taylor")] == ["Slow + TaylorSeer"]
    assert knob_values(LIGHTNING) == {
        "F": [1, 8, 12, 16, 24],
        "B": [0, 8, 12, 16, 24],
        "W": [2],
        "MC": [1],
        "R": [0.8],
        "O": [0],
    }


# ---- chart and table ----


@pytest.mark.parametrize("quality", QUALITIES)
@pytest.mark.parametrize("speed", SPEEDS)
@pytest.mark.parametrize("own", [True, False])
def test_better_is_up_and_right_on_every_chart(quality: str, speed: str, own: bool) -> None:
    choice = FigureChoice(quality, speed, own)
    rows = {setting.key: setting for setting in select_settings(FLUX)}
    drawn = chart(list(rows.values()), choice)
    figures = [
        key
        for key, row in rows.items()
        if choice.value(row, quality) is not None and choice.value(row, speed) is not None
    ]
    assert [point["id"] for point in drawn["points"]] == figures
    assert all(0 < point[axis] < 100 for point in drawn["points"] for axis in "xy")
    for axis, figure, better in (
        ("x", speed, 1 if own else -1),
        ("y", quality, -1 if quality == "lpips" else 1),
    ):
        values = [
            better * (choice.value(rows[point["id"]], figure) or 0)
            for point in sorted(drawn["points"], key=lambda item: item[axis])
        ]
        assert values == sorted(values)
    edge = drawn["lines"][0]["points"]
    assert not [
        point
        for point in drawn["points"]
        if any(point["x"] > x and point["y"] > y for x, y in edge) and [point["x"], point["y"]] in edge
    ]
    assert all(any(x >= point["x"] and y >= point["y"] for x, y in edge) for point in drawn["points"])


def test_the_table_shows_printed_or_relative_figures() -> None:
    row = {False: ["1153.05", "17.71 s"], True: ["3.23×", "2.42×"]}
    for own, texts in row.items():
        drawn = sheet(select_settings(FLUX), FigureChoice(relative=own))
        cells = next(line["cells"] for line in drawn["rows"] if line["tag"] == "Slow + TS")
        assert [cell["text"].strip(" s") for cell in cells[1:3]] == [text.strip(" s") for text in texts]
        assert len(drawn["columns"]) == len(cells)


def test_an_empty_chart_says_why() -> None:
    assert chart([], FigureChoice())["empty"].startswith("No row passes all filters.")
    fast = select_settings(FLUX, ["dbcache"], {"R": [0.8]})
    assert chart(fast, FigureChoice("ssim"))["empty"] == "None of these 6 rows prints both SSIM and TFLOPs."


def test_a_setting_is_opened_with_the_rule_of_its_tables() -> None:
    assert named("Medium").method["streak_rule"] == "before"
    assert named("F8").method["streak_rule"] == "1.5.3"  # without a limit, both rules give the same result
    assert named("Baseline: 50 steps, the FoCa paper's").why_not_openable
    assert not named("FoCa(N=8)").why_not_openable


@pytest.mark.parametrize(
    ("axis", "ticks"),
    [
        (Axis(0.93, 8.2, log=True), [1, 1.5, 2, 3, 4, 5, 6, 8]),
        (Axis(9, 48, log=True), [10, 15, 20, 30, 40]),
        (Axis(0.7, 1.07), [0.7, 0.8, 0.9, 1.0]),
        (Axis(1.0, 1.34, log=True), [1, 1.1, 1.2, 1.3]),
        (Axis(29, 37), [30, 32, 34, 36]),
    ],
)
def test_ticks_are_round_and_within(axis: Axis, ticks: list[float]) -> None:
    assert axis.ticks() == pytest.approx(ticks)


def test_an_axis_has_room_for_one_value_and_for_equal_ones() -> None:
    for values in ([3.0], [2.0, 2.0], [0.0]):
        assert 0 < around(values).place(values[0]) < 100
    assert 0 < around([5.0], log=True, turned=True).place(5.0) < 100


# ---- notes ----


def test_every_figure_in_the_notes_is_printed_or_derived() -> None:
    told = {float(text) for note in NOTES for text in re.findall(r"\d+\.\d+", note.text + note.title)}
    printed = {
        float(row[column])
        for row in ROWS
        for column in (*QUALITIES, *SPEEDS, "speedup_tflops", "speedup_latency", "R")
        if row[column] not in ("", "inf")
    }
    # each of these figures is derived below
    worked_out = {2.94, 3719.50, 33.007, 1.0333, 0.04, 0.003, 26.6, 29.8, 27.9}
    assert told - printed == worked_out
    assert round(3719.50 / 1264.63, 2) == 2.94
    assert round(3719.50 / 2.47, 2) == 1505.87  # Chipmunk's figure, exact to two decimals
    assert (round(FAST.clip_score - SLOW.clip_score, 2), round(FAST.image_reward - SLOW.image_reward, 3)) == (
        0.04,
        0.003,
    )
    assert max(setting.value("clip_score") or 0 for setting in select_settings(FLUX)) == 33.0988
    assert max(setting.value("image_reward") or 0 for setting in select_settings(FLUX)) == 1.0591
    assert named("F8").value("clip_score") is None  # F8B0_W8 without a limit: no table has either score
    assert named("Fast").elsewhere == ("The summary table's “DBCache(Fast)” prints 32.552 for clip score.",)


def test_fast_and_ultra_are_whole_numbers_of_computed_steps() -> None:
    full, cached = 3726.87 / 50, 1.3238  # TFLOPs of a step, and of a step that runs one block at the front
    for setting in select_settings(FLUX, ["dbcache", "forecast"], {"R": [0.8]}):
        computed = ((setting.value("tflops") or 0) - 50 * cached) / (full - cached)
        assert computed == pytest.approx(round(computed), abs=0.001)


@pytest.mark.parametrize(("true", "reads"), [(26.6, 29.8), (32.6, 32.9), (7.7, 27.9)])
def test_psnr_in_eight_bit_arithmetic(true: float, reads: float) -> None:
    """Differences and squares of 8-bit values are taken modulo 256, as in the tables' script; the inputs are
    Gaussian noise and unrelated pictures.
    """
    draw = np.random.default_rng(0)
    original = draw.integers(0, 256, (512, 512), dtype=np.uint8)
    sigma = 255 / 10 ** (true / 20)
    other = (
        draw.integers(0, 256, original.shape, dtype=np.uint8)
        if true < 10
        else (np.clip(128 + draw.normal(0, sigma, original.shape), 0, 255).round().astype(np.uint8))
    )
    reference = original if true < 10 else np.full_like(original, 128)
    wrapped = float(np.mean((reference - other) ** 2))
    assert 10 * math.log10(255**2 / wrapped) == pytest.approx(reads, abs=0.2)


def test_notes_on_the_shown_figures_are_marked() -> None:
    def lit(*choice: object) -> list[str]:
        return [
            note["title"].split(" ")[0]
            for note in care_notes(FLUX, FigureChoice(*choice))["notes"]
            if note["on"]
        ]  # type: ignore[arg-type]

    assert lit("psnr", "latency_s", True) == ["PSNR"]
    assert lit("ssim", "tflops", True) == ["The", "Three"]
    assert lit("clip_score", "latency_s", False) == ["Four", "CLIP", "The", "DBCache(Fast)"]
    assert len(care_notes(LIGHTNING, FigureChoice())["notes"]) < len(NOTES)
