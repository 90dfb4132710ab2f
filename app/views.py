"""Makes the values of Compare's components from the engine's records.

Figures are texts with units, ready to show. Plain numbers are places and lengths, from 0 to 1 (on the scale
of likeness, from 0 to 100). The shape of each value is defined in its component's folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack

from cache_engine import Comparison, Quality, RunResult, recipe_chips

from .components.base.shapes import NamedText
from .components.difference import DifferenceValue
from .components.headline import (
    CardKind,
    CardName,
    HeadlineCard,
    HeadlineValue,
    LikenessScale,
    PublishedFigures,
)
from .components.recipe import RecipeValue
from .components.runs import RunRow, RunsValue
from .components.times import TimesRow, TimesValue
from .words import (
    LIKENESS,
    SCALE,
    SIDES,
    decibels,
    flops_unit,
    is_identical,
    likeness,
    memory,
    plural,
    seconds,
    share,
    significant,
    speed_text,
    structural,
    times_faster,
)

LABELS: dict[CardName, str] = {
    "speed": "Speed (denoising only)",
    "flops": "Compute (counted)",
    "psnr": "Likeness to the baseline",
    "ssim": "Structural similarity",
}
NOT_MEASURED: tuple[tuple[CardName, CardKind], ...] = (
    ("speed", "measured"),
    ("flops", "counted"),
    ("psnr", "measured"),
    ("ssim", "measured"),
)
ABOUT = (
    "Speed is the measured time of the denoising loop, from the start of the first transformer call to "
    "the end of the last step, with the device synchronised at both points. The times for encoding the "
    "prompt and decoding the picture are shown separately. For each model and size, one warm-up run "
    "comes first and is not measured.",
    "Compute is counted for the blocks that ran, attention included. Its ratio differs from the ratio "
    "of the measured times.",
    "PSNR and SSIM compare the pixels of the two pictures, drawn with the same prompt and seed. They "
    "measure likeness to the baseline, not beauty. PSNR punishes a small shift as much as a fault, so "
    "look at the pictures.",
)


# ---- headline ----


def headline(comparison: Comparison | None, *, published: Mapping[str, Any] | None = None) -> HeadlineValue:
    """Return the four cards. ``published``: a preset's published figures, with their source."""
    cards = (
        [_speed(comparison), _compute(comparison), _psnr(comparison.quality), _ssim(comparison)]
        if comparison
        else [card(*names, "–", notes=["nothing measured yet"]) for names in NOT_MEASURED]
    )
    return {
        "state": "measured" if comparison else "empty",
        "cards": cards,
        "about": list(ABOUT),
        "published": published_line(published),
    }


class CardDetails(TypedDict, total=False):
    """A card's fields other than its number: see HeadlineCard."""

    before: str
    strong: str
    notes: list[str]
    exact: str
    scale: LikenessScale | None


def card(
    name: CardName, kind: CardKind, num: str, word: str = "", **details: Unpack[CardDetails]
) -> HeadlineCard:
    """Return a card. ``kind``: measured, counted, expected, or unknown; with unknown, ``num`` holds words."""
    return {
        "name": name,
        "kind": kind,
        "label": LABELS[name],
        "before": details.get("before", ""),
        "num": num,
        "word": word,
        "strong": details.get("strong", ""),
        "notes": details.get("notes", []),
        "exact": details.get("exact", ""),
        "scale": details.get("scale"),
    }


def _engine(result: RunResult) -> str:
    engine = result.engine
    return ", ".join(
        [engine.device, engine.dtype] + [plural(engine.threads, "thread")] * (engine.threads > 0)
    )


def _speed(comparison: Comparison) -> HeadlineCard:
    before, after = comparison.baseline.seconds.denoise, comparison.accelerated.seconds.denoise
    num, word = times_faster(comparison.speedup)
    reused = [f"baseline of {comparison.baseline.clock}, reused"] * comparison.baseline_reused
    return card(
        "speed",
        "measured",
        num,
        word,
        strong=f"{seconds(before)} → {seconds(after)}",
        notes=[_runs(comparison), _engine(comparison.accelerated), *reused],
        exact=f"{comparison.speedup:.4f}× = {before:.4f} s / {after:.4f} s",
    )


