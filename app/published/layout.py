"""Tab *Published*: the tables of others as a chart, a table, and what to know about them. Nothing in it was
measured here.
"""

from __future__ import annotations

from typing import Any

import gradio as gr

from cache_engine import MODELS, EngineError, method_from

from .. import form, statuses
from ..compare.parts import Parts
from ..compare.setting import SettingFields
from ..components import chart, notes, setting, sheet, status
from ..components.sheet import SheetValue
from ..controls import QUIET
from ..presets import preset_title
from . import benchmark as yours
from . import views as published_views
from .benchmark_wiring import Yours, families
from .csv_file import NAME, as_csv
from .notes import FLUX, read_with_care
from .rows import FAMILIES, ROW_OF, YOURS, Entry, entry, knob_values, matching
from .views import AS_PRINTED, OWN, QUALITIES, SPEEDS, Reading

Updates = dict[Any, Any]
# Unqueued events overtake each other, and a large answer comes after a small one; "always_last" loses the
# last of several.
IN_ORDER: dict[str, Any] = {
    "concurrency_id": "published",
    "concurrency_limit": 1,
    "trigger_mode": "multiple",
    **QUIET,
}
START = f"{FLUX} F1B0_W4I1M0MC4_R0.2_T1O1"
LABELS = {
    "F": "First blocks · F",
    "B": "Last blocks · B",
    "W": "Warm-up steps · W",
    "MC": "Cached in a row · MC",
    "R": "Threshold · R",
    "O": "Taylor order · O",
}
UNLIMITED = {("MC", 0): "no limit", ("O", 0): "none"}
INTRO = """## What others have published

cache-dit's benchmark on DrawBench, NVIDIA L20. Rows of other methods as cited there from the FoCa paper (arXiv 2508.16211).
Nothing on this tab was measured here, but for a benchmark of your own that you lay over it."""
FOLD = """() => {
  const open = document.querySelector('#published-filters').classList.toggle('cl-unfolded');
  document.querySelector('#published-fold').setAttribute('aria-expanded', open);
}"""


def build(compare: Parts, tabs: gr.Tabs) -> None:
    """``compare`` and ``tabs`` are where a point's setting is opened."""
    Tab(compare, tabs)


