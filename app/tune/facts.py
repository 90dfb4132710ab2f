"""What a tune's snapshot (``tune_json`` in the engine) knows of its settings: accessors that chart, sheet and
card share. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from ..components.chart import MarkShape
from ..components.setting import SettingBar
from ..csv_text import csv_text
from ..words import plural

Snapshot = Mapping[str, Any]
Setting = Mapping[str, Any]
NONE = "no estimate"  # where no survey says how close a setting comes, and it was not run
SPREAD = 1.645  # standard deviations: nine of ten lie within


def settings(snapshot: Snapshot) -> dict[str, Setting]:
    """Every setting that the snapshot tells of, by its key; the measured ones first."""
    listed = [
        *snapshot["verified"],
        *filter(None, [snapshot["best"], snapshot["running"]]),
        *snapshot["frontier"],
        *snapshot["fewer_steps"],
    ]
    found: dict[str, Setting] = {}
    for one in listed:
        found.setdefault(one["key"], one)
    return found


def figures(one: Setting) -> Mapping[str, Any]:
    """What was measured, else what is expected."""
    return one.get("measured") or one["expected"]


def about(one: Setting, digits: int = 0) -> str:
    """The likeness that is expected, with its band."""
    psnr_db, spread_db = (one["expected"][name] for name in ("psnr_db", "spread_db"))
    return NONE if psnr_db is None else f"≈ {psnr_db:.{digits}f} ± {SPREAD * spread_db:.{digits}f} dB"


def plain(one: Setting) -> bool:
    """The plain model with fewer steps."""
    return one["method"]["name"] == "fewer_steps" and not one["method"]["cache"].strip()


def name(one: Setting) -> str:
    """As people call it: a recipe, or the plain model's steps, or both."""
    steps = len(one["schedule"])
    if one["method"]["name"] != "fewer_steps":
        return one["recipe"]
    return plural(steps, "plain step") if plain(one) else f"{plural(steps, 'step')}, {one['method']['cache']}"


def per_cent(part: float) -> str:
    """Of a goal: 95 %, 99.5 %."""
    return f"{100 * part:g} %"


def chosen_of(snapshot: Snapshot | None, wanted: str) -> Setting | None:
    """The setting that was asked for, else the best so far."""
    if snapshot is None:
        return None
    return settings(snapshot).get(wanted) or snapshot["best"]


def served(path: str) -> str:
    """Where the page finds a picture of a job's folder."""
    return f"gradio_api/file={quote(path)}"


def mark(one: Setting, snapshot: Snapshot) -> MarkShape:
    """How chart and sheet mark a setting."""
    if one.get("on_the_edge"):
        return "edge"
    if snapshot["running"] and snapshot["running"]["key"] == one["key"] and "measured" not in one:
        return "running"
    return "cross" if plain(one) else "dot" if "measured" in one else "expected"


def worst_neighbour(one: Setting) -> Mapping[str, Any] | None:
    return min(one.get("neighbours", ()), key=lambda near: near["psnr_db"], default=None)


HEADS = (
    "recipe",
    "state",
    "schedule",
    "compute_ratio",
    "speedup",
    "psnr_db",
    "spread_db",
    "prompts",
    "share_above",
    "accepted_on",
    "accepted_share_above",
    "accepted_percentile_5_db",
    "accepted_worst_db",
    "worst_one_step_away_db",
    "on_the_edge",
)


def table(snapshot: Snapshot) -> str:
    """As CSV: what the sheet shows, in plain numbers."""
    return csv_text(HEADS, map(_row, settings(snapshot).values()))


def _row(one: Setting) -> list[Any]:
    known, beyond, near = figures(one), one.get("acceptance", {}), worst_neighbour(one)
    return [
        one["recipe"],
        "measured" if "measured" in one else "expected",
        one["schedule"],
        *(
            known.get(name)
            for name in ("compute_ratio", "speedup", "psnr_db", "spread_db", "prompts", "share_above")
        ),
        *(beyond.get(name) for name in ("prompts", "share_above", "percentile_5_db", "worst_db")),
        near and near["psnr_db"],
        one.get("on_the_edge", ""),
    ]


def bars(known: Mapping[str, Any], about: str = "") -> list[SettingBar]:
    """Less compute and less time, as a card draws them. ``about``: put before a time that is only
    expected.
    """
    most = max(known["compute_ratio"], known["speedup"], 4)
    return [
        SettingBar(name=name, share=known[figure] / most, text=f"{sign}{known[figure]:.2f}×", look=look)
        for name, figure, sign, look in (
            ("less compute", "compute_ratio", "", "computed"),
            ("as fast", "speedup", about, "forced"),
        )
    ]
