"""The runs of the quality study: prompts, and every method at about 6, 8, 12 and 17 computed steps of 50."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from assets.train_tiny_flux.evaluate import held_out
from cache_engine import METHODS, Method, RunRequest, method_from

FOUND = Path(__file__).with_name("found.json")  # the results of studies.quality.search
WINNERS = {"DBCache": "DBCache's best (search)", "ours": "Ours (search)"}
STEPS = 50
BUDGETS = (6, 8, 12, 17)
# Pairs of thing and background that training never showed, each in one place and size. Neither a search nor a
# fit uses SCORED.
SEARCHED, SCORED = 8, 50


class Contender(NamedTuple):
    """One row of the tables. ``budget``: the approximate number of computed steps."""

    label: str
    budget: int
    method: Method


@cache
def prompts() -> tuple[str, ...]:
    """Return the SEARCHED prompts, on which settings may be chosen, then the SCORED prompts, which are only
    scored.
    """
    return tuple(text for _, text in held_out(SEARCHED + SCORED, seed=29))


def request(number: int) -> RunRequest:
    return RunRequest(model="tiny", prompt=prompts()[number], seed=1000 + number, steps=STEPS)


def every(interval: int) -> str:
    """Return a mask that computes the first step and then every ``interval``-th step."""
    return "".join("1" if step % interval == 0 else "0" for step in range(STEPS))


# By budget, for methods with a fixed schedule: the interval of TaylorSeer's schedule, and the interval of an
# even mask (6, 8, 13 and 17 computed steps).
INTERVAL = {6: 15, 8: 9, 12: 5, 17: 3}
EVEN = {6: 9, 8: 7, 12: 4, 17: 3}
# Knobs by budget. The thresholds were set on the search's prompts, so that about the same number of steps is
# computed.
BY_BUDGET: dict[str, dict[int, dict[str, Any]]] = {
    "fewer_steps": {
        6: {"fraction": 0.12},
        8: {"fraction": 0.16},
        12: {"fraction": 0.24},
        17: {"fraction": 0.34},
    },
    "fora": {6: {"interval": 9}, 8: {"interval": 7}, 12: {"interval": 5, "first": 3}, 17: {"interval": 3}},
    "toca": {6: {"interval": 12}, 8: {"interval": 8}, 12: {"interval": 5}, 17: {"interval": 3}},
    "duca": {6: {"interval": 12}, 8: {"interval": 8}, 12: {"interval": 5}, 17: {"interval": 3}},
    "chipmunk": {6: {"interval": 10}, 8: {"interval": 7}, 12: {"interval": 5}, 17: {"interval": 3}},
    "delta_dit": {6: {"interval": 9}, 8: {"interval": 7}, 12: {"interval": 4}, 17: {"interval": 3}},
    "foca": {budget: {"interval": interval} for budget, interval in INTERVAL.items()},
    "hicache": {budget: {"interval": interval} for budget, interval in INTERVAL.items()},
    "spectrum": {
        6: {"first": 3, "window": 5.0, "growth": 5.0},
        8: {"first": 4, "window": 3.0, "growth": 4.0},
        12: {"first": 5, "window": 3.0, "growth": 1.0},
        17: {"first": 3, "window": 2.0, "growth": 0.25},
    },
    "kriging": {6: {"interval": 9}, 8: {"interval": 7}, 12: {"interval": 4}, 17: {"interval": 3}},
    "teacache": {
        6: {"threshold": 0.63},
        8: {"threshold": 0.475},
        12: {"threshold": 0.281},
        17: {"threshold": 0.165},
    },
    "magcache": {
        budget: {
            "threshold": threshold,
            "max_continuous_cached_steps": longest,
            "landmark": -1,
            "fraction": first,
        }
        for budget, threshold, longest, first in (
            (6, 1.0, 12, 0.04),
            (8, 0.375, 9, 0.04),
            (12, 0.125, 6, 0.04),
            (17, 0.094, 4, 0.1),
        )
    },
}
# by budget: DBCache's threshold with F1 and W2, without limits
DRIFT = {6: 0.46, 8: 0.295, 12: 0.171, 17: 0.103}
PUBLISHED: dict[int, tuple[str, dict[str, Any]]] = {  # the rows of the published table, unchanged
    6: (
        "Ultra",
        dict(
            max_warmup_steps=8, warmup_interval=4, max_continuous_cached_steps=10, residual_diff_threshold=0.8
        ),
    ),
    8: (
        "Fast",
        dict(
            max_warmup_steps=8, warmup_interval=2, max_continuous_cached_steps=8, residual_diff_threshold=0.8
        ),
    ),
    12: ("Medium", dict(max_warmup_steps=4, max_continuous_cached_steps=6, residual_diff_threshold=0.24)),
    17: ("Slow", dict(max_warmup_steps=4, max_continuous_cached_steps=4, residual_diff_threshold=0.2)),
}
FORECASTS = (
    ("taylor", 0),
    ("taylor", 1),
    ("taylor", 2),
    ("newton", 2),
    ("hermite", 2),
    ("foca", 1),
    ("chebyshev", 1),
    ("dmd", 1),
)
MASKS = {8: ("golden 9", "golden 9b"), 12: ("budcache 13", "meancache 13")}


def contenders() -> Iterator[Contender]:
    """Yield all rows of the tables, the winners of the search first."""
    yield from winners()
    for budget in BUDGETS:
        yield from _plain(budget)
        yield from _dbcache(budget)


def searches() -> dict[tuple[str, int], dict[str, Any]]:
    """Return the results of studies.quality.search by label and budget; empty before its first run."""
    if not FOUND.is_file():
        return {}
    named = {
        tuple(name.split(", ")): result
        for name, result in json.loads(FOUND.read_text(encoding="utf-8"))["found"].items()
    }
    return {(WINNERS[space], int(budget)): result for (space, budget), result in named.items()}


def winners() -> Iterator[Contender]:
    """Yield the best setting of DBCache's space and of our space, with equal TFLOPs."""
    for (label, budget), result in searches().items():
        yield Contender(label, budget, method_from(result["method"]))


