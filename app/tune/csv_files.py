"""Writes a tune's settings and a sweep's cells as CSV: the figures of the table as plain numbers."""

from __future__ import annotations

from typing import Any

from ..values import csv_text
from .snapshot import TunedSetting, TuneSnapshot, figures_of, settings_by_key, worst_neighbour
from .sweep_views import SweepSnapshot, is_measured

TUNE_HEADS = (
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
SWEEP_FIGURES = ("recipe", "psnr_db", "ssim", "tflops", "seconds", "compute_ratio", "speedup", "schedule")


def tune_csv(snapshot: TuneSnapshot) -> str:
    """Write one line for each setting that the snapshot describes."""
    return csv_text(TUNE_HEADS, map(_tune_row, settings_by_key(snapshot).values()))


def _tune_row(setting: TunedSetting) -> list[Any]:
    figures, acceptance = figures_of(setting), setting.get("acceptance", {})
    near = worst_neighbour(setting)
    return [
        setting["recipe"],
        "measured" if "measured" in setting else "expected",
        setting["schedule"],
        *(
            figures.get(name)
            for name in ("compute_ratio", "speedup", "psnr_db", "spread_db", "prompts", "share_above")
        ),
        *(acceptance.get(name) for name in ("prompts", "share_above", "percentile_5_db", "worst_db")),
        near and near["psnr_db"],
        setting.get("on_the_edge", ""),
    ]


def sweep_csv(snapshot: SweepSnapshot) -> str:
    """Write one line for each cell that has run."""
    heads = [*(axis["knob"] for axis in snapshot["axes"]), *SWEEP_FIGURES]
    return csv_text(
        heads,
        [
            [*cell["values"], *(cell.get(name) for name in SWEEP_FIGURES)]
            for cell in snapshot["cells"]
            if is_measured(cell)
        ],
    )
