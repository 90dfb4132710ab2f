"""Pictures in a grid: one knob's values from left to right, a second knob's from top to bottom, and one grid
for each value of a third.

Events: ``choose {id}``, ``open {id}``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict

from ..base.drawn import drawn

if TYPE_CHECKING:
    import gradio as gr


class GridCell(TypedDict):
    """One picture with its figures. In tests: ``.cl-cells [data-id]``."""

    id: str  # "" if the picture cannot be chosen
    picture: str  # address of the picture; "" for none
    lines: list[str]
    state: Literal["done", "waiting", "refused"]


class GridRow(TypedDict):
    """One row of pictures: one value of the knob that runs from top to bottom."""

    head: str
    cells: list[GridCell]


class GridTable(TypedDict):
    """One grid. ``title``: the third knob's value, or ""."""

    title: str
    rows: list[GridRow]


class CellsValue(TypedDict):
    """All grids of a sweep. ``empty`` is shown if there is no grid."""

    across: NotRequired[str]  # name of the knob that runs from left to right
    down: NotRequired[str]
    columns: list[str]  # values of the knob that runs from left to right
    tables: list[GridTable]
    chosen: NotRequired[str]
    empty: str


def cells(value: CellsValue | None = None, **options: Any) -> gr.HTML:
    """Make the grid. None draws it empty."""
    return drawn("cells", value, **options)
