"""The kept comparisons as the plain dicts that sheet and card draw. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from cache_engine import MODELS, clock

from ..components.setting import SettingValue
from ..components.sheet import SheetColumn, SheetRow, SheetValue
from ..csv_text import csv_text
from ..tune.facts import bars, served
from ..words import beside, decibels, flops_unit, likeness, plural, seconds, significant, structural
from .store import HistoryEntry

ALL, PINNED = "all", "pinned"
PLAIN = "its baseline"  # what a run is held against at first
HIGHEST = 1e9  # where identical pictures stand among the sorted
NONE = (
    "No run yet. Every comparison that is made on Compare is kept here, pictures and figures, also after a "
    "restart. Nothing leaves "
    "this machine; who opens this page sees them all."
)


def found(entries: Iterable[HistoryEntry], words: str, which: str = ALL) -> list[HistoryEntry]:
    """Those with every one of the words in prompt, setting, name or model."""
    wanted = words.casefold().split()
    return [
        one
        for one in entries
        if (one.pinned or which != PINNED) and all(word in _searched(one) for word in wanted)
    ]


def _searched(one: HistoryEntry) -> str:
    return " ".join(
        (
            one.name,
            one.request.prompt,
            one.recipe,
            one.method,
            one.request.model,
            title(one.request.model),
            "pinned" * one.pinned,
        )
    ).casefold()


def title(model: str) -> str:
    return MODELS[model].title if model in MODELS else model


def sheet(entries: Sequence[HistoryEntry], kept: int, chosen: str, folder: str) -> SheetValue:
    """``entries``: those that were looked for, of all ``kept``.  folder: of their pictures."""
    columns: list[SheetColumn] = [
        {"text": "Setting", "kind": "name"},
        {"text": "Prompt", "kind": "prompt"},
        {"text": "Steps", "kind": "steps"},
        {"text": "Faster", "kind": "number"},
        {"text": "Less compute", "kind": "number"},
        {"text": "PSNR", "kind": "now"},
        {"text": "When", "kind": "number"},
    ]
    count = plural(kept, "run") if len(entries) == kept else f"{len(entries)} of {plural(kept, 'run')}"
    return {
        "title": "Runs",
        "count": count,
        "columns": columns,
        "rows": [_row(one, folder) for one in entries],
        "chosen": chosen,
        "sort": {"column": 6, "down": True},
        "note": "",
        "empty": "No run has these words." if kept else NONE,
        "file": {"name": "cachelens-history.csv", "text": table(entries)} if entries else None,
    }


def _row(one: HistoryEntry, folder: str) -> SheetRow:
    return {
        "id": one.key,
        "mark": "pinned" if one.pinned else "",
        "tag": one.name,
        "mono": True,
        "picture": served(f"{folder}/{one.key}/{'small' if one.small else 'accelerated'}.png"),
        "cells": [
            {"text": one.recipe, "sort": one.recipe},
            {"text": one.request.prompt, "sort": one.request.prompt},
            {"strip": one.schedule, "sort": one.schedule.count("C")},
            {"text": f"{one.speedup:.2f}×", "sort": one.speedup},
            {"text": f"{one.compute_ratio:.2f}×", "sort": one.compute_ratio},
            {"text": decibels(one.psnr_db), "sort": HIGHEST if one.psnr_db is None else one.psnr_db},
            {"text": clock(one.finished), "sort": one.finished},
        ],
    }


def card(one: HistoryEntry | None) -> SettingValue:
    """Everything that is known of one run."""
    if one is None:
        return {
            "title": "No run chosen",
            "kind": "",
            "code": "",
            "bars": [],
            "facts": [],
            "notes": ["Choose a row."],
        }
    request, (factor, unit) = one.request, flops_unit(one.tflops[0])
    facts = {
        "PSNR": decibels(one.psnr_db) + ("" if one.psnr_db is None else f", {likeness(one.psnr_db)}"),
        "SSIM": structural(one.ssim),
        "Denoise loop": " → ".join(map(seconds, one.seconds)),
        unit: " → ".join(significant(value * factor) for value in one.tflops),
        "Model": f"{title(request.model)}, {request.width} × {request.height}, "
        f"{plural(request.steps or 0, 'step')}",
        "Seed": str(request.seed),
        "Ran on": one.device,
        "Timed runs": f"{one.timed} a side",
        "Finished": time.strftime("%Y-%m-%d %H:%M", time.localtime(one.finished)),
    }
    more = " and ".join(beside(request))
    notes = [f"“{request.prompt}”", *([f"Beside it: {more}."] if more else [])]
    return {
        "title": one.name or "Chosen",
        "kind": "measured",
        "code": one.recipe,
        "bars": bars(one._asdict()),
        "facts": [{"name": name, "text": text} for name, text in facts.items()],
        "notes": notes,
    }


def name(one: HistoryEntry) -> str:
    return one.name or one.recipe


def held(one: HistoryEntry, rival: HistoryEntry) -> str:
    """Two runs of the same picture, each with its likeness to its own baseline: that of one to the other
    says nothing of either.
    """
    return (
        "To its own baseline each: "
        + ", ".join(
            f"{name(run)} {decibels(run.psnr_db)} at {run.compute_ratio:.2f}× less compute"
            for run in (rival, one)
        )
        + "."
    )


def rivals(entries: Iterable[HistoryEntry], one: HistoryEntry | None) -> list[tuple[str, str]]:
    """What a run can be held against: its baseline, and the other runs of the same picture, each with its
    key.
    """
    others = [other for other in entries if one and other.key != one.key and other.request == one.request]
    return [
        (PLAIN, ""),
        *(
            (f"{name(other)} · {decibels(other.psnr_db)} · {clock(other.finished)}", other.key)
            for other in others
        ),
    ]


def table(entries: Iterable[HistoryEntry]) -> str:
    """As CSV. Text is made harmless: a spreadsheet would run what begins like a formula."""
    heads = (
        "finished",
        "name",
        "pinned",
        "model",
        "prompt",
        "seed",
        "steps",
        "width",
        "height",
        "recipe",
        "speedup",
        "compute_ratio",
        "psnr_db",
        "ssim",
        "device",
    )
    rows = [
        [
            time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(one.finished)),
            _text(one.name),
            int(one.pinned),
            _text(one.request.model),
            _text(one.request.prompt),
            one.request.seed,
            one.request.steps,
            one.request.width,
            one.request.height,
            _text(one.recipe),
            one.speedup,
            one.compute_ratio,
            one.psnr_db,
            one.ssim,
            _text(one.device),
        ]
        for one in entries
    ]
    return csv_text(heads, rows)


def _text(value: str) -> str:
    return f"'{value}" if value[:1] in tuple("=+-@\t\r") else value
