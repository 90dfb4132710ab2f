"""The rows of the Published tab as a CSV file, each figure as printed or measured, and each row's ratios to
its own baseline. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence

from ..csv_text import csv_text
from .rows import AGAINST_BASELINE, FAMILIES, FIGURES, YOURS, Entry

NAME = "cachelens-published.csv"
RATIOS = {"tflops": "times_less_compute", "latency_s": "times_less_time"} | {
    name: f"{name}_percent" for name in AGAINST_BASELINE
}
HEADS = ("setting", "preset", "kind", "family", "model", "steps", "baseline", *FIGURES, *RATIOS.values())


def as_csv(entries: Sequence[Entry]) -> str:
    """One entry a line under ``HEADS``; empty where there is no figure. PSNR is the published tables', which
    wraps.
    """
    return csv_text(HEADS, map(_row, entries))


def _row(one: Entry) -> list[str | int]:
    ratios = ("" if (ratio := one.own(figure)) is None else f"{ratio:.4f}" for figure in RATIOS)
    return [
        one.name,
        one.preset,
        "measured" if one.family == YOURS else "published",
        FAMILIES.get(one.family, "Your runs"),
        one.base.model,
        one.base.steps,
        one.base.title,
        *(one.printed.get(figure, "") for figure in FIGURES),
        *ratios,
    ]