def _method(name: str, **knobs: Any) -> Method:
    return method_from({"name": name, **knobs})


def _plain(budget: int) -> Iterator[Contender]:
    for name, knobs in BY_BUDGET.items():
        yield Contender(METHODS[name].title, budget, _method(name, **knobs[budget]))
    yield Contender(
        "Δ-DiT, staged", budget, _method("delta_dit", **BY_BUDGET["delta_dit"][budget], rule="staged")
    )
    for site in ("modules", "stack"):
        for order in (1, 2):
            lite = ", lite" if site == "stack" else ""
            yield Contender(
                f"TaylorSeer O={order}{lite}",
                budget,
                _method("taylorseer", interval=INTERVAL[budget], order=order, site=site),
            )
    for mask in MASKS.get(budget, ()):
        yield Contender(f"{mask}, reused", budget, _method("fixed_mask", mask=mask))
        yield Contender(
            f"{mask}, Hermite", budget, _method("fixed_mask", mask=mask, predictor="hermite", order=2)
        )


def _dbcache(budget: int) -> Iterator[Contender]:
    title, knobs = PUBLISHED[budget]
    yield Contender(
        f"DBCache({title}) + TaylorSeer(O=1), as published",
        budget,
        _method("dbcache", **knobs, Fn_compute_blocks=1, taylorseer_order=1),
    )
    for order in (0, 1):
        yield Contender(
            f"DBCache F1 W2 R{DRIFT[budget]:g}, O={order}",
            budget,
            _method(
                "dbcache", max_warmup_steps=2, residual_diff_threshold=DRIFT[budget], taylorseer_order=order
            ),
        )
    for predictor, order in FORECASTS:
        yield Contender(
            f"DBCache F1, even mask, {predictor} {order}" if order else "DBCache F1, even mask, reused",
            budget,
            _method(
                "dbcache",
                steps_computation_mask=every(EVEN[budget]),
                steps_computation_policy="static",
                residual_diff_threshold=1.0,
                predictor=predictor,
                taylorseer_order=order,
            ),
        )
