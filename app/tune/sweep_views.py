"""A sweep's snapshot (``sweep_json`` in the engine) as the grid of pictures that the page shows, and as CSV.
Pure.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..components.cells import CellsValue, GridCell, GridTable
from ..components.setting import SettingValue
from ..csv_text import csv_text
from ..words import decibels, structural
from .facts import bars, served

Snapshot = Mapping[str, Any]


def cells(snapshot: Snapshot | None, order: Sequence[int], chosen: str = "") -> CellsValue:
    """``order``: which axis goes across, which down, and which (if there is a third) makes one grid each."""
    if snapshot is None:
        return {
            "tables": [],
            "columns": [],
            "empty": "No sweep is chosen. Give two or three knobs a range above, and start one.",
        }
    axes = snapshot["axes"]
    order = turned(snapshot, order)
    across, down, third = axes[order[0]], axes[order[1]], axes[order[2]] if len(order) > 2 else None
    found = {tuple(map(repr, cell["values"])): cell for cell in snapshot["cells"]}

    def at(x: Any, y: Any, z: Any) -> GridCell:
        values = [None] * len(axes)
        for axis, value in zip(order, (x, y, z)):
            values[axis] = value
        return _cell(found[tuple(map(repr, values))])

    tables: list[GridTable] = [
        {
            "title": "" if third is None else f"{_name(third)} {_text(z)}",
            "rows": [
                {"head": _text(y), "cells": [at(x, y, z) for x in across["values"]]} for y in down["values"]
            ],
        }
        for z in ([None] if third is None else third["values"])
    ]
    return {
        "across": _name(across),
        "down": _name(down),
        "columns": [_text(x) for x in across["values"]],
        "tables": tables,
        "chosen": chosen,
        "empty": "",
    }


def turned(snapshot: Snapshot, order: Sequence[int]) -> list[int]:
    """The order, or the first one where it is another sweep's."""
    count = len(snapshot["axes"])
    return list(order) if sorted(order) == list(range(count)) else list(range(count))


def next_order(snapshot: Snapshot, order: Sequence[int]) -> list[int]:
    """With the axes swapped: the next of all orders."""
    first = turned(snapshot, order)
    return (
        [*first[1:], first[0]]
        if len(first) == 2
        else {tuple(one): list(other) for one, other in zip(_ORDERS, [*_ORDERS[1:], _ORDERS[0]])}[
            tuple(first)
        ]
    )


_ORDERS = [(0, 1, 2), (1, 0, 2), (0, 2, 1), (2, 0, 1), (1, 2, 0), (2, 1, 0)]


def _cell(cell: Mapping[str, Any]) -> GridCell:
    if "refused" in cell:
        return {"id": "", "picture": "", "lines": [cell["refused"]], "state": "refused"}
    if "picture" not in cell:
        return {"id": "", "picture": "", "lines": ["not drawn yet"], "state": "waiting"}
    lines = [
        decibels(cell["psnr_db"]),
        f"{cell['compute_ratio']:.2f}× less compute",
        f"{cell['speedup']:.2f}× as fast",
        f"SSIM {structural(cell['ssim'])}",
    ]
    return {"id": cell["key"], "picture": served(cell["picture"]), "state": "done", "lines": lines}


def _name(axis: Mapping[str, Any]) -> str:
    return axis["knob"].replace("_", " ")


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def chosen_of(snapshot: Snapshot | None, key: str) -> Mapping[str, Any] | None:
    """The cell that was asked for, once it is drawn."""
    return next(
        (cell for cell in (snapshot or {}).get("cells", ()) if cell.get("key") == key and "picture" in cell),
        None,
    )


def card(snapshot: Snapshot | None, one: Mapping[str, Any] | None) -> SettingValue:
    """All that was measured of one cell."""
    if snapshot is None or one is None:
        return {
            "title": "No cell chosen",
            "kind": "",
            "code": "",
            "bars": [],
            "facts": [],
            "notes": ["Choose a picture of the grid."],
        }
    return {
        "title": "Chosen",
        "kind": "measured",
        "code": one["recipe"],
        "bars": bars(one),
        "facts": [
            {"name": "PSNR", "text": decibels(one["psnr_db"])},
            {"name": "SSIM", "text": structural(one["ssim"])},
            {"name": "Steps", "text": one["schedule"]},
        ],
        "notes": ["One prompt, one run: the time of a single run is noisy."],
    }


FIGURES = ("recipe", "psnr_db", "ssim", "tflops", "seconds", "compute_ratio", "speedup", "schedule")


def table(snapshot: Snapshot) -> str:
    """As CSV: a line a cell that was drawn."""
    heads = [*(axis["knob"] for axis in snapshot["axes"]), *FIGURES]
    return csv_text(
        heads,
        [
            [*cell["values"], *(cell[name] for name in FIGURES)]
            for cell in snapshot["cells"]
            if "picture" in cell
        ],
    )
