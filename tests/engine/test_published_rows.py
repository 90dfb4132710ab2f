"""Tests the other methods' rows of the published table: our count as a ratio to the plain 50 steps, against
theirs.

Each mode of each kind of plan is counted once on a meta copy of FLUX.1-dev, and then remembered.
"""

from __future__ import annotations

from typing import Any

import pytest

from cache_engine.flops import costs
from cache_engine.method import method_from
from cache_engine.models.catalog import MODELS
from cache_engine.records import RunRequest
from studies.published_rows import PAGE, PLAIN, ROWS, PublishedSetting, count, page


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.label)
def test_the_ratio_to_the_plain_model_is_the_published_one(row: PublishedSetting) -> None:
    counted, expected = count(row), row.honest or row.published
    assert expected
    assert [counted.modes.count(mode) for mode in "Ccp"] == [row.computed, row.cached, row.partial]
    assert counted.ratio == pytest.approx(PLAIN / expected, rel=0.003)


@pytest.mark.parametrize(
    ("name", "knobs", "cost_of_a_cached_step"),
    [
        ("fora", {}, 0.0227),  # the embedders and all modulations run
        (
            "fora",
            {"before_projection": True},
            1.675,
        ),  # the output projections of the double blocks' attention run too
        ("magcache", {}, 0.0162),  # the embedders and the last layer run
        ("teacache", {}, 0.0163),  # the first block's norm runs too, for the signal
        ("delta_dit", {}, 24.81),  # all double blocks run
    ],
)
def test_a_cached_step_costs_what_still_runs(
    name: str, knobs: dict[str, Any], cost_of_a_cached_step: float
) -> None:
    """The reference is torch's own flop counter, which does not count element-wise operations (0.006 at
    most).
    """
    row = MODELS["flux-dev"]
    request = row.resolve(RunRequest(model="flux-dev", prompt="-", steps=50, width=1024, height=1024))
    cost = costs(request, method_from({"name": name, **knobs}).plan(row.facts(request)))
    assert cost("C", 0) == pytest.approx(74.5375, rel=1e-5)
    assert cost("c", 20) == pytest.approx(cost_of_a_cached_step, rel=0.003, abs=0.006)


def test_the_page_of_rows_says_what_is_counted() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "run: python -m studies.published_rows"