class Tab:
    """The components, and what they do together."""

    def __init__(self, compare: Parts, tabs: gr.Tabs) -> None:
        self.compare, self.tabs, self.form = compare, tabs, SettingFields(compare)
        self.chosen = gr.State(START)
        self.knobs: dict[str, gr.CheckboxGroup] = {}
        gr.Markdown(INTRO, elem_classes=["cl-intro"])
        with gr.Row(elem_classes="cl-published"):
            with gr.Column(elem_classes="cl-filters", elem_id="published-filters"):
                self._filters()
            with gr.Column(elem_classes="cl-plots"):
                self._plots()
            with gr.Column(elem_classes="cl-beside"):
                with gr.Column(elem_classes=["cl-card", "cl-setting-card"]):
                    self.card = setting(published_views.card(entry(START)), elem_id="published-setting")
                    self.open = gr.Button("Open in Compare", variant="primary", elem_id="published-open")
                    self.status = status(statuses.idle(), elem_id="published-status", elem_classes="cl-slim")
                self.notes = notes(read_with_care(FLUX, *Reading()), elem_id="published-notes")
        self._wire()

    def _filters(self) -> None:
        gr.Button("Filters", elem_id="published-fold", elem_classes=["cl-fold"]).click(None, js=FOLD)
        self.model = gr.Radio(
            list(ROW_OF),
            value=FLUX,
            label="Model",
            interactive=True,
            elem_id="published-model",
            elem_classes=["cl-lines"],
        )
        self.find = gr.Textbox(
            "", label="Find", placeholder="F1 R0.2", max_lines=1, interactive=True, elem_id="published-find"
        )
        self.families = gr.CheckboxGroup(
            families(),
            value=list(FAMILIES),
            label="Method",
            interactive=True,
            elem_id="published-families",
            elem_classes=["cl-lines"],
        )
        self.yours = Yours()
        for letter, values in knob_values(FLUX).items():
            self.knobs[letter] = gr.CheckboxGroup(
                _choices(letter, values),
                value=[],
                label=LABELS[letter],
                interactive=True,
                visible=len(values) > 1,
                elem_id=f"published-{letter}",
                elem_classes=["cl-chips"],
            )
        gr.Markdown("Knobs narrow DBCache's rows alone. None pressed: all.", elem_classes=["cl-note"])

    def _plots(self) -> None:
        rows, reading = matching(FLUX), Reading()
        segment: dict[str, Any] = dict(
            show_label=False, container=False, interactive=True, elem_classes="cl-seg"
        )
        with gr.Column(elem_classes="cl-card"):
            with gr.Row(elem_classes="cl-card-head"):
                self.quality = gr.Radio(
                    [(one.title.split(" as ")[0], name) for name, one in QUALITIES.items()],
                    value=reading.quality,
                    label="Quality",
                    elem_id="published-quality",
                    **segment,
                )
                self.speed = gr.Radio(
                    [(one.title, name) for name, one in SPEEDS.items()],
                    value=reading.speed,
                    label="Speed",
                    elem_id="published-speed",
                    **segment,
                )
                self.figures = gr.Radio(
                    [AS_PRINTED, OWN], value=OWN, label="Figures", elem_id="published-figures", **segment
                )
            self.chart = chart(published_views.chart(rows, reading, START), elem_id="published-chart")
        self.sheet = sheet(_sheet(rows, reading, START), elem_id="published-sheet")

    # ---- what they do together ----

    def _wire(self) -> None:
        filters = {
            self.model,
            self.find,
            self.families,
            self.quality,
            self.speed,
            self.figures,
            self.yours.entries,
            *self.knobs.values(),
        }
        drawn, told = [self.chart, self.sheet, self.notes], [self.chosen, self.card, self.open, self.status]
        # By the reader alone: of several values that Python sets, gradio tells one by one, while the others
        # are still the old ones. A textbox's own input event comes before its value; Python never sets that
        # one.
        pressed = filters - {self.model, self.find, self.yours.entries}
        moved = [self.find.change, *(one.input for one in pressed)]
        gr.on(moved, self.looked, inputs=filters | {self.chosen}, outputs=drawn, **IN_ORDER)
        # Drawn once more: what was pressed before the answer came was read with the last model's knobs.
        self.model.input(
            self.other_model, inputs=filters, outputs=[*self.knobs.values(), *drawn, *told], **IN_ORDER
        ).then(self.looked, inputs=filters | {self.chosen}, outputs=drawn, **IN_ORDER)
        self.chart.choose(self.chosen_in_chart, inputs=filters, outputs=[*told, self.sheet], **IN_ORDER)
        self.sheet.choose(self.chosen_in_sheet, inputs=filters, outputs=[*told, self.chart], **IN_ORDER)
        self.yours.wire(self, filters, [*drawn, *told], **IN_ORDER)
        there = self.compare
        opened = [
            self.tabs,
            self.status,
            there.model,
            there.size,
            there.steps,
            there.guidance,
            there.cfg,
            *there.chips,
            *self.form.outputs,
        ]
        self.open.click(
            self.opened, inputs=[self.chosen, there.model, self.yours.entries], outputs=opened, **IN_ORDER
        )
        self.chart.open(
            self.opened_in_chart, inputs=[there.model, self.yours.entries], outputs=opened, **IN_ORDER
        )

    def looked(self, values: Updates, key: str = "") -> Updates:
        """The rows that pass the filters, as they are looked at."""
        reading = Reading(values[self.quality], values[self.speed], values[self.figures] == OWN)
        rows = matching(
            values[self.model],
            values[self.families],
            {letter: values[group] for letter, group in self.knobs.items()},
            values[self.find],
            values[self.yours.entries],
        )
        key = key or values[self.chosen]
        return {
            self.chart: published_views.chart(rows, reading, key),
            self.sheet: _sheet(rows, reading, key),
            self.notes: read_with_care(values[self.model], *reading),
        }

    def other_model(self, values: Updates) -> Updates:
        """Its own knob values, none of them pressed, and its own first row chosen."""
        groups = {
            letter: gr.CheckboxGroup(_choices(letter, held), value=[], visible=len(held) > 1)
            for letter, held in knob_values(values[self.model]).items()
        }
        key = self.first(values[self.model])
        free = values | {group: [] for group in self.knobs.values()}
        return (
            {self.knobs[letter]: group for letter, group in groups.items()}
            | self.looked(free, key)
            | self.told(values, key)
        )

    def chosen_in_chart(self, values: Updates, event: gr.EventData) -> Updates:
        key = str(event.id)
        return self.told(values, key) | {self.sheet: self.looked(values, key)[self.sheet]}

    def chosen_in_sheet(self, values: Updates, event: gr.EventData) -> Updates:
        key = str(event.id)
        return self.told(values, key) | {self.chart: self.looked(values, key)[self.chart]}

    @staticmethod
    def first(model: str) -> str:
        """The row that a model's tables open with."""
        return START if model == FLUX else matching(model, ["dbcache"])[0].key

    def told(self, values: Updates, key: str) -> Updates:
        """The card of a row, and whether it can be opened."""
        one = entry(key, values[self.yours.entries])
        card = yours.card(one) if one and one.family == YOURS else published_views.card(one)
        return {
            self.chosen: key,
            self.card: card,
            self.status: statuses.idle(),
            self.open: gr.Button(interactive=one is not None and not one.refused),
        }

    def opened_in_chart(self, model: str, own: tuple[Entry, ...], event: gr.EventData) -> Updates:
        return self.opened(str(event.id), model, own)

    def opened(self, key: str, model: str, own: tuple[Entry, ...]) -> Updates:
        """Model, steps, method and knobs of a row into Compare. Where its model cannot be loaded, the one
        there stays.
        """
        one = entry(key, own)
        if one is None or one.refused:
            return {self.status: statuses.idle()}  # its card says why
        row = yours.model_of(one)
        away = row not in MODELS or MODELS[row].unavailable() is not None
        target, steps = model if away else row, one.base.steps
        try:
            form.method_of(
                one.method, form.request_from({"model": target, "prompt": one.name, "steps": steps})
            )
        except EngineError as error:
            return {
                self.status: statuses.failed(f"It does not fit {MODELS[target].title}. {error}")
                | {"detail": ""}
            }
        of = one.base.model if one.family != YOURS else yours.title_of(row)
        said = (
            f"{one.name}, {'measured on' if one.family == YOURS else 'published for'} {of} at {steps} steps"
        )
        said += f"; {of} cannot be loaded here, so {MODELS[target].title} stays." if away else "."
        moved = {} if target == model else self.form.for_model(target)
        return (
            moved
            | {
                self.compare.steps: steps,
                self.status: statuses.idle(),
                self.tabs: gr.Tabs(selected="compare"),
            }
            | self.form.fill(target, steps, one.method, preset_title(target, method_from(one.method)))
            | {self.compare.status: statuses.idle(said)}
        )


def _choices(letter: str, values: list[Any]) -> list[tuple[str, Any]]:
    return [(UNLIMITED.get((letter, value), f"{value:g}"), value) for value in values]


def _sheet(rows: list[Entry], reading: Reading, key: str) -> SheetValue:
    view = published_views.sheet(rows, reading, key)
    view["file"] = {"name": NAME, "text": as_csv(rows)}
    return view
