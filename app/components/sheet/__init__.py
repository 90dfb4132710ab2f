"""A table that sorts itself. A visitor chooses a row. Event: ``choose {id}``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict

from ..base.drawn import drawn

if TYPE_CHECKING:
    import gradio as gr


class SheetColumn(TypedDict):
    """One column's head and look; "now" is the column that the chart beside shows."""

    text: str
    kind: Literal["name", "number", "now", "steps", "prompt"]


class SheetCell(TypedDict):
    """A text, or a schedule drawn as a strip; ``sort`` is the value it is sorted by, None stands last."""

    text: NotRequired[str]
    strip: NotRequired[str]
    sort: str | float | None


class SheetRow(TypedDict):
    """One row. In tests: ``.cl-sheet [data-id]``."""

    id: str
    mark: str  # a chart's mark, "pinned", or "" for none
    tag: str
    mono: bool  # whether its name is a recipe
    picture: NotRequired[str]
    cells: list[SheetCell]


class SheetOrder(TypedDict):
    """The column that the rows are sorted by."""

    column: int
    down: bool


class SheetFile(TypedDict):
    """The rows as a file that the visitor can save."""

    name: str
    text: str


class SheetValue(TypedDict):
    """The rows, in any order: the table sorts them."""

    title: str
    count: str
    columns: list[SheetColumn]
    rows: list[SheetRow]
    chosen: str | None
    sort: SheetOrder  # at first, until a visitor sorts
    note: str
    empty: str  # shown where there is no row
    file: NotRequired[SheetFile | None]


def sheet(value: SheetValue | None = None, **options: Any) -> gr.HTML:
    """Make a table. None draws it empty."""
    return drawn("sheet", value, **options)
