"""From the published entries to the plain dicts that chart, sheet and card draw. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from ..axes import Axis, around
from ..components.base.shapes import NamedText
from ..components.chart import ChartPoint, ChartValue, MarkShape
from ..components.setting import SettingBar, SettingValue
from ..components.sheet import SheetCell, SheetColumn, SheetRow, SheetValue
from .rows import AGAINST_BASELINE, CITED, FAMILIES, FAST, FOUR_STEPS, SLOW, YOURS, Entry

AS_PRINTED, OWN = "as printed", "of its own baseline"


class Figure(NamedTuple):
    """How one figure reads. ``shape``: printed; ``own``: against its baseline; ``lower``: the lower the
    better.
    """

    title: str
    shape: str = "{:g}"
    own: str = ""
    lower: bool = False


QUALITIES = {
    "image_reward": Figure("ImageReward", own="{:.1f} %"),
    "clip_score": Figure("CLIP score", own="{:.2f} %"),
    "psnr": Figure("PSNR as printed", "{:g} dB"),
    "ssim": Figure("SSIM"),
    "lpips": Figure("LPIPS", lower=True),
}
SPEEDS = {
    "tflops": Figure("TFLOPs", "{:g}", "{:.2f}×", lower=True),
    "latency_s": Figure("Latency", "{:g} s", "{:.2f}×", lower=True),
}
MARKS: dict[str, MarkShape] = {
    "forecast": "diamond",
    "dbcache": "ring",
    "other": "triangle",
    "fewer": "cross",
    "baseline": "square",
    YOURS: "dot",
}
X_NAMES = {
    ("tflops", True): "times less compute, counted",
    ("latency_s", True): "times less time, the whole pipeline",
    ("tflops", False): "TFLOPs as printed, fewer to the right",
    ("latency_s", False): "seconds as printed, fewer to the right",
}
NOT_PRINTED = "not printed"
ANOTHER_MODEL = "your runs, of another model, stand here against their own baseline alone"


LEGEND = FAMILIES | {YOURS: "Your runs, measured"}


class Reading(NamedTuple):
    """What the user looks at: a quality against a speed, as printed or each row against its own baseline."""

    quality: str = "image_reward"
    speed: str = "tflops"
    own: bool = True

    def value(self, entry: Entry, figure: str) -> float | None:
        return entry.own(figure) if self.own else entry.value(figure)

    def text(self, entry: Entry, figure: str) -> str:
        """As printed, to the last digit; or against its own baseline."""
        known = (QUALITIES | SPEEDS)[figure]
        value = self.value(entry, figure)
        if value is None:
            return ""
        return known.own.format(value) if self.own and known.own else entry.printed[figure]


# ---- chart ----


def chart(entries: Sequence[Entry], reading: Reading, chosen: str = "") -> ChartValue:
    """The entries that have both figures, each at its place; dotted: the best published at each speed.

    Figures of two models share no axis, but for those that are each against their own baseline.
    """
    quality, speed = QUALITIES[reading.quality], SPEEDS[reading.speed]
    models = {one.base.model for one in entries if one.family != YOURS}
    away = [one for one in entries if models and one.base.model not in models and not reading.own]
    at = {
        one.key: (x, y)
        for one in entries
        if one not in away
        and (x := reading.value(one, reading.speed)) is not None
        and (y := reading.value(one, reading.quality)) is not None
    }
    title = f"{quality.title} against {'compute' if reading.speed == 'tflops' else 'time'}"
    if not at:
        return {"title": title, "points": [], "empty": _nothing(entries, quality, speed)}
    across = around([x for x, _ in at.values()], log=True, turned=not reading.own)
    up = around([y for _, y in at.values()], turned=quality.lower)
    shown = [one for one in entries if one.key in at]
    printed = [at[one.key] for one in shown if one.family != YOURS]
    notes = [*["dotted: the best of the published rows shown"] * bool(printed), *[ANOTHER_MODEL] * bool(away)]
    scored = reading.own and bool(quality.own)
    return {
        "title": title,
        "chosen": chosen if chosen in at else None,
        "points": [_point(one, reading, across, up, at[one.key]) for one in shown],
        "x": across.drawn(
            f"{X_NAMES[reading.speed, reading.own]} (log scale)", "{:g}×" if reading.own else speed.shape, 8
        ),
        "y": up.drawn(
            f"{quality.title}{', % of its own baseline' if scored else ''}",
            "{:g} %" if scored else quality.shape,
        ),
        "hint": "lower is better: the axis is turned" if quality.lower else "higher is better",
        "legend": [
            {"mark": MARKS[key], "text": text}
            for key, text in LEGEND.items()
            if any(one.family == key for one in shown)
        ],
        "lines": [{"kind": "best", "points": _best(printed, across, up)}],
        "note": "; ".join(notes),
    }


def _nothing(entries: Sequence[Entry], quality: Figure, speed: Figure) -> str:
    if not entries:
        return "No row passes all filters. Press a pressed filter again, or clear the search."
    return (
        f"None of these {len(entries)} rows prints both {quality.title.removesuffix(' as printed')} and "
        f"{speed.title}."
    )


def _point(one: Entry, reading: Reading, across: Axis, up: Axis, at: tuple[float, float]) -> ChartPoint:
    speed = "compute" if reading.speed == "tflops" else "time"
    fast = reading.text(one, reading.speed)
    lines = [
        f"{fast} less {speed}" if reading.own else f"{fast} {'TFLOPs' if speed == 'compute' else 's'}",
        f"{QUALITIES[reading.quality].title} {reading.text(one, reading.quality)}",
    ]
    before = (
        ["yours, measured", one.about["Model"]]
        if one.family == YOURS
        else [f"preset {one.preset}"] * bool(one.preset)
    )
    return {
        "id": one.key,
        "x": across.place(at[0]),
        "y": up.place(at[1]),
        "mark": MARKS[one.family],
        "name": one.name,
        "lines": [*before, *lines],
        "label": _label(one, reading),
        "strong": bool(one.preset),
    }


def _label(one: Entry, reading: Reading) -> str:
    """A name beside its mark: what people call a setting, never a recipe."""
    if one.preset:
        return _short(one.preset)
    if one.family == YOURS:
        return one.name.lower() if one.is_baseline else ""
    if one.family == "baseline":
        same = reading.own and one.base in (FAST, CITED)  # they stand on the first one
        return "" if same else "baseline" if one.base in (SLOW, FOUR_STEPS) else one.base.title
    return "" if one.method.get("name") == "dbcache" else one.name.split(": ")[-1].replace(",O=2", "")


def _short(preset: str) -> str:
    return preset.replace("TaylorSeer", "TS").removeprefix("4 steps, ")


def _best(found: Any, across: Axis, up: Axis) -> list[list[float]]:
    """The points that no other beats in both, from the fastest to the slowest."""
    edge: list[list[float]] = []
    for x, y in sorted(((across.place(x), up.place(y)) for x, y in found), reverse=True):
        if not edge or y > edge[-1][1]:
            edge.append([x, y])
    return edge


# ---- sheet ----


def sheet(entries: Sequence[Entry], reading: Reading, chosen: str = "") -> SheetValue:
    """Every entry as a row. Cells are text; ``sort`` is what a column sorts by, None stands last."""
    heads = {name: figure.title.removesuffix(" as printed") for name, figure in (SPEEDS | QUALITIES).items()}
    names = {
        "tflops": "Compute" if reading.own else "TFLOPs",
        "latency_s": "Time" if reading.own else "Latency, s",
        "clip_score": "CLIP",
        "psnr": "PSNR*",
    }
    columns = [SheetColumn(text="Setting", kind="name")] + [
        SheetColumn(
            text=names.get(name, head),
            kind="now" if name in (reading.quality, reading.speed) else "number",
        )
        for name, head in heads.items()
    ]
    rows: list[SheetRow] = [
        {
            "id": one.key,
            "mark": MARKS[one.family],
            "tag": "yours" if one.family == YOURS else _short(one.preset),
            "mono": one.method.get("name") == "dbcache",
            "cells": [SheetCell(text=one.name, sort=one.name)]
            + [SheetCell(text=reading.text(one, name), sort=reading.value(one, name)) for name in heads],
        }
        for one in entries
    ]
    return {
        "title": "All rows",
        "count": f"{len(rows)} settings",
        "columns": columns,
        "rows": rows,
        "chosen": chosen or None,
        "sort": {"column": 1, "down": reading.own},
        "note": "* printed by 8-bit arithmetic that wraps around",
        "empty": "No row passes all filters.",
    }


# ---- card ----


def card(one: Entry | None) -> SettingValue:
    """Everything that the tables print of one setting, and what it stands against."""
    if one is None:
        return {
            "title": "No setting chosen",
            "kind": "",
            "code": "",
            "bars": [],
            "facts": [],
            "notes": ["Choose a point or a row."],
        }
    facts = [NamedText(name=figure.title, text=told_of(one, name)) for name, figure in QUALITIES.items()]
    facts += [
        NamedText(name="TFLOPs", text=_of(one, "tflops", "")),
        NamedText(name="Latency", text=_of(one, "latency_s", " s")),
        NamedText(name="Its own baseline", text=one.base.title),
    ]
    kinds = FAMILIES | {"other": "Another method", "baseline": "Baseline"}
    title = f"Preset {one.preset}" if one.preset else kinds[one.family]
    return {
        "title": title,
        "kind": "published",
        "code": one.name,
        "bars": [] if one.is_baseline else bars(one),
        "facts": facts,
        "notes": [*one.elsewhere, *_misprints(one), *filter(None, [one.refused])],
    }


def bars(one: Entry) -> list[SettingBar]:
    """Two ratios to its own baseline, compute and time, which are never mixed."""
    return [
        SettingBar(
            name=f"less {name}",
            share=min((ratio or 0) / 7.5, 1),
            text=f"{ratio:.2f}×" if ratio else "no figure",
            look=look,
        )
        for name, look, ratio in (
            ("compute", "computed", one.own("tflops")),
            ("time", "forced", one.own("latency_s")),
        )
    ]


def told_of(one: Entry, figure: str) -> str:
    """A quality as printed, with its share of the baseline's where it has one."""
    text = one.printed.get(figure) or NOT_PRINTED
    share = one.own(figure) if figure in AGAINST_BASELINE and not one.is_baseline else None
    return text if share is None else f"{text} · {QUALITIES[figure].own.format(share)}"


def _of(one: Entry, figure: str, unit: str) -> str:
    text, base = one.printed.get(figure), one.baseline(figure)
    if not text:
        return NOT_PRINTED
    return f"{text}{unit}" if one.is_baseline or base is None else f"{text} of {base:.2f}{unit}"


def _misprints(one: Entry) -> list[str]:
    printed, own = one.value("speedup_tflops"), one.own("tflops")
    if printed is None or own is None or abs(printed - own) <= 0.0051:
        return []
    return [f"Printed as {printed:.2f}× less compute; its own TFLOPs say {own:.2f}×."]
