"""Makes table, card and strips from a tune's settings."""

from __future__ import annotations

from collections.abc import Iterable

from ..axes import Axis, around
from ..components.base.shapes import NamedText
from ..components.setting import SettingValue
from ..components.sheet import SheetRow, SheetValue
from ..components.strips import StripsDot, StripsLine, StripsRow, StripsValue
from ..values import ratio_bars
from ..words import decibels, plural, seconds, share
from .chart import HIGHEST_DB
from .snapshot import (
    TunedSetting,
    TuneGoal,
    TuneSnapshot,
    about_sign,
    expected_psnr,
    figures_of,
    is_best,
    is_plain_model,
    mark_of,
    per_cent,
    setting_name,
    settings_by_key,
    worst_neighbour,
)

# ---- table ----


def sheet(snapshot: TuneSnapshot | None, chosen: str = "", *, measured: bool = False) -> SheetValue:
    """Make a table row from each setting that the snapshot describes; with ``measured``, only from those that
    have run.
    """
    settings = list(settings_by_key(snapshot).values()) if snapshot else []
    if measured:
        settings = [setting for setting in settings if "measured" in setting]
    prompts = per_cent(snapshot["goal"]["share"]) if snapshot else "95 %"
    steps = max((len(setting["schedule"]) for setting in settings), default=0)
    return {
        "title": "Settings",
        "count": plural(len(settings), "setting"),
        "columns": [
            {"text": "Recipe", "kind": "name"},
            {"text": "Steps", "kind": "steps"},
            {"text": "Compute", "kind": "now"},
            {"text": "Faster", "kind": "number"},
            {"text": f"PSNR of {prompts}", "kind": "number"},
            {"text": "Passed", "kind": "number"},
            {"text": "Worst neighbour", "kind": "number"},
        ],
        "rows": [_row(setting, snapshot, steps) for setting in settings] if snapshot else [],
        "chosen": chosen,
        "sort": {"column": 2, "down": True},
        "note": "≈ and ± mark estimates, all other figures are measured; a neighbour is one step of one knob "
        "away",
        "empty": "No setting has run yet."
        if snapshot
        else "The settings appear as soon as all of them are estimated.",
    }


def _row(setting: TunedSetting, snapshot: TuneSnapshot, steps: int) -> SheetRow:
    figures, passed, near = figures_of(setting), _passed(setting), worst_neighbour(setting)
    tag = "best" if is_best(setting, snapshot) else ""
    psnr = decibels(figures["psnr_db"]) if "measured" in setting else expected_psnr(setting)
    return {
        "id": setting["key"],
        "mark": mark_of(setting, snapshot),
        "tag": "on the edge" if setting.get("on_the_edge") else tag,
        "mono": not is_plain_model(setting),
        "cells": [
            {"text": setting_name(setting), "sort": setting_name(setting)},
            {"strip": setting["schedule"].ljust(steps), "sort": setting["schedule"].count("C")},
            {"text": f"{figures['compute_ratio']:.2f}×", "sort": figures["compute_ratio"]},
            {"text": f"{about_sign(setting)}{figures['speedup']:.2f}×", "sort": figures["speedup"]},
            {"text": psnr, "sort": figures["psnr_db"]},
            {"text": "" if passed is None else share(passed), "sort": passed},
            {"text": f"{near['psnr_db']:.1f} dB", "sort": near["psnr_db"]}
            if near
            else {"text": "", "sort": None},
        ],
    }


def _passed(setting: TunedSetting) -> float | None:
    """Return the share of prompts at or above the floor: of the acceptance prompts, if they were run."""
    acceptance = setting.get("acceptance")
    if acceptance and acceptance["prompts"]:
        return acceptance["share_above"]
    return setting["measured"]["share_above"] if "measured" in setting else None


# ---- card ----


def card(snapshot: TuneSnapshot | None, setting: TunedSetting | None) -> SettingValue:
    """Return the card with everything that is known about one setting."""
    if snapshot is None or setting is None:
        done = snapshot is not None and snapshot["stage"] == "done"
        note = (
            "No setting that has run reaches the goal. Lower the goal, or give the search more time."
            if done
            else "The best measured setting will be shown here."
        )
        return {"title": "Best so far", "kind": "", "code": "", "bars": [], "facts": [], "notes": [note]}
    figures, title = figures_of(setting), "Chosen"
    if is_best(setting, snapshot):
        title = "Best" if snapshot["stage"] == "done" else "Best so far"
    return {
        "title": title,
        "kind": "measured" if "measured" in setting else "expected",
        "code": setting_name(setting),
        "bars": ratio_bars(figures["compute_ratio"], figures["speedup"], about_sign(setting)),
        "facts": list(_facts(setting, snapshot["goal"])),
        "notes": list(_notes(setting)),
    }


