"""Makes the values of headline, timeline and dial for a forecast: estimated from a baseline's survey, not
measured.

The functions only compute values. A figure that the survey cannot estimate becomes "no estimate", with the
reason; figures are never guessed.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from cache_engine import Comparison, Forecast

from ..components.dial import DialPoint, DialRun, DialThumb, DialValue
from ..components.headline import HeadlineCard, HeadlineValue
from ..components.stale import StaleValue
from ..components.timeline import TimelineValue
from ..timeline import Marks, remedy, timeline_value
from ..views import ABOUT, card, less_compute, place, scale
from ..words import decibels, flops_unit, likeness, memory, number, plural, seconds, significant, times_faster

NO_ESTIMATE = "no estimate"
FASTEST = 4.0  # times faster, at the end of the dial
EXPECTED = (
    "Estimated from the baseline's survey. The code that decides in a real run decides here too, on "
    "the recorded changes. The time follows from the times of the baseline's blocks, the PSNR from the "
    "errors of the predictions. A cache also moves the picture off the baseline's path, and the survey "
    "does not know how far: run the setting to be sure.",
)


def headline(forecast: Forecast, last: Comparison, *, cache: int | None = None) -> HeadlineValue:
    """Return four cards with the last run's figures as notes. ``cache``: bytes that the cache will take."""
    return {
        "state": "expected",
        "cards": [
            _speed(forecast, last),
            _compute(forecast, last),
            _psnr(forecast, last),
            _ssim(last, cache),
        ],
        "about": [*EXPECTED, *ABOUT[1:2]],
        "published": None,
    }


def _speed(forecast: Forecast, last: Comparison) -> HeadlineCard:
    note = f"last run {last.speedup:.2f}×"
    if forecast.tflops is None:
        return card(
            "speed",
            "unknown",
            NO_ESTIMATE,
            notes=["a survey does not estimate parts of a block", note],
        )
    num, word = times_faster(forecast.speedup)
    base = last.baseline.seconds.denoise
    return card(
        "speed",
        "expected",
        num,
        word,
        strong=f"{seconds(base)} → {seconds(base / forecast.speedup)}",
        notes=[note],
        exact=f"{forecast.speedup:.4f}× expected from the times of the baseline's own blocks",
    )


def _compute(forecast: Forecast, last: Comparison) -> HeadlineCard:
    calls, full = forecast.trace, forecast.baseline_tflops
    unit_run = "step" if len(forecast.schedules) < 2 else "call"
    computed = sum(call.mode == "C" for call in calls)
    notes = [f"{computed} of {plural(len(calls), unit_run)} computed, {len(calls) - computed} cached"]
    factor, unit = flops_unit(full)
    then = f"last run {significant(last.accelerated.tflops * factor)}"
    if forecast.tflops is None:
        return card("flops", "unknown", NO_ESTIMATE, notes=[*notes, "counted once the setting runs", then])
    return card(
        "flops",
        "counted",
        significant(forecast.tflops * factor),
        unit,
        before=significant(full * factor),
        strong=less_compute(full / forecast.tflops),
        notes=[*notes, then],
        exact=f"{full:.6g} TFLOPs / {forecast.tflops:.6g} TFLOPs",
    )


def _psnr(forecast: Forecast, last: Comparison) -> HeadlineCard:
    note = f"last run {decibels(last.quality.psnr_db)}"
    if forecast.identical:
        return card("psnr", "counted", "identical", scale=scale(None), notes=["every step is computed", note])
    if forecast.psnr_db is None:
        return card("psnr", "unknown", NO_ESTIMATE, notes=[forecast.note, note])
    if forecast.band is None:
        return card(
            "psnr",
            "expected",
            f"{forecast.psnr_db:.0f} dB",
            likeness(forecast.psnr_db),
            notes=[forecast.note, note],
            scale=scale(forecast.psnr_db),
        )
    banded_scale = scale(forecast.psnr_db)
    banded_scale["band"] = [place(end) for end in forecast.band]
    return card(
        "psnr",
        "expected",
        banded(forecast),
        likeness(forecast.psnr_db),
        notes=[note],
        scale=banded_scale,
        exact=f"9 of 10 runs are between {forecast.band[0]:.1f} and {forecast.band[1]:.1f} dB",
    )


def _ssim(last: Comparison, cache: int | None) -> HeadlineCard:
    notes = [f"last run {last.quality.ssim:.3f}"]
    return card(
        "ssim",
        "unknown",
        NO_ESTIMATE,
        "SSIM",
        notes=[*notes, *[f"memory for the cache {memory(cache or 0)}"] * (cache is not None)],
    )


def banded(forecast: Forecast) -> str:
    """Return "30 ± 2 dB", "≈ 24 dB" if no band is known, "identical", or "no estimate"."""
    if forecast.identical:
        return "identical"
    if forecast.psnr_db is None:
        return NO_ESTIMATE
    if forecast.band is None:
        return f"≈ {forecast.psnr_db:.0f} dB"
    return f"{forecast.psnr_db:.0f} ± {(forecast.band[1] - forecast.band[0]) / 2:.0f} dB"


def timeline(
    forecast: Forecast,
    last: Comparison,
    *,
    top: float | None = None,
    painted: Collection[int] = (),
    warm_up: int | None = None,
) -> TimelineValue:
    """Return the timeline of a forecast.

    top: the fixed end of the axis during a drag. painted: steps forced by hand. warm_up: the longest warm-up
    that lets a step be cached, if only the warm-up prevents caching.
    """
    view = timeline_value(
        last.baseline.trace,
        forecast.trace,
        len(forecast.schedule),
        forecast.method,
        marks=Marks(top, painted),
        expected=f"expected from the baseline run of {last.baseline.clock}",
    )
    if forecast.tflops is None:
        for cell in (cell for row in view["rows"] for cell in row["cells"]):
            if cell and cell["mode"] == "cached":
                cell["cost"] = 0
                cell["facts"] = "skips parts of a block: its compute is counted once the setting runs"
    if warm_up is not None:
        view["fix"] = remedy("max_warmup_steps", warm_up)
    return view


