"""The components of the tab *Published*. ``wiring`` answers their events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import gradio as gr

from ..components import chart, notes, setting, sheet
from ..controls import Inputs, segmented, slim_status
from . import chart as published_chart
from . import views as published_views
from .figures import AS_PRINTED, QUALITIES, RELATIVE, SPEEDS, FigureChoice
from .notes import FLUX, care_notes
from .tables import FAMILIES, OWN_FAMILY, ROW_OF, find_setting, knob_values, select_settings

START = f"{FLUX} F1B0_W4I1M0MC4_R0.2_T1O1"  # key of the setting that is chosen when the page opens
KNOB_LABELS = {
    "F": "First blocks · F",
    "B": "Last blocks · B",
    "W": "Warm-up steps · W",
    "MC": "Cached in a row · MC",
    "R": "Threshold · R",
    "O": "Taylor order · O",
}
SPECIAL_VALUES = {("MC", 0): "no limit", ("O", 0): "none"}
SIGNS = {"forecast": "◆", "dbcache": "○", "other": "▲", "fewer": "×", "baseline": "■", OWN_FAMILY: "●"}
INTRO = """## What others have published

cache-dit's benchmark on DrawBench, NVIDIA L20. Rows of other methods are those that it cites from the FoCa
paper (arXiv 2508.16211). CacheLens measured none of them. Only a benchmark that you add yourself is
measured."""
OWN_BENCHMARK = """**Your benchmark**

`benchmark summary DIR` writes `DIR/summary.json`. Add that file to compare it with the published rows."""


@dataclass(frozen=True)
class Filters:
    """The left column, with the filters."""

    fold: gr.Button  # on a phone, this button shows and hides the column
    model: gr.Radio
    words: gr.Textbox
    families: gr.CheckboxGroup
    knobs: dict[str, gr.CheckboxGroup]  # the filters by their knobs' letters in a recipe


@dataclass(frozen=True)
class OwnBenchmark:
    """The visitor's own benchmark. ``settings`` stays in this tab of the browser; the server does not store
    it.
    """

    settings: gr.State
    file: gr.UploadButton
    remove: gr.Button
    status: gr.HTML


@dataclass(frozen=True)
class Plots:
    """The middle column: the choice of figures, the chart, and the table."""

    quality: gr.Radio
    speed: gr.Radio
    figures: gr.Radio
    chart: gr.HTML
    sheet: gr.HTML


@dataclass(frozen=True)
class PublishedParts:
    """All components that an event of the tab reads or writes. ``chosen``: the key of the setting on the
    card.
    """

    chosen: gr.State
    filters: Filters
    own: OwnBenchmark
    plots: Plots
    card: gr.HTML
    open: gr.Button
    status: gr.HTML
    notes: gr.HTML

    @property
    def filter_inputs(self) -> Inputs:
        """Return the inputs that determine which rows and figures are shown."""
        filters, plots = self.filters, self.plots
        return {
            filters.model,
            filters.words,
            filters.families,
            plots.quality,
            plots.speed,
            plots.figures,
            self.own.settings,
            *filters.knobs.values(),
        }


def build() -> PublishedParts:
    """Build all components, with the tables of FLUX.1-dev."""
    gr.Markdown(INTRO, elem_classes=["cl-intro"])
    with gr.Row(elem_classes="cl-published"):
        with gr.Column(elem_classes="cl-filters", elem_id="published-filters"):
            filters, own = _filters()
        with gr.Column(elem_classes="cl-plots"):
            plots = _plots()
        with gr.Column(elem_classes="cl-beside"):
            with gr.Column(elem_classes=["cl-card", "cl-setting-card"]):
                card = setting(published_views.card(find_setting(START)), elem_id="published-setting")
                open_button = gr.Button("Open in Compare", variant="primary", elem_id="published-open")
                status = slim_status("published-status")
            care = notes(care_notes(FLUX, FigureChoice()), elem_id="published-notes")
    return PublishedParts(gr.State(START), filters, own, plots, card, open_button, status, care)


def _filters() -> tuple[Filters, OwnBenchmark]:
    fold = gr.Button("Filters", elem_id="published-fold", elem_classes=["cl-fold"])
    model = gr.Radio(
        list(ROW_OF),
        value=FLUX,
        label="Model",
        interactive=True,
        elem_id="published-model",
        elem_classes=["cl-lines"],
    )
    words = gr.Textbox(
        "", label="Find", placeholder="F1 R0.2", max_lines=1, interactive=True, elem_id="published-find"
    )
    families = gr.CheckboxGroup(
        family_choices(own=False),
        value=list(FAMILIES),
        label="Method",
        interactive=True,
        elem_id="published-families",
        elem_classes=["cl-lines"],
    )
    own = _own_benchmark()
    knobs = {
        letter: gr.CheckboxGroup(
            knob_choices(letter, values),
            value=[],
            label=KNOB_LABELS[letter],
            interactive=True,
            visible=len(values) > 1,
            elem_id=f"published-{letter}",
            elem_classes=["cl-chips"],
        )
        for letter, values in knob_values(FLUX).items()
    }
    gr.Markdown(
        "Knobs filter DBCache's rows only. With none selected, all rows are shown.", elem_classes=["cl-note"]
    )
    return Filters(fold, model, words, families, knobs), own


def _own_benchmark() -> OwnBenchmark:
    gr.Markdown(OWN_BENCHMARK, elem_classes=["cl-note", "cl-yours"])
    return OwnBenchmark(
        settings=gr.State(()),
        file=gr.UploadButton(
            "Add my benchmark", file_types=[".json"], type="filepath", elem_id="published-file"
        ),
        remove=gr.Button("Remove", visible=False, elem_id="published-remove", elem_classes=["cl-quiet"]),
        status=slim_status("published-laid"),
    )


def _plots() -> Plots:
    settings, choice = select_settings(FLUX), FigureChoice()
    qualities = [(figure.title.split(" as ")[0], name) for name, figure in QUALITIES.items()]
    speeds = [(figure.title, name) for name, figure in SPEEDS.items()]
    with gr.Column(elem_classes="cl-card"):
        with gr.Row(elem_classes="cl-card-head"):
            quality = segmented(qualities, choice.quality, "Quality", "published-quality")
            speed = segmented(speeds, choice.speed, "Speed", "published-speed")
            figures = segmented([AS_PRINTED, RELATIVE], RELATIVE, "Figures", "published-figures")
        points = chart(published_chart.chart(settings, choice, START), elem_id="published-chart")
    rows = sheet(published_views.sheet(settings, choice, START), elem_id="published-sheet")
    return Plots(quality, speed, figures, points, rows)


def family_choices(*, own: bool) -> list[tuple[str, str]]:
    """Return the choices of the filter by method, including the user's runs if there are any."""
    titles = FAMILIES | ({OWN_FAMILY: "Your runs"} if own else {})
    return [(f"{SIGNS[family]}  {title}", family) for family, title in titles.items()]


def knob_choices(letter: str, values: Sequence[Any]) -> list[tuple[str, Any]]:
    """Return the choices of the filter by this knob."""
    return [(SPECIAL_VALUES.get((letter, value), f"{value:g}"), value) for value in values]
