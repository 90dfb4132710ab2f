"""Tests the checks of the endpoints' arguments."""

from __future__ import annotations

from typing import Any

import pytest

from app.api import _tune_task
from cache_engine import EngineError

TASK = {"prompts": ["a red apple"], "request": {"model": "tiny"}, "goal": {"kind": "close", "value": 30}}


@pytest.mark.parametrize("minutes", [None, 1, 0.5, 10_000])
def test_a_tune_may_have_a_budget_in_minutes(minutes: float | None) -> None:
    assert _tune_task(TASK | {"minutes": minutes})[1] == minutes


@pytest.mark.parametrize("minutes", [True, False, 0, -1, 10_001, float("nan"), float("inf"), "5", [5]])
def test_a_budget_that_is_no_number_of_minutes_is_refused(minutes: Any) -> None:
    with pytest.raises(EngineError, match=r"^minutes: .* is not valid; give a number from 0 to 10000\.$"):
        _tune_task(TASK | {"minutes": minutes})


def test_the_ranges_of_a_task_have_a_largest_length() -> None:
    """Every open page asks for the list of jobs: 15 MB of ranges made each look take seconds."""
    vary = {"dbcache": {f"knob{number}": "1, " * 1000 for number in range(30)}}
    with pytest.raises(EngineError, match=r"^vary: [0-9,]+ characters are more than 64,000"):
        _tune_task(TASK | {"vary": vary})


def test_the_settings_of_a_task_have_a_largest_number() -> None:
    vary = {"dbcache": {"residual_diff_threshold": "0.01..0.9 /200", "max_warmup_steps": "1..28 /28"}}
    vary["dbcache"] |= {"Fn_compute_blocks": "1..11", "taylorseer_order": "0..2"}
    with pytest.raises(EngineError, match=r"^ranges: [0-9]+ settings are more than 20000"):
        _tune_task(TASK | {"vary": vary})
