"""Tests the counts in docs/tune.md: chance is calculated correctly, and a run stands only for settings with
the same run.
"""

from __future__ import annotations

import itertools
import statistics
from math import inf

import pytest

from cache_engine.methods.dbcache import DBCache
from cache_engine.methods.fewer_steps import FewerSteps
from cache_engine.plans import ModelFacts
from cache_engine.records import schedules_of
from cache_engine.session import Call, Session
from studies.tune.grid import GridRun
from studies.tune.replay import best_by_chance, missed_by_chance, runs_needed, runs_needed_by_chance

FACTS = ModelFacts(12, 8, ("cond", "uncond"))
METHOD = DBCache(max_warmup_steps=2, residual_diff_threshold=0.2, max_continuous_cached_steps=3)


def test_chance_is_that_of_all_ways_to_draw() -> None:
    settings = [1.0, 1.02, 1.5, 2.0, inf, inf, inf, inf]
    for runs in range(1, 6):
        ways = list(itertools.combinations(settings, runs))
        assert missed_by_chance(8, 2, runs) == pytest.approx(sum(min(way) > 1.03 for way in ways) / len(ways))
        assert best_by_chance(settings, runs) == statistics.median_low(min(way) for way in ways)
    orders = [
        next(place for place, value in enumerate(order, 1) if value < 1.03)
        for order in itertools.permutations(settings)
    ]
    assert runs_needed_by_chance(8, 2) == statistics.median_low(orders)


def test_runs_are_counted_until_the_best_is_near_the_grids() -> None:
    assert runs_needed((inf, 1.2, 1.02, 1.0), best=1.0) == 3
    assert runs_needed((inf, 1.2), best=1.0) is None


def ran(method: DBCache) -> GridRun:
    """Make a run on changes that grow with the time since the last computed step, and are larger in the
    second stream.
    """
    since: dict[str, int] = {}

    def change(call: Call) -> float:
        return 0.05 * (call.step - since[call.stream]) * (1 if call.stream == "cond" else 1.1)

    session = Session(lambda _: method.plan(FACTS), FACTS.blocks, streams=FACTS.streams)
    session.begin(FACTS.steps)
    changes = {}
    for _ in range(FACTS.steps * len(FACTS.streams)):
        call = session.open()
        changes[call.step, call.stream] = change(call) if call.ready else None
        session.decide(call, lambda call=call: change(call))
        if call.decision is not None and call.decision.mode == "C":
            since[call.stream] = call.step
    return GridRun(method, 40.0, 1.0, schedules_of(session.trace), changes, "")


def test_a_run_stands_for_settings_that_decide_every_call_alike() -> None:
    run = ran(METHOD)
    assert run.schedules == {"cond": "CCcccCcc", "uncond": "CCcccCcc"}
    assert run.stands_for(METHOD.replaced(residual_diff_threshold=0.17), FACTS)
    assert run.stands_for(METHOD.replaced(residual_diff_threshold=1), FACTS)
    assert not run.stands_for(
        METHOD.replaced(residual_diff_threshold=0.16), FACTS
    )  # the second stream has 0.165
    assert not run.stands_for(METHOD.replaced(max_continuous_cached_steps=2), FACTS)
    assert not run.stands_for(
        METHOD.replaced(taylorseer_order=2), FACTS
    )  # the same decisions, but another prediction
    assert not run.stands_for(METHOD.replaced(Fn_compute_blocks=2), FACTS)
    assert not run.stands_for(FewerSteps(fraction=0.5), FACTS)
