"""Estimates from a survey the best PSNR of DBCache at every speed. The code uses numpy, not torch.

A grid of settings is simulated in about a second. The grid's thresholds come from the recorded changes. The
result has the settings that no other setting beats.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product

import numpy as np

from ..method import Method
from ..methods.dbcache import DBCache
from ..plans import Signal
from .psnr_calibration import PsnrCalibration
from .simulation import Forecast, simulate
from .survey import Survey

WARM_UPS, IN_A_ROW, ORDERS = (2, 4, 8), (1, 2, 3, 5, -1), (0, 1, 2)
THRESHOLDS = 10  # number of thresholds within the recorded changes
GAPS = (1, 2, 4, 6)  # distances in steps at which changes are collected
STEP = 0.01  # one step of the threshold's slider


def frontier(survey: Survey, calibration: PsnrCalibration | None = None) -> tuple[Forecast, ...]:
    """Return forecasts from the baseline's own speed to the fastest. No setting of the grid is both faster
    and closer to the baseline than one of these.

    The result is computed once for each survey and stored in the survey's memo.
    """
    key = ("frontier", calibration)
    if key not in survey.memo:
        survey.memo[key] = _unbeaten([simulate(survey, method, calibration) for method in settings(survey)])
    return survey.memo[key]


def settings(survey: Survey) -> Iterator[Method]:
    """Yield the settings of the grid, and the setting that computes every step."""
    facts = survey.facts
    yield DBCache(max_warmup_steps=min(4, facts.steps), residual_diff_threshold=0.0)
    fronts = sorted({1, max(1, facts.blocks // 7)}) if facts.blocks > 1 else []
    warm_ups = sorted({min(steps, max(1, facts.steps // 2)) for steps in WARM_UPS})
    for front in fronts:
        for threshold, warm_up, row, order in product(_thresholds(survey, front), warm_ups, IN_A_ROW, ORDERS):
            yield DBCache(
                Fn_compute_blocks=front,
                max_warmup_steps=warm_up,
                max_continuous_cached_steps=row,
                residual_diff_threshold=threshold,
                taylorseer_order=order,
            )


def _thresholds(survey: Survey, front: int) -> list[float]:
    """Return multiples of the slider's step that lie within the recorded changes after ``front`` blocks."""
    changes = survey.changes(Signal("front_residual", "computed"), front) or []
    recorded = [
        stream[step - gap][step]
        for stream in changes
        for gap in GAPS
        for step in range(gap, survey.facts.steps)
    ]
    if not recorded:
        return []
    places = np.quantile(recorded, np.linspace(0.05, 1, THRESHOLDS))
    return sorted({min(0.99, round(float(np.ceil(place / STEP) * STEP), 2)) for place in places})


def _unbeaten(forecasts: list[Forecast]) -> tuple[Forecast, ...]:
    """Return the unbeaten forecasts from slow to fast. Of two equally fast forecasts,
    the closer one stays.
    """
    unbeaten: list[Forecast] = []
    for forecast in sorted(forecasts, key=lambda forecast: (-forecast.speedup, forecast.error or 0.0)):
        if not unbeaten or (forecast.error or 0.0) < (unbeaten[-1].error or 0.0):
            unbeaten.append(forecast)
    return tuple(reversed(unbeaten))
