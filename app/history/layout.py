"""Tab *History*: every comparison that was made here, also before the last restart; two of them side by
side; and back to Compare.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from cache_engine import MODELS, EngineError, clock, difference

from .. import share, statuses
from ..compare.parts import Parts
from ..compare.result import ResultPanel
from ..compare.setting import SettingFields
from ..compare.sharing import NOTHING
from ..components import setting, sheet, status
from ..components.status import StatusValue
from ..controls import AT_ONCE, QUIET, Updates
from ..engine.worker import Worker
from ..tune.layout import GAIN, SEGMENT
from ..words import beside
from . import views as history_views
from .store import HistoryEntry, HistoryStore
from .views import ALL, PINNED, PLAIN

# the answer stands for the last input, which is nothing but that
ASK = "(...values) => [...values.slice(0, -1), confirm('{}')]"
PIN, UNPIN = "Pin", "Unpin"
EACH: dict[str, Any] = {"trigger_mode": "multiple", **AT_ONCE}

Picture = Image.Image | None


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
    # state of this browser tab
    chosen: Any = None  # key of the run that is shown
    named: Any = None  # its name as it is shown


def build(tab: gr.Tab, tabs: gr.Tabs, compare: Parts, worker: Worker, follow: Callable[[Any], None]) -> None:
    """``compare``: the components of the tab that a run is opened on, among ``tabs``; ``follow``: what its
    expectation does then.
    """
    parts = HistoryParts(chosen=gr.State(""), named=gr.State(""))
    with gr.Column(elem_classes="cl-tune"), gr.Row(elem_classes="cl-tuned"):
        with gr.Column(elem_classes="cl-tune-plots"):
            with gr.Row(elem_classes="cl-wish"):
                parts.words = gr.Textbox(
                    "",
                    label="Find",
                    placeholder="words of a prompt, setting, name or model",
                    max_lines=1,
                    interactive=True,
                    elem_id="history-words",
                )
                parts.which = gr.Radio(
                    [ALL, PINNED], value=ALL, label="Which", elem_id="history-which", **SEGMENT
                )
                parts.clear = gr.Button("Remove all but pinned", size="md", scale=0, elem_id="history-clear")
            parts.status = status(statuses.idle(), elem_id="history-status", elem_classes="cl-slim")
            parts.sheet = sheet(history_views.sheet([], 0, "", ""), elem_id="history-sheet")
        with gr.Column(elem_classes="cl-tune-beside"), gr.Column(elem_classes=["cl-card", "cl-setting-card"]):
            parts.card = setting(history_views.card(None), elem_id="history-card")
            with gr.Column(visible=False, elem_classes=["cl-run"]) as parts.pair:
                _chosen(parts)
    Tab(parts, compare, worker, tabs, follow).wire(tab)


def _chosen(parts: HistoryParts) -> None:
    with gr.Row(elem_classes="cl-three"):
        parts.left, parts.right, parts.heat = (
            gr.Image(
                None,
                label=label,
                format="png",
                interactive=False,
                buttons=["fullscreen"],
                elem_classes=["cl-fit"],
                min_width=80,
                elem_id=f"history-{name}",
            )
            for name, label in (
                ("left", "baseline"),
                ("right", "accelerated"),
                ("heat", f"difference ×{GAIN}"),
            )
        )
    parts.against = gr.Dropdown(
        [(PLAIN, "")], value="", label="Held against", interactive=True, elem_id="history-against"
    )
    parts.open = gr.Button("Open in Compare", variant="primary", elem_id="history-open")
    with gr.Row(elem_classes="cl-save"):
        parts.name = gr.Textbox(
            "",
            label="Name",
            placeholder="My run",
            max_lines=1,
            interactive=True,
            min_width=120,
            elem_id="history-name",
        )
        parts.pin = gr.Button(PIN, scale=0, min_width=80, elem_id="history-pin")
        parts.remove = gr.Button("Remove", variant="stop", scale=0, min_width=90, elem_id="history-remove")


class Tab:
    """What the components do together."""

    def __init__(
        self,
        parts: HistoryParts,
        compare: Parts,
        worker: Worker,
        tabs: gr.Tabs,
        follow: Callable[[Any], None],
    ) -> None:
        self.parts, self.compare, self.worker, self.tabs, self.follow = parts, compare, worker, tabs, follow
        self.setting, self.result = SettingFields(compare), ResultPanel(compare, worker)
        self.sure = gr.Checkbox(visible=False)  # what the browser's question was answered with
        self.listing = [parts.sheet, parts.status]
        self.shown = [
            *self.listing,
            parts.chosen,
            parts.named,
            parts.card,
            parts.pair,
            parts.left,
            parts.right,
            parts.heat,
            parts.against,
            parts.name,
            parts.pin,
        ]

    @property
    def history(self) -> HistoryStore:
        return self.worker.history

    def wire(self, tab: gr.Tab) -> None:
        parts, there = self.parts, self.compare
        looked = {parts.words, parts.which, parts.chosen}
        everything: dict[str, Any] = {"inputs": looked, "outputs": self.shown, **EACH}
        tab.select(self.drawn, **everything)
        gr.on(
            [parts.words.change, parts.which.input],
            self.listed,
            inputs=looked,
            outputs=self.listing,
            trigger_mode="always_last",
            **AT_ONCE,
        )
        parts.sheet.choose(self.picked, **everything)
        parts.against.input(
            self.held,
            inputs=[parts.chosen, parts.against],
            outputs=[parts.left, parts.heat, parts.status],
            trigger_mode="always_last",
            **AT_ONCE,
        )
        parts.pin.click(
            self.pinned, inputs=looked | {parts.pin, there.shown}, outputs=[*self.shown, there.pin], **EACH
        )
        gr.on(
            [parts.name.submit, parts.name.blur],
            self.named,
            inputs=looked | {parts.name, parts.named},
            outputs=[*self.listing, parts.card, parts.named],
            **EACH,
        )
        there.shown.change(self.pin_of, inputs=[there.shown], outputs=[there.pin], **AT_ONCE)
        there.pin.click(
            self.pin_shown, inputs=[there.shown, there.pin], outputs=[there.pin, there.shared], **EACH
        )
        asked: dict[str, Any] = {"inputs": looked | {self.sure}, "outputs": self.shown, **AT_ONCE}
        parts.remove.click(self.removed, js=ASK.format("Remove this run and its pictures?"), **asked)
        parts.clear.click(
            self.cleared, js=ASK.format("Remove every run that is not pinned, with its pictures?"), **asked
        )
        self.follow(
            parts.open.click(
                self.opened,
                inputs={parts.chosen, there.model, there.done, there.gain, there.job},
                outputs=[
                    self.tabs,
                    parts.status,
                    there.done,
                    there.shown,
                    *self.result.outputs,
                    *self.setting.open_outputs,
                ],
                **QUIET,
            )
        )

    # ---- what is shown ----
    def listed(self, values: Updates, said: str = "") -> Updates:
        """The rows, and what went wrong, also with keeping the last run."""
        every, said = self.history.entries(), said or self.history.last_failure
        rows = history_views.found(every, str(values[self.parts.words] or ""), values[self.parts.which])
        return {
            self.parts.sheet: history_views.sheet(
                rows, len(every), values[self.parts.chosen], str(self.history.folder)
            ),
            self.parts.status: statuses.failed(said) if said else statuses.idle(),
        }

    def drawn(self, values: Updates, said: str = "") -> Updates:
        """Rows and the chosen run; the newest where none is chosen, or it is gone."""
        parts = self.parts
        one = self.history.entry(values[parts.chosen]) or next(iter(self.history.entries()), None)
        values[parts.chosen] = one.key if one else ""
        return self.listed(values, said) | self._card(one) | {parts.chosen: values[parts.chosen]}

    def picked(self, values: Updates, event: gr.EventData) -> Updates:
        return self.drawn(values | {self.parts.chosen: str(event.id)})

    def _card(self, one: HistoryEntry | None) -> Updates:
        parts = self.parts
        if one is None:
            return {parts.card: history_views.card(None), parts.pair: gr.Column(visible=False)}
        left, right = self._pictures(one.key)
        return {
            parts.card: history_views.card(one),
            parts.pair: gr.Column(visible=True),
            parts.left: gr.Image(left, label="baseline"),
            parts.right: right,
            parts.heat: _heat(left, right),
            parts.name: one.name,
            parts.named: one.name,
            parts.pin: gr.Button(UNPIN if one.pinned else PIN),
            parts.against: gr.Dropdown(history_views.rivals(self.history.entries(), one), value=""),
        }

    def _pictures(self, key: str) -> list[Picture]:
        """Baseline and accelerated; None for one that is gone, or damaged."""
        return [_opened(path) for path in self.history.pictures(key) or ()] or [None, None]

    def held(self, key: str, other: str) -> tuple[Any, Any, StatusValue]:
        """Another run of the same picture stands on the left."""
        one, rival = self.history.entry(key), self.history.entry(other)
        if one is None:
            return gr.skip(), gr.skip(), statuses.idle()
        left, right = self._pictures(key)
        if rival is None:
            return gr.Image(left, label="baseline"), _heat(left, right), statuses.idle()
        left = self._pictures(other)[1]
        return (
            gr.Image(left, label=rival.name or "the other"),
            _heat(left, right),
            statuses.idle(history_views.held(one, rival)),
        )

    # ---- what is done ----
    def pinned(self, values: Updates) -> Updates:
        said = _tried(
            lambda: self.history.note(values[self.parts.chosen], pinned=values[self.parts.pin] == PIN)
        )
        return self.drawn(values, said) | {self.compare.pin: self.pin_of(values[self.compare.shown])}

    def named(self, values: Updates) -> Updates:
        """Rows and card alone: the field lost its focus to a click, which may choose another run at the same
        time.
        """
        parts, typed = self.parts, values[self.parts.name]
        if self.history.entry(values[parts.chosen]) is None or (typed or "") == values[parts.named]:
            return {parts.named: gr.skip()}
        said = _tried(lambda: self.history.note(values[parts.chosen], name=typed))
        one = self.history.entry(values[parts.chosen])
        return self.listed(values, said) | {
            parts.card: history_views.card(one),
            parts.named: one.name if one else "",
        }

    def pin_of(self, key: str) -> Any:
        """The button under the run that Compare shows."""
        one = self.history.entry(key)
        return gr.Button(UNPIN if one and one.pinned else PIN)

    def pin_shown(self, key: str, label: str) -> tuple[Any, StatusValue]:
        """The button does what stands on it, whatever another tab did meanwhile."""
        one = self.history.entry(key)
        if one is None:
            return gr.skip(), statuses.idle(
                "This run is in History no longer." if self.worker.comparison(key) else NOTHING
            )
        said = _tried(lambda: self.history.note(key, pinned=label == PIN))
        told = f"Run of {clock(one.finished)}: {'stays in History' if label == PIN else 'no longer pinned'}."
        return self.pin_of(key), statuses.failed(said) if said else statuses.idle(told)

    def removed(self, values: Updates) -> Updates:
        return self.drawn(
            values,
            _tried(lambda: self.history.remove(values[self.parts.chosen])) if values[self.sure] else "",
        )

    def cleared(self, values: Updates) -> Updates:
        return self.drawn(values, _tried(self.history.clear) if values[self.sure] else "")

    def opened(self, values: Updates) -> Updates:
        """Pictures, figures and timeline on Compare, with the setting in its fields."""
        there, key = self.compare, values[self.parts.chosen]
        if self.worker.busy_with(values[there.job]):
            return {
                self.parts.status: statuses.failed(
                    "compare: a run is on its way there; wait for it, or stop it."
                )
            }
        one = self.worker.reopen(key)
        if one is None:
            return {
                self.parts.status: statuses.failed(
                    "history: this run is gone, or its files are damaged; choose another."
                )
            }
        request = one.baseline.request
        if request.model not in MODELS:
            said = (
                f"model: {request.model!r} is not offered here; this run can be looked at in History alone."
            )
            return {self.parts.status: statuses.failed(said)}
        said = f"Run of {one.accelerated.clock}.{share.sentence(beside(request))}"
        fields = request.model_dump() | {"loras": (), "image": None}  # their files may be gone
        done = [*(other for other in values[there.done] if other != key), key]
        return (
            self.setting.open(values[there.model], fields, one.accelerated.method, said)
            | self.result.show(key, done, values[there.gain])
            | {there.done: done, self.tabs: gr.Tabs(selected="compare")}
        )


def _tried(change: Callable[[], None]) -> str:
    """What went wrong, if anything."""
    try:
        change()
    except EngineError as error:
        return str(error)
    return ""


def _opened(path: Path) -> Picture:
    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _heat(left: Picture, right: Picture) -> Picture:
    return difference(left, right, GAIN) if left and right and left.size == right.size else None