def _runs(comparison: Comparison) -> str:
    if comparison.spread is None:
        return "1 run a side, warm"
    low, high = comparison.spread
    return f"median of {len(comparison.accelerated.timed)} alternating runs, {low:.2f}× to {high:.2f}×"


def _compute(comparison: Comparison) -> HeadlineCard:
    full, spent = comparison.baseline.tflops, comparison.accelerated.tflops
    factor, unit = flops_unit(full)
    calls = comparison.accelerated.trace
    computed = sum(call.mode == "C" for call in calls)
    unit_run = "step" if len(comparison.accelerated.schedules) < 2 else "call"
    cost = {mode: max((call.tflops for call in calls if call.mode == mode), default=0) for mode in "Cc"}
    per_call, small = flops_unit(cost["C"])
    parts = [
        f"a {name} {unit_run} {significant(cost[mode] * per_call)}"
        for name, mode in (("full", "C"), ("cached", "c"))
        if cost[mode]
    ]
    return card(
        "flops",
        "counted",
        significant(spent * factor),
        unit,
        before=significant(full * factor),
        strong=less_compute(comparison.compute_ratio),
        notes=[f"{computed} of {plural(len(calls), unit_run)} computed, {len(calls) - computed} cached"]
        + [f"{', '.join(parts)} {small}"] * bool(parts),
        exact=f"{full:.6g} TFLOPs / {spent:.6g} TFLOPs = {comparison.compute_ratio:.4f}×",
    )


def less_compute(ratio: float) -> str:
    """Write how much less compute a run needs. ``ratio``: the baseline's compute divided by the run's."""
    shown = f"{max(ratio, 1 / ratio):.2f}×"
    return "the same compute" if shown == "1.00×" else f"{shown} {'less' if ratio > 1 else 'more'} compute"


def place(psnr_db: float | None) -> float:
    """Return the place of a PSNR on the scale, from 0 to 100."""
    low, high = SCALE
    return round((min(max(high if psnr_db is None else psnr_db, low), high) - low) / (high - low) * 100, 2)


def scale(psnr_db: float | None) -> LikenessScale:
    """Return the zones of likeness, and a PSNR's place among them."""
    words = [name for _, name in LIKENESS]
    return {
        "place": place(psnr_db),
        "on": -1 if is_identical(psnr_db) else words.index(likeness(psnr_db)),
        "words": words,
        "ends": [place(low) for low, _ in LIKENESS[1:]],
    }


def _psnr(quality: Quality) -> HeadlineCard:
    same, word = is_identical(quality.psnr_db), likeness(quality.psnr_db)
    return card(
        "psnr",
        "measured",
        decibels(quality.psnr_db),
        "" if same else word,
        scale=scale(quality.psnr_db),
        exact="no pixel differs" if same else f"{quality.psnr_db:.4f} dB PSNR, same prompt and seed",
    )


def _ssim(comparison: Comparison) -> HeadlineCard:
    peak = comparison.accelerated.peak_bytes
    return card(
        "ssim",
        "measured",
        structural(comparison.quality.ssim),
        "SSIM",
        strong="1 is identical",
        notes=["memory for the cache", memory(comparison.accelerated.cache_bytes)]
        + [f"peak of the run {memory(peak or 0)}"] * bool(peak),
        exact=f"SSIM {comparison.quality.ssim:.6f}, 7 × 7 window",
    )


def published_line(figures: Mapping[str, Any] | None) -> PublishedFigures | None:
    """Return a source's figures about a setting, separate from all figures measured here.

    figures: with the keys of a preset's "published".
    """
    if not figures:
        return None
    shapes = {
        "tflops": "{:g} TFLOPs",
        "speedup_tflops": "{:.2f}× less compute",
        "latency_s": "{:g} s",
        "speedup_latency": "{:.2f}× faster",
        "psnr_as_printed": "{:.1f} dB PSNR as printed",
        "clip_score": "CLIP score {:g}",
        "image_reward": "ImageReward {:g}",
    }
    texts = [
        shape.format(figures[key])
        for key, shape in shapes.items()
        if isinstance(figures.get(key), int | float)
    ]
    return {"text": f"published: {', '.join(texts)}", "source": str(figures.get("source", ""))}


