"""Tab *History*: every comparison that was made here, also before the last restart; two of them side by side; and back to Compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from cache_engine import EngineError, clock, difference

from .. import history_views, views
from ..components import setting, sheet, status
from ..history import Entry, History
from ..history_views import ALL, PINNED, PLAIN
from ..worker import Worker
from .compare_evidence import Evidence
from .compare_parts import AT_ONCE, QUIET, Parts, Updates
from .compare_setting import Setting
from .tune import GAIN, SEGMENT

ASK = "(chosen) => [chosen, confirm('Remove this run and its pictures?')]"
ASK_ALL = "() => [confirm('Remove every run that is not pinned, with its pictures?')]"
EACH: dict[str, Any] = {"trigger_mode": "multiple", **AT_ONCE}


@dataclass
class HistoryParts:
    """Every component that an event reads or writes."""

    words: Any = None
    which: Any = None
    clear: Any = None
    sheet: Any = None
    card: Any = None
    pair: Any = None
    left: Any = None
    right: Any = None
    heat: Any = None
    against: Any = None
    open: Any = None
    pin: Any = None
    remove: Any = None
    name: Any = None
    status: Any = None
    chosen: Any = None  # state of this browser tab: key of the run that is shown


def build(tab: gr.Tab, tabs: gr.Tabs, compare: Parts, worker: Worker, follow: Callable[[Any], None]) -> None:
    """``compare``: the components of the tab that a run is opened on, among ``tabs``; ``follow``: what its expectation does then."""
    parts = HistoryParts(chosen=gr.State(""))
    with gr.Column(elem_classes="cl-tune"), gr.Row(elem_classes="cl-tuned"):
        with gr.Column(elem_classes="cl-tune-plots"):
            with gr.Row(elem_classes="cl-wish"):
                parts.words = gr.Textbox("", label="Find", placeholder="words of a prompt, setting, name or model", max_lines=1,
                                         interactive=True, elem_id="history-words")
                parts.which = gr.Radio([ALL, PINNED], value=ALL, label="Which", elem_id="history-which", **SEGMENT)
                parts.clear = gr.Button("Remove all but pinned", size="md", scale=0, elem_id="history-clear")
            parts.status = status(views.idle(), elem_id="history-status", elem_classes="cl-slim")
            parts.sheet = sheet(history_views.sheet([], 0, "", ""), elem_id="history-sheet")
        with gr.Column(elem_classes="cl-tune-beside"), gr.Column(elem_classes=["cl-card", "cl-setting-card"]):
            parts.card = setting(history_views.card(None), elem_id="history-card")
            with gr.Column(visible=False, elem_classes=["cl-run"]) as parts.pair:
                _chosen(parts)
    Tab(parts, compare, worker, tabs, follow).wire(tab)


def _chosen(parts: HistoryParts) -> None:
    with gr.Row(elem_classes="cl-three"):
        parts.left, parts.right, parts.heat = (
            gr.Image(None, label=label, format="png", interactive=False, buttons=["fullscreen"], elem_classes=["cl-fit"], min_width=80,
                     elem_id=f"history-{name}")
            for name, label in (("left", "baseline"), ("right", "accelerated"), ("heat", f"difference ×{GAIN}")))
    parts.against = gr.Dropdown([(PLAIN, "")], value="", label="Held against", interactive=True, elem_id="history-against")
    parts.open = gr.Button("Open in Compare", variant="primary", elem_id="history-open")
    with gr.Row(elem_classes="cl-save"):
        parts.name = gr.Textbox("", label="Name", placeholder="My run", max_lines=1, interactive=True, min_width=120,
                                elem_id="history-name")
        parts.pin = gr.Button("Pin", scale=0, min_width=80, elem_id="history-pin")
        parts.remove = gr.Button("Remove", variant="stop", scale=0, min_width=90, elem_id="history-remove")


class Tab:
    """What the components do together."""

    def __init__(self, parts: HistoryParts, compare: Parts, worker: Worker, tabs: gr.Tabs, follow: Callable[[Any], None]) -> None:
        self.parts, self.compare, self.worker, self.tabs, self.follow = parts, compare, worker, tabs, follow
        self.setting, self.evidence = Setting(compare), Evidence(compare, worker)
        self.listing = [parts.sheet, parts.status]
        self.shown = [*self.listing, parts.chosen, parts.card, parts.pair, parts.left, parts.right, parts.heat, parts.against, parts.name,
                      parts.pin]

    @property
    def history(self) -> History:
        return self.worker.history

    def wire(self, tab: gr.Tab) -> None:
        parts, there = self.parts, self.compare
        looked = {parts.words, parts.which, parts.chosen}
        everything: dict[str, Any] = {"inputs": looked, "outputs": self.shown, **EACH}
        tab.select(self.drawn, **everything)
        gr.on([parts.words.change, parts.which.input], self.listed, inputs=looked, outputs=self.listing, trigger_mode="always_last",
              **AT_ONCE)
        parts.sheet.choose(self.picked, **everything)
        parts.against.input(self.held, inputs=[parts.chosen, parts.against], outputs=[parts.left, parts.heat, parts.status],
                            trigger_mode="always_last", **AT_ONCE)
        parts.pin.click(self.pinned, **everything)
        gr.on([parts.name.submit, parts.name.blur], self.named, inputs=looked | {parts.name}, outputs=self.shown, **EACH)
        there.shown.change(self.pin_of, inputs=[there.shown], outputs=[there.pin], **AT_ONCE)
        there.pin.click(self.pin_shown, inputs=[there.shown], outputs=[there.pin, there.shared], **EACH)
        unsaid = gr.Checkbox(visible=False)  # what the browser's question was answered with
        parts.remove.click(self.removed, inputs=[parts.chosen, unsaid], outputs=[parts.chosen], js=ASK, **AT_ONCE).then(
            self.drawn, **everything)
        parts.clear.click(self.cleared, inputs=[unsaid], js=ASK_ALL, **AT_ONCE).then(self.drawn, **everything)
        self.follow(parts.open.click(
            self.opened, inputs={parts.chosen, there.model, there.done, there.gain},
            outputs=[self.tabs, parts.status, there.done, there.shown, *self.evidence.outputs, *self.setting.opened_outputs], **QUIET))

    # ---- what is shown ----
    def listed(self, values: Updates) -> Updates:
        """The rows, and what went wrong with keeping the last one."""
        every = self.history.listed()
        rows = history_views.found(every, str(values[self.parts.words] or ""), values[self.parts.which])
        said = self.history.said
        return {self.parts.sheet: history_views.sheet(rows, len(every), values[self.parts.chosen], str(self.history.folder)),
                self.parts.status: views.failed(said) if said else views.idle()}

    def drawn(self, values: Updates) -> Updates:
        """Rows and the chosen run; the newest where none is chosen, or it is gone."""
        parts = self.parts
        one = self.history.one(values[parts.chosen]) or next(iter(self.history.listed()), None)
        values[parts.chosen] = one.key if one else ""
        return self.listed(values) | self._card(one) | {parts.chosen: values[parts.chosen]}

    def picked(self, values: Updates, event: gr.EventData) -> Updates:
        return self.drawn(values | {self.parts.chosen: str(event.id)})

    def _card(self, one: Entry | None) -> Updates:
        parts = self.parts
        if one is None:
            return {parts.card: history_views.card(None), parts.pair: gr.Column(visible=False)}
        left, right = self._files(one.key)
        return {parts.card: history_views.card(one), parts.pair: gr.Column(visible=True), parts.left: gr.Image(left, label="baseline"),
                parts.right: right, parts.heat: _heat(left, right), parts.name: one.name,
                parts.pin: gr.Button("Unpin" if one.pinned else "Pin"),
                parts.against: gr.Dropdown(history_views.rivals(self.history.listed(), one), value="")}

    def _files(self, key: str) -> tuple[str, str]:
        found = self.history.pictures(key)
        return (str(found[0]), str(found[1])) if found and all(map(Path.is_file, found)) else ("", "")

    def held(self, key: str, other: str) -> tuple[Any, Any, dict[str, Any]]:
        """Another run of the same picture stands on the left."""
        one, rival = self.history.one(key), self.history.one(other)
        if one is None:
            return gr.skip(), gr.skip(), views.idle()
        left, right = (self._files(other)[1], self._files(key)[1]) if rival else self._files(key)
        said = views.idle(history_views.held(one, rival)) if rival else views.idle()
        return gr.Image(left or None, label=(rival.name or "the other") if rival else "baseline"), _heat(left, right), said

    # ---- what is done ----
    def pinned(self, values: Updates) -> Updates:
        one = self.history.one(values[self.parts.chosen])
        return self._noted(values, pinned=not one.pinned) if one else self.drawn(values)

    def named(self, values: Updates) -> Updates:
        one = self.history.one(values[self.parts.chosen])
        if one is None or one.name == str(values[self.parts.name] or "").strip():
            return {self.parts.chosen: gr.skip()}
        return self._noted(values, name=values[self.parts.name])

    def _noted(self, values: Updates, **fields: Any) -> Updates:
        try:
            self.history.note(values[self.parts.chosen], **fields)
        except EngineError as error:
            return {self.parts.status: views.failed(str(error))}
        return self.drawn(values)

    def pin_of(self, key: str) -> Any:
        """The button under the run that Compare shows."""
        one = self.history.one(key)
        return gr.Button("Unpin" if one and one.pinned else "Pin")

    def pin_shown(self, key: str) -> tuple[Any, dict[str, Any]]:
        one = self.history.one(key)
        if one is None:
            return gr.skip(), views.idle("Generate first: there is no run yet to pin.")
        try:
            self.history.note(key, pinned=not one.pinned)
        except EngineError as error:
            return gr.skip(), views.failed(str(error))
        return self.pin_of(key), views.idle(f"Run of {clock(one.finished)}: {'no longer pinned' if one.pinned else 'stays in History'}.")

    def removed(self, key: str, sure: bool) -> str:
        if sure:
            self.history.remove(key)
        return "" if sure else key

    def cleared(self, sure: bool) -> None:
        if sure:
            self.history.clear()

    def opened(self, values: Updates) -> Updates:
        """Pictures, figures and timeline on Compare, with the setting in its fields."""
        there, key = self.compare, values[self.parts.chosen]
        one = self.worker.kept(key)
        if one is None:
            return {self.parts.status: views.failed("history: this run is gone, or its files are damaged; choose another.")}
        request = one.baseline.request
        left = " and ".join(word for word, had in (("LoRA", request.loras), ("input picture", request.image)) if had)
        said = f"Run of {one.accelerated.clock}." + (f" Its {left} did not come along." if left else "")
        done = [*(other for other in values[there.done] if other != key), key]
        self.worker.survey(one)
        return (self.setting.opened(values[there.model], request.model_dump(), one.accelerated.method, said)
                | self.evidence.of(key, done, values[there.gain]) | {there.done: done, self.tabs: gr.Tabs(selected="compare")})


def _heat(left: str, right: str) -> Any:
    if not left or not right:
        return None
    with Image.open(left) as before, Image.open(right) as after:
        return difference(before.convert("RGB"), after.convert("RGB"), GAIN)
