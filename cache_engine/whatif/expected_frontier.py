"""Estimates from a survey which settings of DBCache are on the frontier. The code uses numpy, not torch.

Several hundred settings (the grid) are simulated in about a second. Their thresholds lie within the changes
that the survey recorded. The frontier has those settings that no other setting of the grid beats in both
speed and error.
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
THRESHOLDS = 10  # number of thresholds in the grid
GAPS = (1, 2, 4, 6)  # changes between a step and the step this many steps earlier give the thresholds
STEP = 0.01  # distance between two positions of the threshold's slider


def frontier(survey: Survey, calibration: PsnrCalibration | None = None) -> tuple[Forecast, ...]:
    """Return the forecasts of the settings on the frontier, the slowest first.

    calibration: gives the forecasts their PSNR and band; None: they have neither.

    The result is computed once and then stored in the survey's ``memo``.
    """
    key = ("frontier", calibration)
    if key not in survey.memo:
        survey.memo[key] = _unbeaten([simulate(survey, method, calibration) for method in settings(survey)])
    return survey.memo[key]


def settings(survey: Survey) -> Iterator[Method]:
    """Yield the setting that computes every step, and then the settings of the grid."""
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
    """Return the grid's thresholds: multiples of ``STEP`` that lie within the recorded changes.

    front: the number of first blocks whose residual is the signal.
    """
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
    """Return the forecasts that no other forecast beats in both speed and error, the slowest first. Of two
    equally fast forecasts, the one with the smaller error stays.
    """
    unbeaten: list[Forecast] = []
    for forecast in sorted(forecasts, key=lambda forecast: (-forecast.speedup, forecast.error or 0.0)):
        if not unbeaten or (forecast.error or 0.0) < (unbeaten[-1].error or 0.0):
            unbeaten.append(forecast)
    return tuple(reversed(unbeaten))
