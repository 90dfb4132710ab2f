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
