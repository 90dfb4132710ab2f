"""Makes the values of the table and the card from stored comparisons, and writes them as CSV."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence

from cache_engine import MODELS, clock

from ..components.setting import SettingValue
from ..components.sheet import SheetColumn, SheetRow, SheetValue
from ..pictures import picture_url
from ..values import csv_text, ratio_bars
from ..words import beside, decibels, flops_unit, likeness, plural, seconds, significant, structural
from .store import HistoryEntry

ALL, PINNED = "all", "pinned"
LONGEST_SEARCH = 500  # characters; the rest of a search is not read
ITS_BASELINE = "its baseline"  # the first choice of a picture to compare the run with
IDENTICAL_SORTS_AT = 1e9  # dB: identical pictures are sorted above all others
NO_RUN = (
    "No run yet. Every comparison that you make on Compare is stored here with its pictures and figures, and "
    "stays after a restart. Nothing leaves this machine. A page that was started as a shared board shows all "
    "runs to everybody."
)
COLUMNS: tuple[SheetColumn, ...] = (
    {"text": "Setting", "kind": "name"},
    {"text": "Prompt", "kind": "prompt"},
    {"text": "Steps", "kind": "steps"},
    {"text": "Faster", "kind": "number"},
    {"text": "Less compute", "kind": "number"},
    {"text": "PSNR", "kind": "now"},
    {"text": "When", "kind": "number"},
)
CSV_HEADS = (
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


def search(entries: Iterable[HistoryEntry], words: str, which: str = ALL) -> list[HistoryEntry]:
    """Return the entries in which every word occurs in prompt, setting, name or model."""
    wanted = set(words[:LONGEST_SEARCH].casefold().split())

    def fits(entry: HistoryEntry) -> bool:
        text = _searched_text(entry)
        return all(word in text for word in wanted)

    return [entry for entry in entries if (entry.pinned or which != PINNED) and fits(entry)]


def _searched_text(entry: HistoryEntry) -> str:
    request = entry.request
    texts = [
        entry.name,
        request.prompt,
        entry.recipe,
        entry.method,
        request.model,
        model_title(request.model),
    ]
    return " ".join([*texts, *["pinned"] * entry.pinned]).casefold()


def model_title(model: str) -> str:
    """Return a model's title, or its name if MODELS has no such row."""
    return MODELS[model].title if model in MODELS else model


def run_title(entry: HistoryEntry) -> str:
    """Return a run's name, or its recipe if it has none."""
    return entry.name or entry.recipe


# ---- table ----


def sheet(entries: Sequence[HistoryEntry], total: int, chosen: str, folder: str) -> SheetValue:
    """Make a table row from each entry.

    entries: the results of the search, out of ``total`` stored runs.
    folder: the folder of the pictures.
    """
    return {
        "title": "Runs",
        "count": plural(total, "run")
        if len(entries) == total
        else f"{len(entries)} of {plural(total, 'run')}",
        "columns": list(COLUMNS),
        "rows": [_row(entry, folder) for entry in entries],
        "chosen": chosen,
        "sort": {"column": 6, "down": True},
        "note": "",
        "empty": "No run has these words." if total else NO_RUN,
        "file": {"name": "cachelens-history.csv", "text": csv_table(entries)} if entries else None,
    }


def _row(entry: HistoryEntry, folder: str) -> SheetRow:
    picture = "small.png" if entry.small else "accelerated.png"
    psnr_sort = IDENTICAL_SORTS_AT if entry.psnr_db is None else entry.psnr_db
    return {
        "id": entry.key,
        "mark": "pinned" if entry.pinned else "",
        "tag": entry.name,
        "mono": True,
        "picture": picture_url(f"{folder}/{entry.key}/{picture}"),
        "cells": [
            {"text": entry.recipe, "sort": entry.recipe},
            {"text": entry.request.prompt, "sort": entry.request.prompt},
            {"strip": entry.schedule, "sort": entry.schedule.count("C")},
            {"text": f"{entry.speedup:.2f}×", "sort": entry.speedup},
            {"text": f"{entry.compute_ratio:.2f}×", "sort": entry.compute_ratio},
            {"text": decibels(entry.psnr_db), "sort": psnr_sort},
            {"text": clock(entry.finished), "sort": entry.finished},
        ],
    }


