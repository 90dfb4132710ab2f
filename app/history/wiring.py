"""Answers the events of the tab *History*. Runs are read from the disk; this tab starts no run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
from PIL import Image

from cache_engine import MODELS, EngineError, clock, difference, short_repr

from .. import share, statuses
from ..compare.parts import CompareParts
from ..compare.result import ResultPanel
from ..compare.setting import SettingFields
from ..compare.sharing import NOTHING
from ..components.status import StatusValue
from ..controls import AT_ONCE, DIFFERENCE_GAIN, QUIET, Inputs, Updates
from ..engine.worker import Worker
from ..words import beside
from . import views as history_views
from .layout import PIN, UNPIN, HistoryParts, build
from .store import HistoryEntry, HistoryStore

# The browser asks the user. The answer replaces the last input, a hidden checkbox.
CONFIRM = "(...values) => [...values.slice(0, -1), confirm('{}')]"
EACH: dict[str, Any] = {"trigger_mode": "multiple", **AT_ONCE}  # of several quick clicks, none is dropped

Picture = Image.Image | None


def build_tab(
    tab: gr.Tab, tabs: gr.Tabs, compare: CompareParts, worker: Worker, follow: Callable[[Any], None]
) -> None:
    """Build the tab and connect it.

    compare: the components of the tab *Compare*, which is one of ``tabs``; runs are opened there.
    follow: a function that refreshes Compare's what-if after an event that changed the setting there.
    """
    HistoryHandlers(build(), compare, worker, tabs).wire(tab, follow)


class HistoryHandlers:
    """The handlers of the tab's events."""

    def __init__(self, parts: HistoryParts, compare: CompareParts, worker: Worker, tabs: gr.Tabs) -> None:
        self.parts, self.run, self.compare, self.worker, self.tabs = parts, parts.run, compare, worker, tabs
        self.fields, self.result = SettingFields(compare), ResultPanel(compare, worker)

    @property
    def history(self) -> HistoryStore:
        return self.worker.history

    def wire(self, tab: gr.Tab, follow: Callable[[Any], None]) -> None:
        """Connect every event of the tab, and the button Pin on Compare, with its handler."""
        parts, run, there = self.parts, self.run, self.compare
        inputs: Inputs = {parts.words, parts.which, parts.chosen}
        rows = [parts.sheet, parts.status]
        shown = [
            *rows,
            parts.chosen,
            parts.shown_name,
            parts.card,
            run.column,
            run.left,
            run.right,
            run.difference,
            run.against,
            run.name,
            run.pin,
        ]
        tab.select(self.show, inputs=inputs, outputs=shown, **EACH)
        gr.on(
            [parts.words.change, parts.which.input],
            self.show_rows,
            inputs=inputs,
            outputs=rows,
            trigger_mode="always_last",
            **AT_ONCE,
        )
        parts.sheet.choose(self.choose, inputs=inputs, outputs=shown, **EACH)
        run.against.input(
            self.compare_against,
            inputs=[parts.chosen, run.against],
            outputs=[run.left, run.difference, parts.status],
            trigger_mode="always_last",
            **AT_ONCE,
        )
        run.pin.click(
            self.pin_chosen,
            inputs={*inputs, run.pin, there.shown},
            outputs=[*shown, there.pin],
            **EACH,
        )
        gr.on(
            [run.name.submit, run.name.blur],
            self.rename,
            inputs={*inputs, run.name, parts.shown_name},
            outputs=[*rows, parts.card, parts.shown_name],
            **EACH,
        )
        there.shown.change(self.pin_button, inputs=[there.shown], outputs=[there.pin], **AT_ONCE)
        there.pin.click(
            self.pin_in_compare, inputs=[there.shown, there.pin], outputs=[there.pin, there.shared], **EACH
        )
        confirmed: dict[str, Any] = {"inputs": {*inputs, parts.confirmed}, "outputs": shown, **AT_ONCE}
        run.remove.click(self.remove, js=CONFIRM.format("Remove this run and its pictures?"), **confirmed)
        parts.clear.click(
            self.clear,
            js=CONFIRM.format("Remove every run that is not pinned, with its pictures?"),
            **confirmed,
        )
        opened = run.open.click(
            self.open,
            inputs={parts.chosen, there.model, there.done, there.gain, there.job},
            outputs=[
                self.tabs,
                parts.status,
                there.done,
                there.shown,
                *self.result.outputs,
                *self.fields.open_outputs,
            ],
            **QUIET,
        )
        follow(opened)

    # ---- rows and the chosen run ----
    def show_rows(self, values: Updates, error: str = "") -> Updates:
        """Draw the rows that match the search. An error is shown above them, also an error of storing the
        last run.
        """
        parts, entries = self.parts, self.history.entries()
        error = error or self.history.last_failure
        found = history_views.search(entries, str(values[parts.words] or ""), values[parts.which])
        return {
            parts.sheet: history_views.sheet(
                found, len(entries), values[parts.chosen], str(self.history.folder)
            ),
            parts.status: statuses.failed(error) if error else statuses.idle(),
        }

    def show(self, values: Updates, error: str = "") -> Updates:
        """Draw the rows and the chosen run. If no run is chosen, or if it was removed, the newest run is
        chosen.
        """
        chosen = self.parts.chosen
        entry = self.history.entry(values[chosen]) or next(iter(self.history.entries()), None)
        values[chosen] = entry.key if entry else ""
        return self.show_rows(values, error) | self._show_run(entry) | {chosen: values[chosen]}

    def choose(self, values: Updates, event: gr.EventData) -> Updates:
        """Show the run whose row was clicked."""
        return self.show(values | {self.parts.chosen: str(event.id)})

    def _show_run(self, entry: HistoryEntry | None) -> Updates:
        parts, run = self.parts, self.run
        if entry is None:
            return {parts.card: history_views.card(None), run.column: gr.Column(visible=False)}
        left, right = self._pictures(entry.key)
        return {
            parts.card: history_views.card(entry),
            parts.shown_name: entry.name,
            run.column: gr.Column(visible=True),
            run.left: gr.Image(left, label="baseline"),
            run.right: right,
            run.difference: _difference(left, right),
            run.name: entry.name,
            run.pin: gr.Button(UNPIN if entry.pinned else PIN),
            run.against: gr.Dropdown(history_views.rival_choices(self.history.entries(), entry), value=""),
        }

    def _pictures(self, key: str) -> list[Picture]:
        """Read the baseline's and the accelerated picture. A missing or damaged picture becomes None."""
        return [_read_picture(path) for path in self.history.pictures(key) or ()] or [None, None]

    def compare_against(self, key: str, other: str) -> tuple[Any, Any, StatusValue]:
        """Show the baseline, or another run of the same request, on the left."""
        entry, rival = self.history.entry(key), self.history.entry(other)
        if entry is None:
            return gr.skip(), gr.skip(), statuses.idle()
        left, right = self._pictures(key)
        if rival is None:
            return gr.Image(left, label="baseline"), _difference(left, right), statuses.idle()
        left = self._pictures(other)[1]
        line = history_views.rivals_line(entry, rival)
        return (
            gr.Image(left, label=rival.name or "other run"),
            _difference(left, right),
            statuses.idle(line),
        )

    # ---- changes ----
    def pin_chosen(self, values: Updates) -> Updates:
        """Do what the button's label says, even if another page has pinned the run in the meantime."""
        key, pinned = values[self.parts.chosen], values[self.run.pin] == PIN
        error = _error_of(lambda: self.history.pin(key, pinned))
        return self.show(values, error) | {self.compare.pin: self.pin_button(values[self.compare.shown])}

    def rename(self, values: Updates) -> Updates:
        """Store the typed name. Only rows and card are drawn, because the field may have lost its focus to a
        click that chooses another run at the same moment.
        """
        parts, key, typed = self.parts, values[self.parts.chosen], values[self.run.name]
        if self.history.entry(key) is None or (typed or "") == values[parts.shown_name]:
            return {parts.shown_name: gr.skip()}
        error = _error_of(lambda: self.history.rename(key, typed))
        entry = self.history.entry(key)
        return self.show_rows(values, error) | {
            parts.card: history_views.card(entry),
            parts.shown_name: entry.name if entry else "",
        }

    def pin_button(self, key: str) -> gr.Button:
        """Return Compare's button Pin for the run that Compare shows."""
        entry = self.history.entry(key)
        return gr.Button(UNPIN if entry and entry.pinned else PIN)

    def pin_in_compare(self, key: str, label: str) -> tuple[Any, StatusValue]:
        """Pin or unpin the run that Compare shows, as the button's label says."""
        entry = self.history.entry(key)
        if entry is None:
            is_removed = self.worker.comparison(key) is not None
            return gr.skip(), statuses.idle("This run is no longer in History." if is_removed else NOTHING)
        error = _error_of(lambda: self.history.pin(key, label == PIN))
        line = (
            f"Run of {clock(entry.finished)}: {'stays in History' if label == PIN else 'no longer pinned'}."
        )
        return self.pin_button(key), statuses.failed(error) if error else statuses.idle(line)

    def remove(self, values: Updates) -> Updates:
        """Remove the chosen run, if the user confirmed it."""
        if not values[self.parts.confirmed]:
            return self.show(values)
        return self.show(values, _error_of(lambda: self.history.remove(values[self.parts.chosen])))

    def clear(self, values: Updates) -> Updates:
        """Remove all runs that are not pinned, if the user confirmed it."""
        return self.show(values, _error_of(self.history.clear) if values[self.parts.confirmed] else "")

    # ---- opening in Compare ----
    def open(self, values: Updates) -> Updates:
        """Show pictures, figures and timeline on Compare, and put the setting into Compare's fields."""
        there, key = self.compare, values[self.parts.chosen]
        if self.worker.busy_with(values[there.job]):
            return self._refuse("compare: a run is in progress there; wait until it ends, or stop it.")
        comparison = self.worker.reopen(key)
        if comparison is None:
            return self._refuse(
                "history: this run was removed, or its files are damaged; choose another run."
            )
        request = comparison.baseline.request
        if request.model not in MODELS:
            return self._refuse(
                f"model: this page does not offer {short_repr(request.model)}, so this run can only be "
                "viewed in History; open a run of a model in the list."
            )
        line = f"Run of {comparison.accelerated.clock}.{share.sentence(beside(request))}"
        fields = request.model_dump() | {"loras": (), "image": None}  # the uploaded files may be gone
        done = [*(other for other in values[there.done] if other != key), key]
        return (
            self.fields.open(values[there.model], fields, comparison.accelerated.method, line)
            | self.result.show(key, done, values[there.gain])
            | {there.done: done, self.tabs: gr.Tabs(selected="compare")}
        )

    def _refuse(self, sentence: str) -> Updates:
        return {self.parts.status: statuses.failed(sentence)}


def _error_of(change: Callable[[], None]) -> str:
    """Make a change. Return the error's sentence, or "" if the change worked."""
    try:
        change()
    except EngineError as error:
        return str(error)
    return ""


def _read_picture(path: Path) -> Picture:
    try:
        with Image.open(path) as picture:
            return picture.convert("RGB")
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return None


def _difference(left: Picture, right: Picture) -> Picture:
    return difference(left, right, DIFFERENCE_GAIN) if left and right and left.size == right.size else None
