"""The state of a sweep in the form in which the engine writes it (``sweep_json``), and its grid and card."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NotRequired, TypedDict, TypeGuard

from ..components.cells import CellsValue, GridCell, GridRow, GridTable
from ..components.setting import SettingValue
from ..pictures import picture_url
from ..values import ratio_bars
from ..words import decibels, speed_text, structural

# indices of the axes: the axis across, the axis down, and the axis with one grid for each value
Order = Sequence[int]
# The button for swapping goes through these orders in turn.
ORDERS: dict[int, list[tuple[int, ...]]] = {
    2: [(0, 1), (1, 0)],
    3: [(0, 1, 2), (1, 0, 2), (0, 2, 1), (2, 0, 1), (1, 2, 0), (2, 1, 0)],
}


class SweepAxis(TypedDict):
    knob: str
    values: list[Any]


class SweepCell(TypedDict):
    """One setting. ``refused``: the reason why the model does not accept the setting."""

    values: list[Any]  # one value for each axis
    refused: NotRequired[str]


class MeasuredCell(SweepCell):
    """A setting that has run."""

    key: str
    recipe: str
    method: dict[str, Any]
    psnr_db: float | None  # None: the picture is identical to the baseline's
    ssim: float
    compute_ratio: float
    speedup: float
    schedule: str
    picture: str


class SweepBaseline(TypedDict):
    picture: str


class SweepSnapshot(TypedDict):
    axes: list[SweepAxis]
    baseline: SweepBaseline | None
    cells: list[SweepCell | MeasuredCell]


def cells(snapshot: SweepSnapshot | None, order: Order, chosen: str = "") -> CellsValue:
    """Draw the grid, or one grid for each value of the third axis."""
    if snapshot is None:
        return {
            "tables": [],
            "columns": [],
            "empty": "No sweep is chosen. Give two or three knobs a range above, and start a sweep.",
        }
    axes, order = snapshot["axes"], valid_order(snapshot, order)
    across, down = axes[order[0]], axes[order[1]]
    third = axes[order[2]] if len(order) > 2 else None
    by_values = {_values_key(cell["values"]): cell for cell in snapshot["cells"]}

    def cell_at(*values: Any) -> GridCell:
        in_axis_order = [value for _, value in sorted(zip(order, values))]
        return _cell(by_values[_values_key(in_axis_order)])

    def rows(*third_value: Any) -> list[GridRow]:
        return [
            {"head": _text(y), "cells": [cell_at(x, y, *third_value) for x in across["values"]]}
            for y in down["values"]
        ]

    tables: list[GridTable]
    if third is None:
        tables = [{"title": "", "rows": rows()}]
    else:
        tables = [
            {"title": f"{_name(third)} {_text(value)}", "rows": rows(value)} for value in third["values"]
        ]
    return {
        "across": _name(across),
        "down": _name(down),
        "columns": [_text(value) for value in across["values"]],
        "tables": tables,
        "chosen": chosen,
        "empty": "",
    }


def valid_order(snapshot: SweepSnapshot, order: Order) -> Order:
    """Return the order, or the axes in their own order if ``order`` belongs to a sweep with another number of
    axes.
    """
    count = len(snapshot["axes"])
    return order if sorted(order) == list(range(count)) else range(count)


def next_order(snapshot: SweepSnapshot, order: Order) -> list[int]:
    """Return the order that follows this one: two axes are swapped, three axes go through all six orders."""
    order = tuple(valid_order(snapshot, order))
    orders = ORDERS[len(order)]
    return list(orders[(orders.index(order) + 1) % len(orders)])


def _values_key(values: Sequence[Any]) -> tuple[str, ...]:
    return tuple(map(repr, values))  # repr, because 1 and True are different values


def is_measured(cell: SweepCell | MeasuredCell) -> TypeGuard[MeasuredCell]:
    return "picture" in cell


def _cell(cell: SweepCell | MeasuredCell) -> GridCell:
    if "refused" in cell:
        return {"id": "", "picture": "", "lines": [cell["refused"]], "state": "refused"}
    if not is_measured(cell):
        return {"id": "", "picture": "", "lines": ["not run yet"], "state": "waiting"}
    lines = [
        decibels(cell["psnr_db"]),
        f"{cell['compute_ratio']:.2f}× less compute",
        speed_text(cell["speedup"]),
        f"SSIM {structural(cell['ssim'])}",
    ]
    return {"id": cell["key"], "picture": picture_url(cell["picture"]), "state": "done", "lines": lines}


def _name(axis: SweepAxis) -> str:
    return axis["knob"].replace("_", " ")


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, int | float) else str(value)


def chosen_cell(snapshot: SweepSnapshot | None, key: str) -> MeasuredCell | None:
    """Return the cell with this key, or None if it has not run."""
    measured = [cell for cell in (snapshot["cells"] if snapshot else ()) if is_measured(cell)]
    return next((cell for cell in measured if cell["key"] == key), None)


def card(cell: MeasuredCell | None) -> SettingValue:
    """Return the card with everything that was measured for one cell."""
    if cell is None:
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
        "code": cell["recipe"],
        "bars": ratio_bars(cell["compute_ratio"], cell["speedup"]),
        "facts": [
            {"name": "PSNR", "text": decibels(cell["psnr_db"])},
            {"name": "SSIM", "text": structural(cell["ssim"])},
            {"name": "Steps", "text": cell["schedule"]},
        ],
        "notes": ["One prompt and one run: the time of a single run is noisy."],
    }
