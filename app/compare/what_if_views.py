"""What a forecast says, as the dicts that headline, timeline and dial draw: expected from a baseline's
record, not measured.

Pure, like views. What the record cannot judge is "no estimate", with the reason; nothing is guessed.
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
from ..timeline import remedy, timeline_value
from ..views import ABOUT, card, less_compute, place, scale
from ..words import decibels, flops_unit, likeness, memory, number, plural, seconds, significant, times_faster

NONE = "no estimate"
FASTEST = 4.0  # the dial's end, times
EXPECTED = (
    "Expected: the decisions are made by the same code as a run's, on the changes that the baseline's record "
    "holds. The time "
    "follows from the baseline's own blocks, the likeness from what the predictions would have missed. "
    "Caching itself moves the "
    "picture off the baseline's path, which no record can know: run it to be sure.",
)


def headline(forecast: Forecast, last: Comparison, *, cache: int | None = None) -> HeadlineValue:
    """Four cards beside the last run's figures. ``cache``: bytes that the setting's cache will hold."""
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
            "Denoise loop",
            NONE,
            notes=["what the cache skips lies inside the blocks", note],
        )
    num, word = times_faster(forecast.speedup)
    base = last.baseline.seconds.denoise
    return card(
        "speed",
        "expected",
        "Denoise loop",
        num,
        word,
        strong=f"{seconds(base)} → {seconds(base / forecast.speedup)}",
        notes=[note],
        exact=f"{forecast.speedup:.4f}× expected from the times of the baseline's own blocks",
    )


def _compute(forecast: Forecast, last: Comparison) -> HeadlineCard:
    calls, full = forecast.trace, forecast.baseline_tflops
    what = "step" if len(forecast.schedules) < 2 else "call"
    computed = sum(call.mode == "C" for call in calls)
    notes = [f"{computed} of {plural(len(calls), what)} computed, {len(calls) - computed} cached"]
    factor, unit = flops_unit(full)
    then = f"last run {significant(last.accelerated.tflops * factor)}"
    if forecast.tflops is None:
        return card(
            "flops", "unknown", "Compute, counted", NONE, notes=[*notes, "counted when it runs", then]
        )
    return card(
        "flops",
        "counted",
        "Compute, counted",
        significant(forecast.tflops * factor),
        unit,
        before=significant(full * factor),
        strong=less_compute(full / forecast.tflops),
        notes=[*notes, then],
        exact=f"{full:.6g} TFLOPs / {forecast.tflops:.6g} TFLOPs",
    )


def _psnr(forecast: Forecast, last: Comparison) -> HeadlineCard:
    note = f"last run {decibels(last.quality.psnr_db)}"
    label = "Likeness to the baseline"
    if forecast.identical:
        return card(
            "psnr", "counted", label, "identical", scale=scale(None), notes=["every step is computed", note]
        )
    if forecast.psnr_db is None:
        return card("psnr", "unknown", label, NONE, notes=[forecast.note, note])
    if forecast.band is None:
        return card(
            "psnr",
            "expected",
            label,
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
        label,
        banded(forecast),
        likeness(forecast.psnr_db),
        notes=[note],
        scale=banded_scale,
        exact=f"{forecast.band[0]:.1f} to {forecast.band[1]:.1f} dB holds nine of ten runs",
    )


def _ssim(last: Comparison, cache: int | None) -> HeadlineCard:
    notes = [f"last run {last.quality.ssim:.3f}"]
    return card(
        "ssim",
        "unknown",
        "Structure",
        NONE,
        "SSIM",
        notes=[*notes, *[f"memory for the cache {memory(cache or 0)}"] * (cache is not None)],
    )


def banded(forecast: Forecast) -> str:
    """ "30 ± 2 dB", "≈ 24 dB" where nobody can say how far that is off, "identical" or "no estimate"."""
    if forecast.identical:
        return "identical"
    if forecast.psnr_db is None:
        return NONE
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
    """The timeline. ``warm_up``: the longest one that would let something be cached, where the warm-up is
    what forbids it.
    """
    view = timeline_value(
        last.baseline.trace,
        forecast.trace,
        len(forecast.schedule),
        forecast.method,
        top=top,
        painted=painted,
        expected=f"expected from the baseline run of {last.baseline.clock}",
    )
    if forecast.tflops is None:
        for cell in (cell for row in view["rows"] for cell in row["cells"]):
            if cell and cell["mode"] == "cached":
                cell["cost"] = 0
                cell["facts"] = "inside the blocks: what it costs is counted when it runs"
    if warm_up is not None:
        view["fix"] = remedy("max_warmup_steps", warm_up)
    return view


def stale(last: Comparison | None) -> StaleValue:
    """Return the tag that names the run of the pictures; None: the numbers are the pictures' own."""
    if last is None:
        return {"text": ""}
    return {"text": f"Pictures show the last run: {last.speedup:.2f}×, {decibels(last.quality.psnr_db)}"}


