"""Pictures in a grid: one knob's values across, another's down, a third's as one grid each.

Events: ``choose {id}``, ``open {id}``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict

from ..base.drawn import drawn

if TYPE_CHECKING:
    import gradio as gr


class GridCell(TypedDict):
    """One picture with its figures. In tests: ``.cl-cells [data-id]``."""

    id: str  # "" where it cannot be chosen
    picture: str  # address; "" for none
    lines: list[str]
    state: Literal["done", "waiting", "refused"]


class GridRow(TypedDict):
    """One row, with the value of the knob that goes down."""

    head: str
    cells: list[GridCell]


class GridTable(TypedDict):
    """One grid. ``title``: the third knob's value, or "" """

    title: str
    rows: list[GridRow]


class CellsValue(TypedDict):
    """All grids of a sweep; ``empty`` is shown where there is none."""

    across: NotRequired[str]  # the knob's name
    down: NotRequired[str]
    columns: list[str]  # values of the knob that goes across
    tables: list[GridTable]
    chosen: NotRequired[str]
    empty: str


def cells(value: CellsValue | None = None, **options: Any) -> gr.HTML:
    """Make the grid. None draws it empty."""
    return drawn("cells", value, **options)
