"""The user's own benchmark on tab *Published*: a file that is laid over, and taken away again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import gradio as gr

from cache_engine import EngineError

from .. import statuses
from ..components import status
from ..controls import Updates
from . import benchmark as yours
from .rows import FAMILIES, YOURS
from .views import QUALITIES

if TYPE_CHECKING:
    from .layout import Tab

SIGNS = {"forecast": "◆", "dbcache": "○", "other": "▲", "fewer": "×", "baseline": "■", YOURS: "●"}
HOW = "`benchmark summary DIR` writes `DIR/summary.json`: lay it over what others have published."


def families(*, more: bool = False) -> list[tuple[str, str]]:
    """The choices of the filter by method; ``more``: the user's runs too."""
    return [
        (f"{SIGNS[key]}  {text}", key)
        for key, text in (FAMILIES | ({YOURS: "Your runs"} if more else {})).items()
    ]


class Yours:
    """``entries``: this visitor's own; nothing of them is kept on the server beyond the visit."""

    def __init__(self) -> None:
        self.entries = gr.State(())
        gr.Markdown("**Your benchmark**\n\n" + HOW, elem_classes=["cl-note", "cl-yours"])
        self.file = gr.UploadButton(
            "Lay over a benchmark", file_types=[".json"], type="filepath", elem_id="published-file"
        )
        self.remove = gr.Button(
            "Remove", visible=False, elem_id="published-remove", elem_classes=["cl-quiet"]
        )
        self.said = status(statuses.idle(), elem_id="published-laid", elem_classes="cl-slim")

    def wire(self, tab: Tab, filters: set[Any], outputs: list[Any], **order: Any) -> None:
        mine = [self.entries, self.remove, self.said, tab.families, tab.quality, *outputs]
        self.file.upload(
            lambda values: self.laid(tab, values), inputs=filters | {self.file}, outputs=mine, **order
        )
        self.remove.click(lambda values: self.removed(tab, values), inputs=filters, outputs=mine, **order)

    def laid(self, tab: Tab, values: Updates) -> Updates:
        """The file's settings among the rows, the first that is cached chosen, by a quality that it was
        scored by.
        """
        try:
            found = yours.read(Path(values[self.file]))
        except EngineError as error:
            return {self.said: statuses.failed(str(error)) | {"detail": ""}}
        shown = found[min(1, len(found) - 1)]
        scored = [name for name in QUALITIES if any(name in one.printed for one in found)]
        quality = values[tab.quality] if values[tab.quality] in scored or not scored else scored[0]
        wanted = [*(one for one in values[tab.families] if one != YOURS), YOURS]
        return self._with(
            tab, values | {self.entries: found, tab.families: wanted, tab.quality: quality}, shown.key
        ) | {self.said: statuses.idle(yours.told(found))}

    def removed(self, tab: Tab, values: Updates) -> Updates:
        left = [one for one in values[tab.families] if one != YOURS]
        return self._with(
            tab, values | {self.entries: (), tab.families: left}, tab.first(values[tab.model])
        ) | {self.said: statuses.idle()}

    def _with(self, tab: Tab, values: Updates, key: str) -> Updates:
        there = bool(values[self.entries])
        return (
            {
                self.entries: values[self.entries],
                self.remove: gr.Button(visible=there),
                tab.quality: values[tab.quality],
                tab.families: gr.CheckboxGroup(families(more=there), value=values[tab.families]),
            }
            | tab.looked(values, key)
            | tab.told(values, key)
        )
