"""What can be taken along from a finished comparison, under it: its pictures, its code, its link. And a
comparison that was brought.
"""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache

from cache_engine import EngineError

from .. import share, statuses
from ..code import KINDS, code_of
from ..components import status
from ..controls import AT_ONCE, Updates
from ..engine.worker import Worker
from .parts import Parts
from .setting import SettingFields

LINK = "Link"
# only the browser knows under which name it is served
HERE = "(shown, kind, place) => [shown, kind, location.origin + location.pathname]"
NOTHING = "Generate first: there is no run yet to take along."
SAVE = "() => document.querySelector('#archive').click()"


def build(parts: Parts, *, keeps: bool) -> None:
    """``keeps``: whether runs are kept, so that one can be pinned."""
    with gr.Row(elem_classes="cl-foot"):
        parts.shared = status(statuses.idle(), elem_id="shared", elem_classes="cl-slim")
        parts.inside = gr.Checkbox(
            True,
            label="SettingFields inside the pictures",
            interactive=True,
            container=False,
            elem_id="inside",
        )
        parts.pack = gr.Button("Download PNGs", elem_id="pack")
        parts.archive = gr.DownloadButton("Archive", visible="hidden", elem_id="archive")
        parts.take = gr.Button("Code and link", elem_id="take")
        parts.pin = gr.Button("Pin", visible=keeps, elem_id="pin")
        parts.bring = gr.UploadButton(
            "Open a PNG or result.json", file_types=list(share.FILES), type="filepath", elem_id="bring"
        )
    with gr.Column(visible=False, elem_classes=["cl-card", "cl-taken"]) as parts.taken:
        parts.kind = gr.Radio(
            [*KINDS, LINK],
            value=KINDS[0],
            label="As",
            show_label=False,
            container=False,
            interactive=True,
            elem_classes="cl-seg",
            elem_id="code-kind",
        )
        parts.code = gr.Textbox(
            "",
            label="Code of the run that is shown",
            lines=4,
            max_lines=24,
            buttons=["copy"],
            interactive=False,
            elem_classes=["cl-mono", "cl-code"],
            elem_id="code",
        )


class Sharing:
    """``loaded``: the page's load event."""

    def __init__(self, parts: Parts, worker: Worker, setting: SettingFields) -> None:
        self.parts, self.worker, self.setting = parts, worker, setting

    def wire(self, page: gr.Blocks) -> None:
        parts = self.parts
        asked = {"inputs": [parts.shown, parts.kind, gr.Textbox(visible=False)], "js": HERE, **AT_ONCE}
        parts.shown.change(self.followed, outputs=[parts.code, parts.shared], **asked)
        parts.kind.input(self.followed, outputs=[parts.code, parts.shared], **asked)
        parts.take.click(self.taken, outputs=[parts.taken, parts.code, parts.shared], **asked)
        parts.pack.click(
            self.packed, inputs=[parts.shown, parts.inside], outputs=[parts.archive, parts.shared], **AT_ONCE
        ).success(None, js=SAVE, **AT_ONCE)
        parts.bring.upload(
            self.brought, inputs=[parts.bring, parts.model], outputs=self.setting.open_outputs, **AT_ONCE
        )
        page.load(self.linked, inputs=[parts.model], outputs=self.setting.open_outputs, **AT_ONCE)

    def taken(self, key: str, kind: str, place: str) -> tuple[Any, Any, Any]:
        """The card opens."""
        return gr.Column(visible=self.worker.comparison(key) is not None), *self.followed(key, kind, place)

    def followed(self, key: str, kind: str, place: str) -> tuple[Any, Any]:
        """Code or link of the run that is shown, and which run that is."""
        one = self.worker.comparison(key)
        if one is None:
            return gr.skip(), statuses.idle(NOTHING)
        text = place + share.query_of(one) if kind == LINK else code_of(one, kind)
        label = (
            "A link that opens this page with the setting in it"
            if kind == LINK
            else f"Code of the run of {one.accelerated.clock}"
        )
        classes = ["cl-mono", "cl-code", *["cl-wrap"] * (kind == LINK)]
        said = f"Run of {one.accelerated.clock} on the baseline of {one.baseline.clock}."
        return gr.Textbox(text, label=label, elem_classes=classes), statuses.idle(said)

    def packed(self, key: str, inside: bool) -> tuple[Any, Any]:
        one = self.worker.comparison(key)
        if one is None:
            return gr.skip(), statuses.idle(NOTHING)
        name = f"cachelens-{one.accelerated.request.model}-{one.accelerated.request.seed}-{key[:6]}.zip"
        return save_bytes_to_cache(
            share.archive(one, inside=inside), name, self.parts.archive.GRADIO_CACHE
        ), gr.skip()

    def brought(self, path: str, model: str) -> Updates:
        """A file's setting into the fields."""
        try:
            return self._opened(share.from_file(path), model, "From the file")
        except EngineError as error:
            return {self.parts.status: statuses.failed(str(error))}

    def linked(self, model: str, asked: gr.Request) -> Updates:
        """The page's address may carry a setting; else nothing is touched."""
        packed = dict(asked.query_params or {}).get(share.QUERY)
        if not packed:
            return {self.parts.status: gr.skip()}
        try:
            return self._opened(share.from_query(packed), model, "From the link")
        except EngineError as error:
            return {self.parts.status: statuses.failed(str(error))}

    def _opened(self, found: share.Carried, model: str, source: str) -> Updates:
        said = f"{source}: press Generate.{share.sentence(found.left)}"
        return self.setting.open(model, found.request.model_dump(), found.method.to_dict(), said)
