"""Parts of values that several tabs make for cards, tables and charts: bars and CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from .components.setting import SettingBar
from .words import times_faster


def ratio_bars(compute_ratio: float, speedup: float, sign: str = "") -> list[SettingBar]:
    """Draw less compute and less time as bars on one scale. ``sign``: stands before a time that is only
    expected.
    """
    longest = max(compute_ratio, speedup, 4)
    text, word = times_faster(speedup)
    return [
        {
            "name": "less compute",
            "share": compute_ratio / longest,
            "text": f"{compute_ratio:.2f}×",
            "look": "computed",
        },
        {
            "name": "the same time" if word == "the same" else word,
            "share": speedup / longest,
            "text": f"{sign}{text}",
            "look": "forced",
        },
    ]


def csv_text(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """Return the column heads as one line, then one line for each row. None becomes an empty field."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(heads)
    writer.writerows(rows)
    return file.getvalue()