def _facts(setting: TunedSetting, goal: TuneGoal) -> Iterable[NamedText]:
    if "measured" not in setting:
        yield {"name": "PSNR", "text": expected_psnr(setting, 1)}
        return
    measured = setting["measured"]
    prompts = f"{per_cent(goal['share'])} of {plural(measured['prompts'], 'tuning prompt')}"
    yield {"name": f"Reached by {prompts}", "text": decibels(measured["psnr_db"])}
    yield {"name": "Denoise loop, mean", "text": seconds(measured["seconds"])}
    acceptance = setting.get("acceptance")
    if not acceptance or not acceptance["prompts"]:
        return
    if acceptance["share_above"] is not None:
        name = f"Other prompts that pass ({acceptance['prompts']})"
        yield {"name": name, "text": share(acceptance["share_above"])}
    yield {"name": "Their 5th percentile", "text": decibels(acceptance["percentile_5_db"])}
    yield {"name": "Their worst", "text": decibels(acceptance["worst_db"])}


def _notes(setting: TunedSetting) -> Iterable[str]:
    if "measured" not in setting:
        yield "Estimated from baseline runs. This setting has not run."
        if setting["expected"]["psnr_db"] is None:
            yield "No estimate of the quality is possible for this setting: run it to measure the quality."
    elif not setting["measured"]["whole"]:
        yield "It missed the goal before all tuning prompts were run."
    if setting.get("on_the_edge") and (near := worst_neighbour(setting)):
        yield f"On the edge: {near['recipe']}, one step of one knob away, falls to {near['psnr_db']:.1f} dB."
    if is_plain_model(setting):
        yield "No cache: the plain model with fewer steps."
    elif setting["method"]["name"] == "fewer_steps":
        yield "Fewer steps, and a cache within them."
    if setting["twins"] and "measured" not in setting:
        yield f"{plural(setting['twins'], 'other setting')} would make the same decisions."


# ---- margins ----


def margins(setting: TunedSetting | None, goal: TuneGoal | None) -> StripsValue:
    """Draw the acceptance prompts, and the settings that are one step of one knob away, as dots beside the
    floor.
    """
    if setting is None or goal is None or "acceptance" not in setting:
        return {"rows": []}
    prompts = setting["acceptance"].get("psnr_db_each", [])
    neighbours = setting.get("neighbours", [])
    is_close = goal["kind"] == "close"
    floor, edge = (goal["value"], setting.get("edge_db")) if is_close else (None, None)
    limits = [limit for limit in (floor, edge) if limit is not None]
    values = [min(value, HIGHEST_DB) for value in (*prompts, *(near["psnr_db"] for near in neighbours))]
    if not values:
        return {"rows": []}
    axis = around([*values, *limits])
    rows: list[StripsRow] = []
    if prompts:
        low, high = f"{min(prompts):.1f}", f"{max(prompts):.1f}"
        rows.append(
            {
                "label": "other prompts",
                "dots": [_dot(value, axis, floor) for value in prompts],
                "text": f"worst {low}",
                "spoken": f"{len(prompts)} acceptance prompts from {low} to {high} dB",
            }
        )
    for near in neighbours:
        label, value, psnr = near["knob"].replace("_", " "), f"{near['value']:g}", f"{near['psnr_db']:.1f}"
        rows.append(
            {
                "label": label,
                "dots": [_dot(near["psnr_db"], axis, floor)],
                "text": f"{value}: {psnr}",
                "spoken": f"{label} {value}: {psnr} dB",
            }
        )
    lines: list[StripsLine] = [] if floor is None else [{"at": axis.place(floor), "kind": "floor"}]
    if edge is not None:
        lines.append({"at": axis.place(edge), "kind": "edge"})
    return {
        "title": "Margin",
        "note": "PSNR in dB, of other prompts and of settings one step of one knob away",
        "rows": rows,
        "lines": lines,
        "ticks": [{"at": axis.place(value), "text": f"{value:g}"} for value in axis.ticks(4)],
    }


def _dot(psnr_db: float, axis: Axis, floor: float | None) -> StripsDot:
    below = floor is not None and psnr_db < floor
    return {"at": axis.place(min(psnr_db, HIGHEST_DB)), "look": "below" if below else ""}