def stale(last: Comparison | None) -> StaleValue:
    """Return the tag that names the run of the pictures. Return no tag for None: the numbers then belong to
    the shown pictures.
    """
    if last is None:
        return {"text": ""}
    return {"text": f"Pictures show the last run: {last.speedup:.2f}×, {decibels(last.quality.psnr_db)}"}


# ---- the dial ----


def waiting(note: str = "") -> DialValue:
    """Return the dial while no survey exists."""
    return {
        "state": "waiting" if note else "none",
        "note": note,
        "points": [],
        "runs": [],
        "at": None,
        "db": None,
        "speeds": [],
        "levels": [],
    }


def dial(frontier: Sequence[Forecast], runs: Sequence[Comparison], at: Forecast | None) -> DialValue:
    """Return the best expected likeness at each speed, the runs, and the present setting ``at``."""
    estimates = [forecast.psnr_db for forecast in frontier if forecast.psnr_db is not None]
    span = (
        _span([*estimates, *(run.quality.psnr_db for run in runs if run.quality.psnr_db is not None)])
        if estimates
        else None
    )

    def high(psnr_db: float | None, error: float | None) -> float:
        """Return the height of a setting on the dial, 0 to 1. Without a PSNR, a smaller
        error stands higher.
        """
        if span:
            return 1.0 if psnr_db is None else min(max((psnr_db - span[0]) / (span[1] - span[0]), 0.0), 1.0)
        errors = [forecast.error or 0.0 for forecast in frontier]
        return 1 - (error or 0.0) / (max(errors, default=0.0) or 1.0)

    points: list[DialPoint] = [
        {
            "x": across(forecast.speedup),
            "y": high(forecast.psnr_db, forecast.error),
            "band": [high(end, None) for end in forecast.band] if forecast.band else None,
        }
        for forecast in frontier
    ]
    dots = [DialRun(x=across(run.speedup), y=high(run.quality.psnr_db, None)) for run in runs if span]
    stands = (
        at is not None
        and at.tflops is not None
        and (at.identical or (at.psnr_db if span else at.error) is not None)
    )
    thumb: DialThumb | None = (
        {
            "x": across(at.speedup),
            "y": high(at.psnr_db, at.error),
            "speed": round(at.speedup, 3),
            "db": at.psnr_db,
            "speed_text": f"{at.speedup:.2f}×",
            "likeness_text": "" if not span else banded(at),
        }
        if at is not None and stands
        else None
    )
    return {
        "state": "ready",
        "note": ""
        if span
        else "This model has no PSNR estimates yet, so settings are ordered by their error.",
        "points": points,
        "runs": dots,
        "at": thumb,
        "db": list(span) if span else None,
        "speeds": [{"place": across(times), "text": f"{number(times)}×"} for times in (1, 1.5, 2, 3, 4)],
        "levels": [
            {"place": (level - span[0]) / (span[1] - span[0]), "text": number(level)}
            for level in _levels(*span)
        ]
        if span
        else [],
    }


def across(speedup: float) -> float:
    """Return the place of a speed on the dial: 0 at 1x, 1 at 4x, logarithmic."""
    return round(min(max(math.log(max(speedup, 1e-9)) / math.log(FASTEST), 0.0), 1.0), 4)


def _span(levels: Sequence[float]) -> tuple[float, float]:
    low, high = 5 * math.floor(min(levels) / 5), 5 * math.ceil(max(levels) / 5)
    return float(low), float(max(high, low + 10))


def _levels(low: float, high: float) -> list[float]:
    gap = 5 if high - low <= 20 else 10
    return [*map(float, range(int(low), int(high) + 1, gap))]


def best(frontier: Sequence[Forecast], goal: str, value: float) -> Forecast | None:
    """Return the closest setting that is at least this fast ("speed"), or the fastest that is at least this
    close ("likeness").
    """
    if goal == "speed":
        fast = [forecast for forecast in frontier if forecast.speedup >= value]
        return fast[0] if fast else frontier[-1] if frontier else None
    close = [
        forecast
        for forecast in frontier
        if forecast.identical or (forecast.psnr_db is not None and forecast.psnr_db >= value)
    ]
    return close[-1] if close else frontier[0] if frontier else None


# ---- freeze ----


def frozen_mask(runs: Sequence[Mapping[str, str]], *, measured: bool) -> tuple[str, str]:
    """Return the most common decisions of several runs as one mask, and a sentence that tells how many runs
    it equals.

    All streams share the mask: it computes every step that any stream computed.

    runs: for each run, the schedules by stream. measured: True if the runs were made, False if they were only
    estimated.
    """
    masks = [
        "".join("1" if "C" in modes else "0" for modes in zip(*run.values(), strict=True)) for run in runs
    ]
    mask, _ = Counter(masks).most_common(1)[0]
    if not measured:
        return mask, "Frozen: the mask holds the expected decisions of this setting, which has not run."
    equal = sum(all(_digits(modes) == mask for modes in run.values()) for run in runs)
    among = "1 run" if len(runs) == 1 else f"the last {len(runs)} runs"
    split = (
        ""
        if equal == masks.count(mask)
        else "The streams decided differently: a step that any stream computed is now computed in all "
        "streams."
    )
    return mask, f"Frozen: the mask equals {equal} of {among} of this setting.{split}"


def _digits(schedule: str) -> str:
    return "".join("1" if mode == "C" else "0" for mode in schedule)