# ---- the dial ----


def waiting(note: str = "") -> DialValue:
    """The dial's place while there is no record."""
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
    """The best likeness expected at each speed, what was run, and where the knobs stand."""
    known = [one.psnr_db for one in frontier if one.psnr_db is not None]
    span = (
        _span([*known, *(run.quality.psnr_db for run in runs if run.quality.psnr_db is not None)])
        if known
        else None
    )

    def high(psnr_db: float | None, error: float | None) -> float:
        """Where a likeness stands, 0..1; where no dB are known, settings are still in order."""
        if span:
            return 1.0 if psnr_db is None else min(max((psnr_db - span[0]) / (span[1] - span[0]), 0.0), 1.0)
        errors = [one.error or 0.0 for one in frontier]
        return 1 - (error or 0.0) / (max(errors, default=0.0) or 1.0)

    points: list[DialPoint] = [
        {
            "x": across(one.speedup),
            "y": high(one.psnr_db, one.error),
            "band": [high(end, None) for end in one.band] if one.band else None,
        }
        for one in frontier
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
        "note": "" if span else "No dB yet for this model: settings are in order of what they miss.",
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
    """Where a speed stands on the dial, 0 at 1x, 1 at 4x, logarithmic."""
    return round(min(max(math.log(max(speedup, 1e-9)) / math.log(FASTEST), 0.0), 1.0), 4)


def _span(levels: Sequence[float]) -> tuple[float, float]:
    low, high = 5 * math.floor(min(levels) / 5), 5 * math.ceil(max(levels) / 5)
    return float(low), float(max(high, low + 10))


def _levels(low: float, high: float) -> list[float]:
    gap = 5 if high - low <= 20 else 10
    return [*map(float, range(int(low), int(high) + 1, gap))]


def best(frontier: Sequence[Forecast], goal: str, value: float) -> Forecast | None:
    """The setting that meets a goal: "speed", the closest that is as fast; "likeness", the fastest that is
    as close.
    """
    if goal == "speed":
        return next((one for one in frontier if one.speedup >= value), frontier[-1] if frontier else None)
    close = [one for one in frontier if one.identical or (one.psnr_db is not None and one.psnr_db >= value)]
    return close[-1] if close else frontier[0] if frontier else None


# ---- freeze ----


def frozen(runs: Sequence[Mapping[str, str]], *, measured: bool) -> tuple[str, str]:
    """The decisions of runs (a schedule for each stream) as one mask, the most common, and the share of runs
    that it equals.

    A mask is one for all streams: a step that any of them computed is computed. ``measured``: whether these
    runs were made.
    """
    masks = [
        "".join("1" if "C" in modes else "0" for modes in zip(*run.values(), strict=True)) for run in runs
    ]
    mask, _ = Counter(masks).most_common(1)[0]
    if not measured:
        return mask, "Frozen: the mask decides as is expected of this setting, which was not run."
    equal = sum(all(_digits(modes) == mask for modes in run.values()) for run in runs)
    among = "the one run" if len(runs) == 1 else f"the last {len(runs)} runs"
    split = (
        ""
        if equal == masks.count(mask)
        else " The streams decided apart: what one computed, all compute now."
    )
    return mask, f"Frozen: the mask equals {equal} of {among} of this setting.{split}"


def _digits(schedule: str) -> str:
    return "".join("1" if mode == "C" else "0" for mode in schedule)
