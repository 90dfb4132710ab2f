"""Writes the rows of the tab *Published* as a CSV file: figures as printed or measured, and ratios to each
row's own baseline.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..values import csv_text
from .tables import FAMILIES, FIGURES, OWN_FAMILY, SCORES, ListedSetting

NAME = "cachelens-published.csv"
RATIOS = {"tflops": "times_less_compute", "latency_s": "times_less_time"} | {
    name: f"{name}_percent" for name in SCORES
}
HEADS = ("setting", "preset", "kind", "family", "model", "steps", "baseline", *FIGURES, *RATIOS.values())


def as_csv(settings: Sequence[ListedSetting]) -> str:
    """Write one line for each setting under ``HEADS``. An unknown figure is left empty.

    The PSNR is the wrapped one of the published tables.
    """
    return csv_text(HEADS, map(_row, settings))


def _row(setting: ListedSetting) -> list[str | int]:
    ratios = [setting.relative(figure) for figure in RATIOS]
    return [
        setting.name,
        setting.preset,
        "measured" if setting.family == OWN_FAMILY else "published",
        FAMILIES.get(setting.family, "Your runs"),
        setting.baseline.model,
        setting.baseline.steps,
        setting.baseline.title,
        *(setting.printed.get(figure, "") for figure in FIGURES),
        *("" if ratio is None else f"{ratio:.4f}" for ratio in ratios),
    ]
