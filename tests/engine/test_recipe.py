"""Tests recipes: every published name can be read, recipes come back unchanged, and
errors name the bad part.
"""

from __future__ import annotations

import csv
import random
from pathlib import Path

import pytest

from cache_engine.method import METHODS
from cache_engine.recipe import BASELINE, format_recipe, is_recipe, parse_recipe, read_name
from cache_engine.strict import EngineError

TABLE = Path(__file__).resolve().parents[2] / "presets" / "published.csv"
with TABLE.open(encoding="utf-8") as file:
    ROWS = list(csv.DictReader(file))
NAMES = list(dict.fromkeys(row["config"] for row in ROWS))
RECIPES = [name for name in NAMES if is_recipe(name) and name != BASELINE]
COLUMNS = {
    "F": "Fn_compute_blocks",
    "B": "Bn_compute_blocks",
    "W": "max_warmup_steps",
    "I": "warmup_interval",
    "MC": "max_continuous_cached_steps",
    "R": "residual_diff_threshold",
}


def test_the_tables_are_complete() -> None:
    assert (len(NAMES), len(RECIPES)) == (111, 83)


@pytest.mark.parametrize("name", NAMES)
def test_every_published_name_is_read(name: str) -> None:
    setting = read_name(name)
    assert setting["name"]
    if setting["name"] in METHODS:
        METHODS[setting["name"]](**{key: value for key, value in setting.items() if key != "name"})


@pytest.mark.parametrize(
    "row", [row for row in ROWS if is_recipe(row["config"]) and row["F"]], ids=lambda row: row["config"]
)
def test_a_recipe_means_what_the_table_says(row: dict[str, str]) -> None:
    knobs = read_name(row["config"])
    for column, knob in COLUMNS.items():
        if row[column]:
            wanted = float(row[column])
            assert knobs[knob] == (-1 if column == "MC" and wanted == 0 else wanted)
    assert knobs["taylorseer_order"] == (int(row["O"]) if row["T"] == "1" else 0)


@pytest.mark.parametrize("name", RECIPES)
def test_recipes_round_trip(name: str) -> None:
    method = parse_recipe(name)
    assert parse_recipe(format_recipe(method)) == method
    assert format_recipe(parse_recipe(format_recipe(method))) == format_recipe(method)


@pytest.mark.parametrize("predictor", ["taylor", "newton", "foca", "hermite", "chebyshev", "dmd"])
def test_another_forecast_is_another_recipe(predictor: str) -> None:
    method = METHODS["dbcache"](predictor=predictor, taylorseer_order=2)
    text = format_recipe(method)
    assert parse_recipe(text) == method
    assert text.endswith("T1O2" if predictor == "taylor" else f"T1O2_{predictor}")
    assert not is_recipe(predictor)


def test_any_order_of_parts() -> None:
    parts = ["F8B0", "W4I2", "MC3", "R0.12", "T1O2"]
    wanted = parse_recipe("_".join(parts))
    for _ in range(20):
        random.Random(0).shuffle(parts)
        assert parse_recipe("_".join(parts)) == wanted


def test_a_mask_travels() -> None:
    method = METHODS["dbcache"](steps_computation_mask="1101", steps_computation_policy="static")
    assert parse_recipe(format_recipe(method)) == method


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("", "recipe"),
        ("F8B0_X3", "'X3'"),
        ("F8F4", "F stands twice"),
        ("W2.5", "W2.5 is not a whole number"),
        ("F0B0", "Fn_compute_blocks: 0"),
        ("R1.5", "residual_diff_threshold: 1.5"),
        ("O7", "taylorseer_order: 7"),
        ("the fox", "recipe"),
        ("R0.1é", "recipe"),
    ],
)
def test_a_bad_recipe_is_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(EngineError, match=r"[.;]") as error:
        parse_recipe(text)
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


def test_zero_means_no_limit_and_t0_means_no_forecast() -> None:
    knobs = parse_recipe("F1B0_W4M0MC0_T0O1_R0.08").model_dump()
    assert (knobs["max_cached_steps"], knobs["max_continuous_cached_steps"], knobs["taylorseer_order"]) == (
        -1,
        -1,
        0,
    )


def test_the_streak_rule_goes_along() -> None:
    """Two settings that decide differently have different recipes."""
    before, now = (
        METHODS["dbcache"](max_continuous_cached_steps=4, streak_rule=rule) for rule in ("before", "1.5.3")
    )
    assert format_recipe(before) == f"{format_recipe(now)}_before"
    assert parse_recipe(format_recipe(before)) == before
    assert parse_recipe(format_recipe(now)) == now


@pytest.mark.parametrize(
    ("name", "values", "written"),
    [
        ("teacache", (0.1, 1.0, 1.0001, 1.0004), ("0.1", "1", "1.0001", "1.0004")),
        ("magcache", (0.06, 0.1 + 0.2, 0.3), ("0.06", "0.30000000000000004", "0.3")),
    ],
)
def test_other_methods_that_differ_are_written_otherwise(
    name: str, values: tuple[float, ...], written: tuple[str, ...]
) -> None:
    texts = [format_recipe(METHODS[name](threshold=value)) for value in values]
    assert [text.split("threshold=")[1].split(",")[0].rstrip(")") for text in texts] == list(written)
