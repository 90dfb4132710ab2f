"""``simulate()`` estimates a run under another setting from the survey of a baseline run. It makes no run,
and imports numpy but no torch.

The estimate uses the same Session and the same schedules as a real run. A real run measures the changes on
which a schedule decides; the estimate takes the changes that the baseline run recorded. In a real run, each
cached step alters the picture, and so all later changes. The estimate ignores this effect.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from ..method import Method
from ..plans import COMPUTE_ALWAYS, ModelFacts, Plan, Site, Stack, reason_text, serving_site
from ..records import RunRequest, StepTrace, schedules_of
from ..session import Call
from .expected_psnr import psnr_expected
from .psnr_calibration import WIDEST, PsnrCalibration
from .replay import Replay, replay
from .survey import Survey

UNCALIBRATED = "no estimate of the PSNR: no real runs of this model tell how far estimates are off"
TOO_FAR = f"the picture is so far from the baseline's that the estimate may be off by more than {WIDEST:g} dB"
UNSEEN = "no estimate of the PSNR: the survey does not record how later steps change an error"
_MODE, _TFLOPS, _SECONDS = map(StepTrace._fields.index, ("mode", "tflops", "seconds"))


class Forecast(NamedTuple):
    """The estimate of one run under a setting.

    calls: one tuple for each call of the transformer, with the values of a StepTrace in the order of its
    fields. ``trace`` returns the same calls as StepTraces.
    tflops: TFLOPs of the run; None if the survey cannot count them.
    psnr_db: expected PSNR of the picture against the baseline's picture. None if the survey gives no
    estimate, or if ``identical`` is True.
    band: (low, high) in dB: about nine of ten measured PSNRs lie between them. None if psnr_db is None, or if
    the band would be too wide to be useful.
    identical: True if every step is computed, so that the picture equals the baseline's.
    error: expected root mean square difference of the two pictures; 1 is the range from black to white. None
    if the survey gives no estimate. If psnr_db is None, use the error only to rank settings.
    note: the reason why psnr_db or band is None; "" if both have a value.
    """

    method: dict[str, Any]
    # plain tuples, not StepTraces: a tune holds thousands of forecasts, and reads the calls of few of them
    calls: tuple[tuple[Any, ...], ...]
    seconds: float  # seconds of the denoising loop
    baseline_seconds: float
    tflops: float | None
    baseline_tflops: float
    psnr_db: float | None
    band: tuple[float, float] | None
    identical: bool
    error: float | None
    note: str

    @property
    def trace(self) -> tuple[StepTrace, ...]:
        """Return the expected trace: one StepTrace for each call.

        The time of a call is calculated from the times that the baseline run took for its blocks.
        """
        calls = map(StepTrace._make, self.calls)
        return tuple(
            call._replace(reason=reason_text(call.reason, call.mode, call.change, call.limit))
            for call in calls
        )

    @property
    def schedules(self) -> dict[str, str]:
        """Return each stream's schedule: a string of C, c and p."""
        return schedules_of(map(StepTrace._make, self.calls))

    @property
    def schedule(self) -> str:
        return next(iter(self.schedules.values()), "")

    @property
    def steps_computed(self) -> int:
        return self.schedule.count("C")

    @property
    def speedup(self) -> float:
        """Return the baseline's denoising time divided by the expected time."""
        return self.baseline_seconds / self.seconds

    @property
    def compute_ratio(self) -> float | None:
        return self.baseline_tflops / self.tflops if self.tflops else None


def simulate(
    survey: Survey, method: Method, calibration: PsnrCalibration | None = None, plan: Plan | None = None
) -> Forecast:
    """Estimate a run under ``method``, with the prompt, seed and size of the survey's baseline run.

    calibration: tells how far such estimates are off. With None, the forecast has neither PSNR nor band.
    plan: the plan of ``method``; None: this function makes it.

    Raises EngineError if the method's knobs do not fit the model, or if its schedule needs the change of a
    signal that the survey did not record.
    """
    facts = _facts(survey, method)
    plan = method.plan(facts) if plan is None else plan
    replayed = replay(survey, plan, facts)
    prices = _prices(survey)
    rows = _traced(replayed.session.calls, plan, prices, facts.blocks)
    identical = facts == survey.facts and all(row[_MODE] == "C" for row in rows)
    counted = all(isinstance(site, Stack) for site in plan.sites)
    error, psnr_db, band, note = _judged(survey, replayed, calibration, identical)
    return Forecast(
        method=method.to_dict(),
        calls=rows,
        baseline_seconds=survey.loop_seconds,
        seconds=prices.step_seconds * facts.steps + sum([row[_SECONDS] for row in rows]),
        tflops=sum([row[_TFLOPS] for row in rows]) if counted else None,
        baseline_tflops=prices.full_tflops * survey.facts.steps * len(survey.facts.streams),
        psnr_db=psnr_db,
        band=band,
        identical=identical,
        error=error,
        note=note,
    )


