"""A table that a visitor can sort. The visitor can choose a row. Event: ``choose {id}``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NotRequired, TypedDict

from ..base.drawn import drawn

if TYPE_CHECKING:
    import gradio as gr


class SheetColumn(TypedDict):
    """One column's head and look. The column with the look "now" is the one that the chart beside the table
    shows.
    """

    text: str
    kind: Literal["name", "number", "now", "steps", "prompt"]


class SheetCell(TypedDict):
    """A text, or a schedule that is drawn as a strip. ``sort``: the value that sorts the cell; None comes
    last.
    """

    text: NotRequired[str]
    strip: NotRequired[str]
    sort: str | float | None


class SheetRow(TypedDict):
    """One row. In tests: ``.cl-sheet [data-id]``."""

    id: str
    mark: str  # a mark as in the chart, "pinned", or "" for none
    tag: str
    mono: bool  # True if the row's name is a recipe
    picture: NotRequired[str]
    cells: list[SheetCell]


class SheetOrder(TypedDict):
    """The column by which the rows are sorted."""

    column: int
    down: bool


class SheetFile(TypedDict):
    """The table's rows as a file that the visitor can save."""

    name: str
    text: str


class SheetValue(TypedDict):
    """The rows, in any order: the table sorts them."""

    title: str
    count: str
    columns: list[SheetColumn]
    rows: list[SheetRow]
    chosen: str | None
    sort: SheetOrder  # the order until a visitor sorts the table
    note: str
    empty: str  # text for a table without rows
    file: NotRequired[SheetFile | None]


def sheet(value: SheetValue | None = None, **options: Any) -> gr.HTML:
    """Make a table. None draws it empty."""
    return drawn("sheet", value, **options)
