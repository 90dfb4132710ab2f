"""Tests all TFLOPs of the published tables: each is the computed steps times the cost of a step, or the
reason why not is known.

A DBCache figure is a mean over DrawBench's 200 prompts. It adds up full steps of FLUX.1-dev for the computed
steps, and the first F blocks for the other steps. So the number of computed steps that follows from it must
be a whole number divided by 200.
"""

from __future__ import annotations

from functools import cache

import pytest

from cache_engine.benchmark.settings import PublishedRow, published_rows
from cache_engine.flops import costs
from cache_engine.method import METHODS, Method, method_from
from cache_engine.models.catalog import MODELS, resolve
from cache_engine.recipe import format_recipe
from cache_engine.records import RunRequest
from cache_engine.session import walk
from studies.published_rows import ROWS

REQUEST = resolve(RunRequest(model="flux-dev", prompt="-", steps=50, width=1024, height=1024))
FACTS = MODELS["flux-dev"].facts(REQUEST)
FLUX = tuple(row for row in published_rows() if row.model == "FLUX.1-dev")
PROMPTS = 200
NEAR = 0.02  # TFLOPs: the tables print two decimals
# The other methods' steps in the FoCa paper's unit, 74.39 for a step. A partial step costs 4.51 (a tenth of
# the tokens) or 0.0205 (no token).
BY_HAND = {
    "ToCa(N=12)": (
        6 * 74.39 + 44 * 4.51,
        0.1,
        "6 computed, 44 with a tenth of the tokens; the last digits are a misprint",
    ),
    "DuCa(N=5)": (
        12 * 74.39 + 19 * 4.51 + 19 * 0.0205,
        NEAR,
        "12 computed, 19 with a tenth of the tokens, 19 with none",
    ),
    "DuCa(N=10)": (
        7 * 74.39 + 19 * 4.51 + 24 * 0.0205,
        NEAR,
        "7 computed, 19 with a tenth of the tokens, 24 with none",
    ),
    "Chipmunk": (3719.50 / 2.47, NEAR, "no count: the baseline over the ratio that its paper gives"),
}
LIGHTNING = {274.33, 264.74, 244.25, 234.63, 224.29, 206.90}  # explained in tests/engine/test_lightning.py


def settings() -> dict[str, tuple[Method, float]]:
    """Return the DBCache settings of FLUX.1-dev: recipe -> (method, TFLOPs). Each has one figure, in whatever
    tables it occurs.
    """
    collected: dict[str, tuple[Method, float]] = {}
    for row in FLUX:
        if row.method["name"] == "dbcache":
            method = method_from(row.method)
            assert collected.setdefault(format_recipe(method), (method, row.figures["tflops"])) == (
                method,
                row.figures["tflops"],
            )
    return collected


SETTINGS = settings()


@cache
def step(front: int) -> tuple[float, float]:
    """Return the TFLOPs of a computed step and of a cached step; a forecast adds less than a millionth."""
    cost = costs(
        REQUEST,
        METHODS["dbcache"](Fn_compute_blocks=front, residual_diff_threshold=1, taylorseer_order=0).plan(
            FACTS
        ),
    )
    return cost("C", 0), cost("c", 49)


def implied(method: Method, tflops: float) -> float:
    """Return how many of 50 steps were computed, on average."""
    full, cached = step(method.model_dump()["Fn_compute_blocks"])
    return (tflops - 50 * cached) / (full - cached)


def total(method: Method, computed: float) -> float:
    """Return the TFLOPs of 50 steps of which this many are computed."""
    full, cached = step(method.model_dump()["Fn_compute_blocks"])
    return computed * full + (50 - computed) * cached


def fewest(method: Method) -> int:
    """Return the number of computed steps for a picture whose changes are below every threshold."""
    calls = walk(
        method.replaced(residual_diff_threshold=1).plan(FACTS), 50, ("cond",), lambda call: 0.0
    ).trace
    return sum(call.mode == "C" for call in calls)


def whole(method: Method, tflops: float) -> bool:
    return abs(total(method, round(implied(method, tflops))) - tflops) <= NEAR


@pytest.mark.parametrize("recipe", SETTINGS)
def test_a_setting_computed_so_many_steps(recipe: str) -> None:
    method, tflops = SETTINGS[recipe]
    steps = implied(method, tflops)
    assert fewest(method) - 1e-3 <= steps <= 50
    assert total(method, round(steps * PROMPTS) / PROMPTS) == pytest.approx(tflops, abs=NEAR)
    # the change never reaches it, so the schedule is fixed
    if method.model_dump()["residual_diff_threshold"] == 0.8:
        assert whole(method, tflops)
        assert round(steps) == fewest(method)


def test_half_of_them_computed_as_many_steps_for_every_prompt() -> None:
    assert len(SETTINGS) == 78
    assert sum(whole(*setting) for setting in SETTINGS.values()) == 39


def test_the_tables_of_these_settings_could_not_be_had_by_chance() -> None:
    """The check above accepts a figure within 0.02 TFLOPs of a 200th of a step, which is 0.37 TFLOPs. By
    chance one figure in nine would pass; here all 39 do.
    """
    loose = [SETTINGS[recipe] for recipe in SETTINGS if not whole(*SETTINGS[recipe])]
    assert len(loose) == 39
    assert (
        max(abs(implied(*setting) * PROMPTS - round(implied(*setting) * PROMPTS)) for setting in loose) < 0.05
    )


def reason(row: PublishedRow) -> str | None:
    """Return the explanation of the row's TFLOPs."""
    name, tflops = row.method["name"], row.figures["tflops"]
    if row.model != "FLUX.1-dev":
        return "Lightning" if tflops in LIGHTNING else None
    if name == "baseline":
        return "50 full steps" if tflops == 3726.87 else None
    if name == "dbcache":
        return "computed steps"
    if any(
        row_of_rivals.published == tflops
        and method_from({"name": row_of_rivals.name, **row_of_rivals.knobs}).to_dict() == row.method
        for row_of_rivals in ROWS
    ):
        return "as its method's schedule says: tests/engine/test_published_rows.py"
    return "by hand" if row.config in BY_HAND else None


def test_no_row_is_left_out() -> None:
    assert len(published_rows()) == 232
    assert [row.config for row in published_rows() if reason(row) is None] == []


@pytest.mark.parametrize("config", BY_HAND)
def test_what_is_not_counted_is_worked_out_by_hand(config: str) -> None:
    expected, near, why = BY_HAND[config]
    row = next(row for row in FLUX if row.config == config)
    assert row.figures["tflops"] == pytest.approx(expected, abs=near), why
