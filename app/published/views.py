"""Makes the table and the card of the tab *Published* from its settings."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from ..components.setting import SettingBar, SettingValue
from ..components.sheet import SheetColumn, SheetRow, SheetValue
from .chart import MARKS, short_title
from .csv_file import NAME, as_csv
from .figures import NOT_PRINTED, QUALITIES, SPEEDS, FigureChoice
from .tables import FAMILIES, OWN_FAMILY, SCORES, ListedSetting

LONGEST_BAR = 7.5  # times less compute or time at which a bar is full


def sheet(settings: Sequence[ListedSetting], choice: FigureChoice, chosen: str = "") -> SheetValue:
    """Make a table row from each setting, and a CSV file of the rows."""
    return {
        "title": "All rows",
        "count": f"{len(settings)} settings",
        "columns": _columns(choice),
        "rows": [_row(setting, choice) for setting in settings],
        "chosen": chosen or None,
        "sort": {"column": 1, "down": choice.relative},
        "note": "* computed in 8 bits, which wrap around",
        "empty": "No row passes all filters.",
        "file": {"name": NAME, "text": as_csv(settings)},
    }


def _columns(choice: FigureChoice) -> list[SheetColumn]:
    short_names = {
        "tflops": "Compute" if choice.relative else "TFLOPs",
        "latency_s": "Time" if choice.relative else "Latency, s",
        "clip_score": "CLIP",
        "psnr": "PSNR*",
    }
    return [
        {"text": "Setting", "kind": "name"},
        *(
            SheetColumn(
                text=short_names.get(name, figure.title),
                kind="now" if name in (choice.quality, choice.speed) else "number",
            )
            for name, figure in (SPEEDS | QUALITIES).items()
        ),
    ]


def _row(setting: ListedSetting, choice: FigureChoice) -> SheetRow:
    return {
        "id": setting.key,
        "mark": MARKS[setting.family],
        "tag": "yours" if setting.family == OWN_FAMILY else short_title(setting.preset),
        "mono": setting.method.get("name") == "dbcache",
        "cells": [
            {"text": setting.name, "sort": setting.name},
            *(
                {"text": choice.text(setting, name), "sort": choice.value(setting, name)}
                for name in (*SPEEDS, *QUALITIES)
            ),
        ],
    }


def card(setting: ListedSetting | None) -> SettingValue:
    """Return the card with everything that the tables print about one setting, and the baseline that it is
    compared with.
    """
    if setting is None:
        return {
            "title": "No setting chosen",
            "kind": "",
            "code": "",
            "bars": [],
            "facts": [],
            "notes": ["Choose a point or a row."],
        }
    titles = FAMILIES | {"other": "Another method", "baseline": "Baseline"}
    return {
        "title": f"Preset {setting.preset}" if setting.preset else titles[setting.family],
        "kind": "published",
        "code": setting.name,
        "bars": [] if setting.is_baseline else ratio_bars(setting),
        "facts": [
            *(
                {"name": figure.title, "text": quality_text(setting, name)}
                for name, figure in QUALITIES.items()
            ),
            {"name": "TFLOPs", "text": _value_of_baseline(setting, "tflops", "")},
            {"name": "Latency", "text": _value_of_baseline(setting, "latency_s", " s")},
            {"name": "Baseline", "text": setting.baseline.title},
        ],
        "notes": [*setting.elsewhere, *_misprints(setting), *filter(None, [setting.why_not_openable])],
    }


def ratio_bars(setting: ListedSetting) -> list[SettingBar]:
    """Draw the two ratios to the baseline, counted compute and time, as separate bars. The two are never
    mixed.
    """
    compute, time = setting.relative("tflops"), setting.relative("latency_s")
    return [_bar("less compute", compute, "computed"), _bar("less time", time, "forced")]


def _bar(name: str, ratio: float | None, look: Literal["computed", "forced"]) -> SettingBar:
    return {
        "name": name,
        "share": min((ratio or 0) / LONGEST_BAR, 1),
        "text": f"{ratio:.2f}×" if ratio else "not known",
        "look": look,
    }


def quality_text(setting: ListedSetting, figure: str) -> str:
    """Write a quality as printed, and its percentage of the baseline's if it has one."""
    text = setting.printed.get(figure) or NOT_PRINTED
    share = setting.relative(figure) if figure in SCORES and not setting.is_baseline else None
    return text if share is None else f"{text} · {QUALITIES[figure].relative_format.format(share)}"


def _value_of_baseline(setting: ListedSetting, figure: str, unit: str) -> str:
    """Write a figure as printed, with the baseline's: "944.75 of 3726.87"."""
    text, base = setting.printed.get(figure), setting.baseline_value(figure)
    if not text:
        return NOT_PRINTED
    return f"{text}{unit}" if setting.is_baseline or base is None else f"{text} of {base:.2f}{unit}"


def _misprints(setting: ListedSetting) -> list[str]:
    printed, computed = setting.value("speedup_tflops"), setting.relative("tflops")
    if printed is None or computed is None or abs(printed - computed) <= 0.0051:
        return []
    return [f"Printed as {printed:.2f}× less compute; its own TFLOPs say {computed:.2f}×."]