def csv_table(entries: Iterable[HistoryEntry]) -> str:
    """Write the entries as CSV. Text that a spreadsheet would execute as a formula is made harmless."""
    return csv_text(CSV_HEADS, map(_csv_row, entries))


def _csv_row(entry: HistoryEntry) -> list[str | float | None]:
    request = entry.request
    return [
        time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(entry.finished)),
        _harmless(entry.name),
        int(entry.pinned),
        _harmless(request.model),
        _harmless(request.prompt),
        request.seed,
        request.steps,
        request.width,
        request.height,
        _harmless(entry.recipe),
        entry.speedup,
        entry.compute_ratio,
        entry.psnr_db,
        entry.ssim,
        _harmless(entry.device),
    ]


def _harmless(text: str) -> str:
    return f"'{text}" if text[:1] in tuple("=+-@\t\r") else text


# ---- card ----


def card(entry: HistoryEntry | None) -> SettingValue:
    """Return the value of the card: all figures of one run."""
    if entry is None:
        return {
            "title": "No run chosen",
            "kind": "",
            "code": "",
            "bars": [],
            "facts": [],
            "notes": ["Choose a row."],
        }
    more = " and ".join(beside(entry.request))
    return {
        "title": entry.name or "Chosen",
        "kind": "measured",
        "code": entry.recipe,
        "bars": ratio_bars(entry.compute_ratio, entry.speedup),
        "facts": [{"name": name, "text": text} for name, text in _facts(entry).items()],
        "notes": [f"“{entry.request.prompt}”", *([f"Also used: {more}."] if more else [])],
    }


def _facts(entry: HistoryEntry) -> dict[str, str]:
    request, (factor, unit) = entry.request, flops_unit(entry.tflops[0])
    word = "" if entry.psnr_db is None else f", {likeness(entry.psnr_db)}"
    size = f"{request.width} × {request.height}, {plural(request.steps or 0, 'step')}"
    return {
        "PSNR": decibels(entry.psnr_db) + word,
        "SSIM": structural(entry.ssim),
        "Denoise loop": " → ".join(map(seconds, entry.seconds)),
        unit: " → ".join(significant(tflops * factor) for tflops in entry.tflops),
        "Model": f"{model_title(request.model)}, {size}",
        "Seed": str(request.seed),
        "Ran on": entry.device,
        "Timed runs": f"{entry.timed} of each side",
        "Finished": time.strftime("%Y-%m-%d %H:%M", time.localtime(entry.finished)),
    }


def rival_choices(entries: Iterable[HistoryEntry], entry: HistoryEntry | None) -> list[tuple[str, str]]:
    """Return the pictures with which a run can be compared: its baseline, and other runs of the same request.
    Each choice is a label with a key; the baseline's key is "".
    """
    rivals = [
        other for other in entries if entry and other.key != entry.key and other.request == entry.request
    ]
    labels = [f"{run_title(run)} · {decibels(run.psnr_db)} · {clock(run.finished)}" for run in rivals]
    return [(ITS_BASELINE, ""), *zip(labels, (run.key for run in rivals))]


def rivals_line(entry: HistoryEntry, rival: HistoryEntry) -> str:
    """Tell how close two runs of the same request are to their own baselines. A PSNR between the two runs
    would say nothing about either.
    """
    figures = [
        f"{run_title(run)} {decibels(run.psnr_db)} at {run.compute_ratio:.2f}× less compute"
        for run in (rival, entry)
    ]
    return f"Each against its own baseline: {', '.join(figures)}."