# ---- pictures and time ----


def difference_facts(quality: Quality | None, gain: float) -> DifferenceValue:
    """Return the figures of the difference picture. The gain changes only the end of its colour scale."""
    end = f"{255 / gain:.0f}{' and more' if gain > 1 else ''}"
    if quality is None:
        return {"rows": [], "top": end}
    texts = {
        "Mean": f"{quality.mean:.{1 if quality.mean >= 0.1 or not quality.mean else 3}f}",
        "Largest": str(quality.largest),
        "Pixels over 8": share(quality.share_over_8),
    }
    return {"rows": [{"name": name, "text": text} for name, text in texts.items()], "top": end}


def times(comparison: Comparison | None) -> TimesValue:
    """Return the times of encoding, denoising and decoding of both sides on one axis, and the ratio of the
    total times.
    """
    if comparison is None:
        return {"rows": [], "legend": [], "note": ""}
    sides = {"baseline": comparison.baseline.seconds, "accelerated": comparison.accelerated.seconds}
    longest = max(side.total for side in sides.values())
    rows: list[TimesRow] = [
        {
            "side": name,
            "label": SIDES[name],
            "total": seconds(side.total),
            "parts": [
                {"name": part, "share": round(value / longest, 5), "text": f"{part} {seconds(value)}"}
                for part, value in side._asdict().items()
            ],
        }
        for name, side in sides.items()
    ]
    both = {
        part: dict.fromkeys(seconds(getattr(side, part)) for side in sides.values())
        for part in ("encode", "decode")
    }
    legend: list[NamedText] = [
        {"name": part, "text": f"{part} {', '.join(texts)}"} for part, texts in both.items()
    ]
    whole = speed_text(sides["baseline"].total / sides["accelerated"].total)
    return {"rows": rows, "legend": legend, "note": f"whole picture: {whole}"}


# ---- runs on one baseline ----


def runs(comparisons: Sequence[Comparison], chosen: int | None = None) -> RunsValue:
    """Return a row for each comparison in their order, and a row for the baseline that they share."""
    if not comparisons:
        return {"steps": 0, "unit": "TFLOPs", "chosen": None, "rows": [], "baseline": None}
    base = comparisons[0].baseline
    factor, unit = flops_unit(base.tflops)
    rows = [
        _run(
            index,
            comparison.accelerated,
            factor,
            faster=f"{comparison.speedup:.2f}×",
            psnr=decibels(comparison.quality.psnr_db),
            word="" if comparison.quality.identical else likeness(comparison.quality.psnr_db),
        )
        for index, comparison in enumerate(comparisons)
    ]
    reference = _run(None, base, factor, faster="1.00×", psnr="", word="the reference")
    reference["recipe"] = f"Baseline, {plural(len(base.schedule), 'step')}"
    return {"steps": len(base.schedule), "unit": unit, "chosen": chosen, "rows": rows, "baseline": reference}


def _run(index: int | None, result: RunResult, factor: float, *, faster: str, psnr: str, word: str) -> RunRow:
    return {
        "index": index,
        "recipe": result.recipe,
        "modes": result.schedule,
        "faster": faster,
        "flops": significant(result.tflops * factor),
        "psnr": psnr,
        "word": word,
        "when": result.clock,
    }


def recipe_parts(recipe: str, preset: str | None = None) -> RecipeValue:
    """Return the recipe's parts, each with a word that explains it. Parts that differ from the preset's
    recipe are marked.
    """
    usual = dict(recipe_chips(preset or recipe))
    return {
        "text": recipe,
        "parts": [
            {
                "code": code,
                "word": part.word,
                "title": part.knob + (", 0 is no limit" if part.letters in ("M", "MC") else ""),
                "changed": usual.get(part) != code,
            }
            for part, code in recipe_chips(recipe)
        ],
    }