def _judged(
    survey: Survey, replayed: Replay, calibration: PsnrCalibration | None, identical: bool
) -> tuple[float | None, float | None, tuple[float, float] | None, str]:
    """Return four fields of the Forecast: ``error``, ``psnr_db``, ``band`` and ``note``."""
    if identical:
        return 0.0, None, None, "every step is computed, so the picture equals the baseline's"
    if replayed.errors is None:
        return None, None, None, replayed.note
    psnr_db = psnr_expected(survey, replayed)
    if psnr_db is None:
        return None, None, None, UNSEEN
    error = 10 ** (-psnr_db / 20)
    if replayed.note or calibration is None:
        return error, None, None, replayed.note or UNCALIBRATED
    band = calibration.band(psnr_db)
    return error, psnr_db, band, "" if band else TOO_FAR


def _facts(survey: Survey, method: Method) -> ModelFacts:
    """Return the model facts for a run under ``method``. Some methods, such as FewerSteps, change the number
    of steps.
    """
    if type(method).effective is Method.effective:
        return survey.facts
    steps = method.effective(RunRequest(**survey.request)).steps
    return survey.facts._replace(steps=steps or survey.facts.steps)


class Prices(NamedTuple):
    """The time and the compute of each part of a run, from the survey of its baseline.

    step_seconds: mean time of a step without its calls of the transformer.
    call_seconds: by stream, the mean time of a call that computes every block.
    seconds: by stream, a list. Entry k is the mean time of the first k blocks of a call.
    full_tflops: TFLOPs of a call that computes every block.
    tflops: a list. Entry k is the TFLOPs of the first k blocks.
    """

    step_seconds: float
    call_seconds: dict[str, float]
    seconds: dict[str, list[float]]
    full_tflops: float
    tflops: list[float]


def _prices(survey: Survey) -> Prices:
    if "prices" not in survey.memo:
        names, steps = survey.facts.streams, survey.facts.steps
        calls = survey.call_seconds.mean(axis=1)
        # The mean of each block's share of its call, and not of its seconds. Otherwise a call that the
        # operating system interrupted would count more than the others.
        shares = (survey.block_seconds / survey.call_seconds).mean(axis=2)
        sums = np.concatenate([np.zeros((1, len(names))), shares.cumsum(axis=0) * calls])
        survey.memo["prices"] = Prices(
            survey.loop_seconds / steps - float(calls.sum()),
            dict(zip(names, calls.tolist())),
            {name: sums[:, place].tolist() for place, name in enumerate(names)},
            survey.call_tflops,
            [0.0, *survey.block_tflops.cumsum().tolist()],
        )
    return survey.memo["prices"]


def _traced(calls: Sequence[Call], plan: Plan, prices: Prices, blocks: int) -> tuple[tuple[Any, ...], ...]:
    """Return one tuple for each call: the values of a StepTrace in the order of its fields."""
    full = {
        name: (blocks, blocks, prices.full_tflops, seconds) for name, seconds in prices.call_seconds.items()
    }
    served: dict[Site | None, Any] = {
        site: _served(site, prices, blocks) for site in plan.sites if isinstance(site, Stack)
    }
    always = all(site.steps is None for site in plan.sites)
    modes = {mode: served.get(serving_site(plan, 0, mode), full) for mode in ("C", "c", "p")}
    rows: list[tuple[Any, ...]] = []
    for call in calls:
        decision = call.decision or COMPUTE_ALWAYS
        mode, reason, limit, detail = decision
        cost = modes[mode] if always else served.get(serving_site(plan, call.step, mode), full)
        text, stream = decision.text if detail else reason, call.stream
        rows.append((call.step, call.number, stream, mode, text, call.measured, limit, *cost[stream]))
    return tuple(rows)


def _served(site: Stack, prices: Prices, blocks: int) -> dict[str, tuple[int, int, float, float]]:
    """Return, by stream, four figures of a call that skips the blocks of ``site``: the number of blocks that
    run, the number of all blocks, TFLOPs, seconds.
    """
    run, tflops = (
        blocks - (site.stop - site.start),
        prices.full_tflops - (prices.tflops[site.stop] - prices.tflops[site.start]),
    )
    return {
        name: (run, blocks, tflops, prices.call_seconds[name] - (sums[site.stop] - sums[site.start]))
        for name, sums in prices.seconds.items()
    }
