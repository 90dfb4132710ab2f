"""The kept comparisons as the plain dicts that sheet and card draw. Pure."""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from typing import Any

from cache_engine import MODELS, clock

from .csv_text import csv_text
from .history import Entry
from .tune_facts import bars, served
from .words import decibels, flops_unit, likeness, plural, seconds, significant, structural

View = dict[str, Any]
ALL, PINNED = "all", "pinned"
PLAIN = "its baseline"  # what a run is held against at first
FIGURES = ("speedup", "compute_ratio", "psnr_db", "ssim")
NONE = ("No run yet. Every comparison that is made on Compare is kept here, pictures and figures, also after a restart. Nothing leaves "
        "this machine; who opens this page sees them all.")


def found(entries: Iterable[Entry], words: str, which: str = ALL) -> list[Entry]:
    """Those with every one of the words in prompt, setting, name or model."""
    wanted = words.casefold().split()
    return [one for one in entries if (one.pinned or which != PINNED) and all(word in _searched(one) for word in wanted)]


def _searched(one: Entry) -> str:
    request = one.data["request"]
    return " ".join((one.name, request["prompt"], one.data["recipe"], one.data["method"]["name"], request["model"],
                     title(request["model"]), "pinned" * one.pinned)).casefold()


def title(model: str) -> str:
    return MODELS[model].title if model in MODELS else model


def sheet(entries: Sequence[Entry], kept: int, chosen: str, folder: str) -> View:
    """``entries``: those that were looked for, of all ``kept``.  folder: of their pictures."""
    columns = [{"text": "Setting", "kind": "name"}, {"text": "Prompt", "kind": "prompt"}, {"text": "Steps", "kind": "steps"},
               {"text": "Faster", "kind": "number"}, {"text": "Less compute", "kind": "number"}, {"text": "PSNR", "kind": "now"},
               {"text": "When", "kind": "number"}]
    count = plural(kept, "run") if len(entries) == kept else f"{len(entries)} of {plural(kept, 'run')}"
    return {"title": "Runs", "count": count, "columns": columns, "rows": [_row(one, folder) for one in entries], "chosen": chosen,
            "sort": {"column": 6, "down": True}, "note": "", "empty": "No run has these words." if kept else NONE,
            "file": {"name": "cachelens-history.csv", "text": table(entries)} if entries else None}


def _row(one: Entry, folder: str) -> View:
    data, request = one.data, one.data["request"]
    psnr = data["psnr_db"]
    return {"id": one.key, "mark": "pinned" if one.pinned else "", "tag": one.name, "mono": True,
            "picture": served(f"{folder}/{one.key}/accelerated.png"), "cells": [
                {"text": data["recipe"], "sort": data["recipe"]},
                {"text": request["prompt"], "sort": request["prompt"]},
                {"strip": data["accelerated"]["schedule"], "sort": data["accelerated"]["schedule"].count("C")},
                {"text": f"{data['speedup']:.2f}×", "sort": data["speedup"]},
                {"text": f"{data['compute_ratio']:.2f}×", "sort": data["compute_ratio"]},
                {"text": decibels(psnr), "sort": float("1e9") if psnr is None else psnr},
                {"text": clock(one.finished), "sort": one.finished}]}


def card(one: Entry | None) -> View:
    """Everything that is known of one run."""
    if one is None:
        return {"title": "No run chosen", "kind": "", "code": "", "bars": [], "facts": [], "notes": ["Choose a row."]}
    data, request, before, after = one.data, one.data["request"], one.data["baseline"], one.data["accelerated"]
    factor, unit = flops_unit(before["tflops"])
    facts = [
        ("PSNR", decibels(data["psnr_db"]) if data["psnr_db"] is None else f"{decibels(data['psnr_db'])}, {likeness(data['psnr_db'])}"),
        ("SSIM", structural(data["ssim"])),
        ("Denoise loop", f"{seconds(before['seconds']['denoise'])} → {seconds(after['seconds']['denoise'])}"),
        (unit, f"{significant(before['tflops'] * factor)} → {significant(after['tflops'] * factor)}"),
        ("Model", f"{title(request['model'])}, {request['width']} × {request['height']}, {plural(request['steps'], 'step')}"),
        ("Seed", str(request["seed"])), ("Ran on", data["engine"]["device"]),
        ("Timed runs", f"{len(after['timed'])} a side" if after.get("timed") else "1 a side"),
        ("Finished", time.strftime("%Y-%m-%d %H:%M", time.localtime(one.finished)))]
    beside = [word for word, had in (("a LoRA", request["loras"]), ("an input picture", request["image"])) if had]
    notes = [f"“{request['prompt']}”", *([f"With {' and '.join(beside)}."] if beside else [])]
    return {"title": one.name or "Chosen", "kind": "measured", "code": data["recipe"], "bars": bars(data),
            "facts": [{"name": name, "text": text} for name, text in facts], "notes": notes}


def name(one: Entry) -> str:
    return one.name or one.data["recipe"]


def held(one: Entry, rival: Entry) -> str:
    """Two runs of the same picture, each with its likeness to its own baseline: that of one to the other says nothing of either."""
    return "To its own baseline each: " + ", ".join(
        f"{name(run)} {decibels(run.data['psnr_db'])} at {run.data['compute_ratio']:.2f}× less compute" for run in (rival, one)) + "."


def rivals(entries: Iterable[Entry], one: Entry | None) -> list[tuple[str, str]]:
    """What a run can be held against: its baseline, and the other runs of the same picture, each with its key."""
    others = [other for other in entries if one and other.key != one.key and other.data["request"] == one.data["request"]]
    return [(PLAIN, ""), *((f"{name(other)} · {decibels(other.data['psnr_db'])} · {clock(other.finished)}", other.key)
                           for other in others)]


def table(entries: Iterable[Entry]) -> str:
    """As CSV. Text is made harmless: a spreadsheet would run what begins like a formula."""
    heads = ("finished", "name", "pinned", "model", "prompt", "seed", "steps", "width", "height", "recipe", *FIGURES, "device")
    rows = ([time.strftime("%Y-%m-%dT%H:%M:%S", time.localtime(one.finished)), _text(one.name), int(one.pinned), request["model"],
             _text(request["prompt"]), request["seed"], request["steps"], request["width"], request["height"], _text(one.data["recipe"]),
             *(one.data[name] for name in FIGURES), _text(one.data["engine"]["device"])]
            for one in entries for request in (one.data["request"],))
    return csv_text(heads, list(rows))


def _text(value: str) -> str:
    return f"'{value}" if value[:1] in tuple("=+-@\t\r") else value
