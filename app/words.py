"""Writes numbers, units, likeness and reasons as texts."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from cache_engine import MODELS, Reason, RunRequest, StepTrace

# The words for likeness. Each word holds from its PSNR in dB up to the next word's PSNR.
LIKENESS: tuple[tuple[float, str], ...] = (
    (-math.inf, "different"),
    (27, "visible"),
    (32, "very close"),
    (38, "nearly identical"),
)
SIDES = {"baseline": "Baseline", "accelerated": "Accelerated"}
SCALE = (20.0, 45.0)  # dB at the two ends of the scale of likeness
ORDINALS = ("", "first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth")


def is_identical(psnr_db: float | None) -> bool:
    """Return whether no pixel differs: a PSNR of None or infinity both mean this."""
    return psnr_db is None or psnr_db == math.inf


def likeness(psnr_db: float | None) -> str:
    """Return a PSNR in words."""
    if psnr_db is None or is_identical(psnr_db):
        return "identical"
    return [word for low, word in LIKENESS if psnr_db >= low][-1]


def decibels(psnr_db: float | None) -> str:
    """Return a PSNR with its unit, or "identical"."""
    return "identical" if psnr_db is None or is_identical(psnr_db) else f"{psnr_db:.1f} dB"


def structural(ssim: float) -> str:
    """Return an SSIM with three decimals, but never 1.000 for pictures that differ."""
    return ">0.999" if 0.9995 <= ssim < 1 else f"{ssim:.3f}"


def significant(value: float, digits: int = 3) -> str:
    """Return a number with this many significant digits. Whole numbers stay whole:
    2087, 74.5, 5.22, 0.0123.
    """
    if value == 0 or not math.isfinite(value):
        return f"{value:g}"
    return f"{value:.{max(0, digits - 1 - math.floor(math.log10(abs(value))))}f}"


def flops_unit(tflops: float) -> tuple[float, str]:
    """Return factor and name of the unit in which this count of TFLOPs is easiest to read."""
    for low, factor, name in ((0.1, 1.0, "TFLOPs"), (1e-4, 1e3, "GFLOPs")):
        if tflops >= low:
            return factor, name
    return 1e6, "MFLOPs"


def seconds(value: float) -> str:
    """Return a measured time with its unit."""
    if value < 0.0995:
        return milliseconds(value)
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f} s"


def rough(value: float) -> str:
    """Return an estimated time, such as 1.6 s, 20 s or 3 min."""
    return (
        f"{value:.1f} s" if value < 9.95 else f"{value:.0f} s" if value < 119.5 else f"{value / 60:.0f} min"
    )


def milliseconds(value: float) -> str:
    """Return a time, given in seconds, as text in milliseconds."""
    return f"{value * 1000:.{0 if value >= 0.00995 else 1}f} ms"


def memory(count: float) -> str:
    """Return bytes in decimal units."""
    for low, unit in ((1e9, "GB"), (1e6, "MB"), (1e3, "kB")):
        if count >= low:
            return f"{significant(count / low, 2 if count < 100 * low else 3)} {unit}"
    return f"{count:.0f} B"


def times_faster(ratio: float) -> tuple[str, str]:
    """Return a ratio of times as ("2.10×", "faster"), ("1.05×", "slower") or ("1.00×", "the same")."""
    shown = f"{max(ratio, 1 / ratio):.2f}×"
    return shown, "the same" if shown == "1.00×" else "faster" if ratio > 1 else "slower"


def speed_text(ratio: float) -> str:
    """Write a ratio of times: 2.10× faster, 1.05× slower, the same time."""
    num, word = times_faster(ratio)
    return "the same time" if word == "the same" else f"{num} {word}"


def plural(count: int, word: str) -> str:
    """Return a count with its noun."""
    return f"{count} {word}" if count == 1 else f"{count} {word}s"


def share(part: float) -> str:
    """Return a share in per cent, but never 0 % for a share above 0."""
    return "under 0.1 %" if 0 < part < 0.001 else f"{part * 100:.{0 if part in (0, 1) else 1}f} %"


def number(value: float) -> str:
    """Return a knob's value without needless zeros: 0.12, 0.08, 1."""
    return f"{value:.4f}".rstrip("0").rstrip(".")


def change_text(change: float, limit: float | None = None) -> str:
    """Return a change with three decimals, or with more if they are needed to show on which side of its limit
    it is.
    """
    for decimals in range(3, 9):
        text = f"{change:.{decimals}f}"
        if float(text) == 0 != change:
            continue
        if limit is None or (float(text) < limit) == (change < limit):
            return text
    return repr(change)


def is_forced(call: StepTrace) -> bool:
    """Return whether a rule forced the call to be computed, whatever its change."""
    return call.mode == "C" and not call.reason.startswith(Reason.CHANGE)


def sentence(call: StepTrace, streak: int, method: Mapping[str, Any] | None = None) -> str:
    """Return a sentence that says why a call was computed or cached.

    streak: number of cached calls in a row up to this call; for a computed call, up to the call before it.
    """
    knobs = method or {}
    done = {"C": "computed", "c": "cached", "p": "partly computed"}[call.mode]
    change = None if call.change is None else change_text(call.change, call.limit)
    noted = f" (change {change})" if change else ""
    row = (
        f", {ORDINALS[streak] if streak < len(ORDINALS) else f'{streak}th'} in a row"
        if call.mode == "c" and streak
        else ""
    )
    if call.reason.startswith(Reason.CHANGE) and call.change is not None and call.limit is not None:
        return (
            f"{done}: change {change} is {'' if call.change < call.limit else 'not '}below "
            f"{number(call.limit)}{row}"
        )
    explanations: dict[str, str] = {
        Reason.ALWAYS: "this side computes every step",
        Reason.FIRST: "no earlier step is remembered",
        Reason.WARM_UP: f"warm-up, whatever the change ({change})" if change else "warm-up",
        Reason.MASK: f"decided by the mask{noted}",
        Reason.MAX_IN_A_ROW: (
            f"{knobs.get('max_continuous_cached_steps', streak)} in a row is the limit{noted}"
        ),
        Reason.MAX_IN_ALL: f"{knobs.get('max_cached_steps', 'no more')} cached in all is the limit{noted}",
        Reason.THRESHOLD_0: f"threshold 0 caches no step{noted}",
        Reason.THRESHOLD_1: f"threshold 1 caches at every change{noted}",
    }
    return f"{done}: {explanations.get(call.reason, f'{call.reason}{noted}')}{row}"


def other_size(model: str, width: object, height: object) -> str:
    """Name a size that this model does not draw, because it draws a single size; "" for all other sizes."""
    sizes = MODELS[model].sizes if model in MODELS else ()
    odd = len(sizes) == 1 and (width, height) != sizes[0]
    return f"size {width} × {height}" if odd and isinstance(width, int) and isinstance(height, int) else ""


def beside(request: RunRequest) -> list[str]:
    """Name the parts of a request that a file or a link does not carry to Compare."""
    row = MODELS.get(request.model)
    shorter = row is not None and request.max_sequence_length not in (None, row.max_sequence_length)
    size = other_size(request.model, request.width, request.height)
    return [
        name
        for name, present in (
            ("LoRA", request.loras),
            ("input picture", request.image),
            ("negative prompt", request.negative_prompt),
            ("length of the text", shorter),
            (size, size),
        )
        if present
    ]
