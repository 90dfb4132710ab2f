"""Exports the shown run from the tab *Compare* (pictures, code, link), and imports a file or a link."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.processing_utils import save_bytes_to_cache

from cache_engine import EngineError

from .. import share, statuses
from ..controls import AT_ONCE, Updates, segmented, slim_status
from ..engine.worker import Worker
from .code import KINDS, code_of
from .parts import CompareParts, SharingParts
from .setting import SettingFields

LINK = "Link"
# Only the browser knows the page's address.
ADDRESS = "(shown, kind, place) => [shown, kind, location.origin + location.pathname]"
NOTHING = "Generate first: there is no run to export yet."
SAVE = "() => document.querySelector('#archive').click()"


def build(*, keeps: bool) -> SharingParts:
    """Build the row under the results. ``keeps``: True if History stores runs, so that
    a run can be pinned.
    """
    with gr.Row(elem_classes="cl-foot"):
        shared = slim_status("shared")
        inside = gr.Checkbox(
            True, label="Save settings in the PNGs", interactive=True, container=False, elem_id="inside"
        )
        pack = gr.Button("Download PNGs", elem_id="pack")
        archive = gr.DownloadButton("Archive", visible="hidden", elem_id="archive")
        take = gr.Button("Code and link", elem_id="take")
        pin = gr.Button("Pin", visible=keeps, elem_id="pin")
        bring = gr.UploadButton(
            "Open a PNG or result.json", file_types=list(share.FILES), type="filepath", elem_id="bring"
        )
    with gr.Column(visible=False, elem_classes=["cl-card", "cl-taken"]) as taken:
        kind = segmented([*KINDS, LINK], KINDS[0], "As", "code-kind")
        code = gr.Textbox(
            "",
            label="Code of the shown run",
            lines=4,
            max_lines=24,
            buttons=["copy"],
            interactive=False,
            elem_classes=["cl-mono", "cl-code"],
            elem_id="code",
        )
    return SharingParts(
        shared=shared,
        inside=inside,
        pack=pack,
        archive=archive,
        take=take,
        pin=pin,
        bring=bring,
        taken=taken,
        kind=kind,
        code=code,
    )


class Sharing:
    """Handles the row under the results, and the setting in the page's address."""

    def __init__(self, parts: CompareParts, worker: Worker, setting: SettingFields) -> None:
        self.parts, self.worker, self.setting = parts, worker, setting

    def wire(self, page: gr.Blocks) -> None:
        """Connect the row, and the page's load event."""
        parts = self.parts
        asked = {"inputs": [parts.shown, parts.kind, gr.Textbox(visible=False)], "js": ADDRESS, **AT_ONCE}
        parts.shown.change(self.export, outputs=[parts.code, parts.shared], **asked)
        parts.kind.input(self.export, outputs=[parts.code, parts.shared], **asked)
        parts.take.click(self.open_card, outputs=[parts.taken, parts.code, parts.shared], **asked)
        parts.pack.click(
            self.pack, inputs=[parts.shown, parts.inside], outputs=[parts.archive, parts.shared], **AT_ONCE
        ).success(None, js=SAVE, **AT_ONCE)
        parts.bring.upload(
            self.from_file,
            inputs=[parts.bring, parts.model],
            outputs=self.setting.open_outputs,
            **AT_ONCE,
        )
        page.load(self.from_link, inputs=[parts.model], outputs=self.setting.open_outputs, **AT_ONCE)

    def open_card(self, key: str, kind: str, address: str) -> tuple[Any, Any, Any]:
        """Open the card that shows the code."""
        return gr.Column(visible=self.worker.comparison(key) is not None), *self.export(key, kind, address)

    def export(self, key: str, kind: str, address: str) -> tuple[Any, Any]:
        """Return code or link of the shown run, and a note that names this run."""
        comparison = self.worker.comparison(key)
        if comparison is None:
            return gr.skip(), statuses.idle(NOTHING)
        clock = comparison.accelerated.clock
        if kind == LINK:
            text, label = (
                address + share.query_of(comparison),
                "A link that opens this page with this setting",
            )
        else:
            text, label = code_of(comparison, kind), f"Code of the run of {clock}"
        classes = ["cl-mono", "cl-code", *["cl-wrap"] * (kind == LINK)]
        note = statuses.idle(f"Run of {clock} on the baseline of {comparison.baseline.clock}.")
        return gr.Textbox(text, label=label, elem_classes=classes), note

    def pack(self, key: str, inside: bool) -> tuple[Any, Any]:
        """Return an archive of the shown run."""
        comparison = self.worker.comparison(key)
        if comparison is None:
            return gr.skip(), statuses.idle(NOTHING)
        request = comparison.accelerated.request
        name = f"cachelens-{request.model}-{request.seed}-{key[:6]}.zip"
        content = share.archive(comparison, inside=inside)
        return save_bytes_to_cache(content, name, self.parts.archive.GRADIO_CACHE), gr.skip()

    def from_file(self, path: str, model: str) -> Updates:
        """Put the setting of a file into the fields."""
        try:
            return self._open(share.from_file(path), model, "From the file")
        except EngineError as error:
            return {self.parts.status: statuses.failed(str(error))}

    def from_link(self, model: str, page: gr.Request) -> Updates:
        """Put the setting in the page's address into the fields, if the address has a setting."""
        packed = dict(page.query_params or {}).get(share.QUERY)
        if not packed:
            return {self.parts.status: gr.skip()}
        try:
            return self._open(share.from_query(packed), model, "From the link")
        except EngineError as error:
            return {self.parts.status: statuses.failed(str(error))}

    def _open(self, carried: share.Carried, model: str, source: str) -> Updates:
        message = f"{source}: press Generate.{share.sentence(carried.left)}"
        return self.setting.open(model, carried.request.model_dump(), carried.method.to_dict(), message)
