"""A tune's settings as the plain dicts that sheet, card and strips draw. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ..axes import around
from ..components.base.shapes import NamedText
from ..components.setting import SettingValue
from ..components.sheet import SheetColumn, SheetRow, SheetValue
from ..components.strips import StripsDot, StripsLine, StripsRow, StripsTick, StripsValue
from ..words import decibels, plural, seconds, share
from .chart import HIGHEST
from .facts import (
    Setting,
    Snapshot,
    about,
    bars,
    figures,
    mark,
    name,
    per_cent,
    plain,
    settings,
    worst_neighbour,
)

# ---- sheet ----


def sheet(snapshot: Snapshot | None, chosen: str = "", *, measured: bool = False) -> SheetValue:
    """Every setting that the chart knows by name; sorted by compute at first."""
    every = [
        one for one in (settings(snapshot).values() if snapshot else ()) if "measured" in one or not measured
    ]
    share_text = per_cent(snapshot["goal"]["share"]) if snapshot else "95 %"
    steps = max((len(one["schedule"]) for one in every), default=0)
    columns: list[SheetColumn] = [
        {"text": "Recipe", "kind": "name"},
        {"text": "Steps", "kind": "steps"},
        {"text": "Compute", "kind": "now"},
        {"text": "Faster", "kind": "number"},
        {"text": f"{share_text} reach", "kind": "number"},
        {"text": "Above floor", "kind": "number"},
        {"text": "One step away", "kind": "number"},
    ]
    return {
        "title": "Settings",
        "count": plural(len(every), "setting"),
        "columns": columns,
        "rows": [_row(one, snapshot or {}, steps) for one in every],
        "chosen": chosen,
        "sort": {"column": 2, "down": True},
        "note": "≈ and ± are expected, the rest was measured",
        "empty": "No setting was measured yet."
        if snapshot
        else "The settings appear when every one was judged.",
    }


def _row(one: Setting, snapshot: Snapshot, steps: int) -> SheetRow:
    known, measured = figures(one), "measured" in one
    reached = decibels(known["psnr_db"]) if measured else about(one)
    above, beyond = known.get("share_above"), one.get("acceptance", {})
    held = beyond.get("share_above") if beyond.get("prompts") else above
    near = worst_neighbour(one)
    tag = (
        "on the edge"
        if one.get("on_the_edge")
        else "best"
        if snapshot["best"] and snapshot["best"]["key"] == one["key"]
        else ""
    )
    return {
        "id": one["key"],
        "mark": mark(one, snapshot),
        "tag": tag,
        "mono": not plain(one),
        "cells": [
            {"text": name(one), "sort": name(one)},
            {"strip": one["schedule"].ljust(steps), "sort": one["schedule"].count("C")},
            {"text": f"{known['compute_ratio']:.2f}×", "sort": known["compute_ratio"]},
            {"text": f"{'' if measured else '≈ '}{known['speedup']:.2f}×", "sort": known["speedup"]},
            {"text": reached, "sort": known["psnr_db"]},
            {"text": "" if held is None else share(held), "sort": held},
            {
                "text": "" if near is None else f"{near['psnr_db']:.1f} dB",
                "sort": None if near is None else near["psnr_db"],
            },
        ],
    }


# ---- card ----


def card(snapshot: Snapshot | None, one: Setting | None) -> SettingValue:
    """All that is known of one setting."""
    if snapshot is None or one is None:
        found = snapshot is not None and snapshot["stage"] == "done"
        said = (
            "No setting that was run reaches the goal: lower it, or give it more time."
            if found
            else "The best setting that was measured stands here."
        )
        return {"title": "Best so far", "kind": "", "code": "", "bars": [], "facts": [], "notes": [said]}
    known, measured = figures(one), "measured" in one
    best = snapshot["best"] is not None and snapshot["best"]["key"] == one["key"]
    title = "Chosen" if not best else "Best" if snapshot["stage"] == "done" else "Best so far"
    return {
        "title": title,
        "kind": "measured" if measured else "expected",
        "code": name(one),
        "bars": bars(known, "" if measured else "≈ "),
        "facts": list(_facts(one, snapshot)),
        "notes": list(_notes(one, snapshot)),
    }


def _facts(one: Setting, snapshot: Snapshot) -> Iterable[NamedText]:
    known = figures(one)
    if "measured" not in one:
        yield {"name": "PSNR", "text": about(one, 1)}
        return
    held = f"{per_cent(snapshot['goal']['share'])} of {plural(known['prompts'], 'tuning prompt')} reach"
    yield {"name": held, "text": decibels(known["psnr_db"])}
    yield {"name": "Denoise loop, mean", "text": seconds(known["seconds"])}
    beyond = one.get("acceptance", {})
    if beyond.get("prompts"):
        if beyond["share_above"] is not None:
            yield {
                "name": f"Above the floor, of {beyond['prompts']} others",
                "text": share(beyond["share_above"]),
            }
        yield {"name": "5th percentile", "text": decibels(beyond["percentile_5_db"])}
        yield {"name": "Worst", "text": decibels(beyond["worst_db"])}


def _notes(one: Setting, snapshot: Snapshot) -> Iterable[str]:
    if "measured" not in one:
        yield "Expected from the plain runs alone; it was not run."
        if one["expected"]["psnr_db"] is None:
            yield "They do not say how close it comes: only a run can tell."
    elif not one["measured"]["whole"]:
        yield "It missed the goal before all tuning prompts were run."
    if one.get("on_the_edge"):
        near = worst_neighbour(one)
        assert near is not None
        yield f"On the edge: {near['recipe']}, one step of one knob away, falls to {near['psnr_db']:.1f} dB."
    if plain(one):
        yield "No cache: the plain model with fewer steps."
    elif one["method"]["name"] == "fewer_steps":
        yield "Fewer steps, and a cache within them."
    if one["twins"] and "measured" not in one:
        yield f"{plural(one['twins'], 'other setting')} would decide alike."


# ---- margins ----


def margins(one: Setting | None, goal: Mapping[str, Any] | None) -> StripsValue:
    """The acceptance prompts, and what lies one step of one knob away, as dots against the floor."""
    if one is None or goal is None or "acceptance" not in one:
        return {"rows": []}
    beyond = one["acceptance"].get("psnr_db_each", [])
    near = one["neighbours"]
    floor, edge = (goal["value"], one["edge_db"]) if goal["kind"] == "close" else (None, None)
    values = [min(value, HIGHEST) for value in (*beyond, *(each["psnr_db"] for each in near))]
    if not values:
        return {"rows": []}
    axis = around([*values, *(value for value in (floor, edge) if value is not None)])

    def dot(value: float) -> StripsDot:
        return {
            "at": axis.place(min(value, HIGHEST)),
            "look": "below" if floor is not None and value < floor else "",
        }

    rows: list[StripsRow] = []
    if beyond:
        rows.append(
            {
                "label": "other prompts",
                "dots": [dot(value) for value in beyond],
                "text": f"worst {min(beyond):.1f}",
                "spoken": f"{len(beyond)} acceptance prompts from {min(beyond):.1f} to {max(beyond):.1f} dB",
            }
        )
    for each in near:
        label = each["knob"].replace("_", " ")
        rows.append(
            {
                "label": label,
                "dots": [dot(each["psnr_db"])],
                "text": f"{each['value']:g}: {each['psnr_db']:.1f}",
                "spoken": f"{label} {each['value']:g}: {each['psnr_db']:.1f} dB",
            }
        )
    lines = [
        StripsLine(at=axis.place(at), kind=kind)
        for at, kind in ((floor, "floor"), (edge, "edge"))
        if at is not None
    ]
    ticks: list[StripsTick] = [{"at": axis.place(value), "text": f"{value:g}"} for value in axis.ticks(4)]
    return {
        "title": "Margin",
        "note": "dB, on other prompts and one step of one knob away",
        "rows": rows,
        "lines": lines,
        "ticks": ticks,
    }
