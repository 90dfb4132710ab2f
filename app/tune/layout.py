"""Tab *Tune*: what is wanted, the frontier, the best setting, and the jobs. The layout; what it does stands
in ``tune_wiring``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import gradio as gr

from cache_engine import METHODS, tunable_knobs

from .. import statuses
from ..components import cells, chart, jobs, setting, sheet, status, strips
from . import form as tune_form
from . import job_views, sweep_views
from . import views as tune_views
from .chart import COMPUTE, NEAR, TIME, WHOLE, Reading, drawn

FIND, SWEEP = "Find the best", "Sweep a grid"
ALL, MEASURED = "all settings", "measured"
SIDES = ("baseline", "accelerated", "difference")
GAIN = 8
SEGMENT: dict[str, Any] = dict(show_label=False, container=False, interactive=True, elem_classes="cl-seg")


@dataclass
class TuneParts:
    """Every component that an event reads or writes."""

    mode: Any = None
    find: Any = None  # columns that belong to one of the two modes
    sweep: Any = None
    more: Any = None
    goal: Any = None
    value: Any = None
    share: Any = None
    budget: Any = None
    methods: Any = None
    vary: Any = None
    fewer: Any = None
    prompts: Any = None
    acceptance: Any = None
    axes: list[tuple[Any, Any]] = field(default_factory=list)
    start: Any = None
    said: Any = None
    status: Any = None
    plots: Any = None  # what a tune shows, what a sweep shows
    grid: Any = None
    near: Any = None
    speed: Any = None
    chart: Any = None
    rows: Any = None
    sheet: Any = None
    swap: Any = None
    cells: Any = None
    csv: Any = None
    json: Any = None
    card: Any = None
    pictures: dict[str, Any] = field(default_factory=dict)
    pair: Any = None
    margins: Any = None
    open: Any = None
    name: Any = None
    save: Any = None
    saved: Any = None
    jobs: Any = None
    clock: Any = None
    # state of this browser tab
    job: Any = None  # key of the job that is shown
    chosen: Any = None  # key of the setting that is shown; "": the best
    order: Any = None  # of a sweep's axes
    seen: Any = None  # what is drawn already
    pictured: Any = None


def build(model: str) -> TuneParts:
    """All components, for the page's first model."""
    parts = TuneParts(
        job=gr.State(""), chosen=gr.State(""), order=gr.State([]), seen=gr.State(""), pictured=gr.State("")
    )
    with gr.Column(elem_classes="cl-tune"):
        with gr.Column(elem_classes=["cl-card", "cl-goal"]):
            _wish(parts, model)
        with gr.Row(elem_classes="cl-tuned"):
            with gr.Column(elem_classes="cl-tune-plots"):
                _plots(parts)
            with gr.Column(elem_classes="cl-tune-beside"):
                _beside(parts)
    parts.clock = gr.Timer(1, active=False)
    return parts


def _wish(parts: TuneParts, model: str) -> None:
    with gr.Row(elem_classes="cl-wish"):
        parts.mode = gr.Radio([FIND, SWEEP], value=FIND, label="What to do", elem_id="tune-mode", **SEGMENT)
        with gr.Row(elem_classes="cl-wish-in") as parts.find:
            parts.goal = gr.Radio(
                list(tune_form.GOALS),
                value=next(iter(tune_form.GOALS)),
                label="Goal",
                elem_id="tune-goal",
                **SEGMENT,
            )
            title, value = tune_form.WISHES["close"]
            parts.value = gr.Number(value, label=title, interactive=True, min_width=110, elem_id="tune-value")
            parts.share = gr.Number(
                95, label="Held by, % of prompts", interactive=True, min_width=110, elem_id="tune-share"
            )
            parts.budget = gr.Dropdown(
                list(tune_form.BUDGETS),
                value="3 minutes",
                label="Time budget",
                interactive=True,
                min_width=130,
                elem_id="tune-budget",
            )
        with gr.Row(elem_classes="cl-wish-in", visible=False) as parts.sweep:
            knobs = [("none", ""), *((name, name) for name in tunable_knobs("dbcache"))]
            for place, (name, text) in enumerate(tune_form.AXES):
                knob = gr.Dropdown(
                    knobs,
                    value=name,
                    label=f"Axis {place + 1}",
                    interactive=True,
                    min_width=150,
                    elem_id=f"sweep-knob-{place}",
                )
                values = gr.Textbox(
                    text,
                    label="Values",
                    placeholder="0.04..0.20 /5 or 1, 4, 8",
                    interactive=True,
                    max_lines=1,
                    min_width=110,
                    elem_id=f"sweep-values-{place}",
                )
                parts.axes.append((knob, values))
        parts.start = gr.Button("Start", variant="primary", scale=0, min_width=90, elem_id="tune-start")
    parts.said = status(statuses.idle(), elem_id="tune-said", elem_classes="cl-slim")
    parts.status = status(statuses.idle(), elem_id="tune-status", elem_classes="cl-slim")
    with gr.Accordion("What may vary, and on which prompts", open=False, elem_id="tune-more") as parts.more:
        with gr.Row():
            with gr.Column(min_width=260):
                parts.methods = gr.Dropdown(
                    [(METHODS[name].title, name) for name in tune_form.TUNABLE],
                    value=["dbcache"],
                    label="Methods",
                    multiselect=True,
                    interactive=True,
                    elem_id="tune-methods",
                )
                parts.vary = gr.Textbox(
                    tune_form.usual_ranges(["dbcache"]),
                    lines=6,
                    max_lines=14,
                    label="May vary · a knob a line",
                    info="1, 2, 4 or 2..6 or 0.04..0.36 /9; fraction: of the steps",
                    interactive=True,
                    elem_classes=["cl-mono"],
                    elem_id="tune-vary",
                )
                parts.fewer = gr.Checkbox(
                    True, label="the plain model with fewer steps too", interactive=True, elem_id="tune-fewer"
                )
            parts.prompts = gr.Textbox(
                tune_form.shipped(model),
                lines=9,
                max_lines=14,
                interactive=True,
                label="Tuning prompts · one a line",
                elem_id="tune-prompts",
            )
            parts.acceptance = gr.Textbox(
                tune_form.shipped(model, "-acceptance"),
                lines=9,
                max_lines=14,
                interactive=True,
                label="Acceptance prompts · the best is run on these, which the search never sees",
                elem_id="tune-acceptance",
            )


def _plots(parts: TuneParts) -> None:
    with gr.Column(elem_classes="cl-stack") as parts.plots:
        with gr.Column(elem_classes="cl-card"):
            with gr.Row(elem_classes="cl-card-head"):
                gr.Markdown("## Frontier")
                parts.near = gr.Radio(
                    [WHOLE, NEAR], value=WHOLE, label="Show", elem_id="tune-near", **SEGMENT
                )
                parts.speed = gr.Radio(
                    [COMPUTE, TIME], value=COMPUTE, label="Against", elem_id="tune-speed", **SEGMENT
                )
            parts.chart = chart(drawn(None, Reading()), elem_id="tune-chart")
        with gr.Row(elem_classes="cl-over"):
            parts.rows = gr.Radio([ALL, MEASURED], value=ALL, label="Rows", elem_id="tune-rows", **SEGMENT)
        parts.sheet = sheet(tune_views.sheet(None), elem_id="tune-sheet")
    with gr.Column(elem_classes="cl-card", visible=False) as parts.grid:
        with gr.Row(elem_classes="cl-card-head"):
            gr.Markdown("## Sweep")
            parts.swap = gr.Button("Swap axes", size="md", scale=0, elem_id="sweep-swap")
        parts.cells = cells(sweep_views.cells(None, []), elem_id="sweep-cells")
    with gr.Row(elem_classes="cl-foot"):
        parts.csv = gr.DownloadButton("CSV", value=None, size="md", interactive=False, elem_id="tune-csv")
        parts.json = gr.DownloadButton("JSON", value=None, size="md", interactive=False, elem_id="tune-json")


def _beside(parts: TuneParts) -> None:
    with gr.Column(elem_classes=["cl-card", "cl-setting-card"]):
        parts.card = setting(tune_views.card(None, None), elem_id="tune-card")
        with gr.Column(visible=False, elem_classes=["cl-pair-of"]) as parts.pair:
            with gr.Row(elem_classes="cl-three"):
                for side in SIDES:
                    label = side if side != "difference" else f"difference ×{GAIN}"
                    parts.pictures[side] = gr.Image(
                        None,
                        label=label,
                        format="png",
                        interactive=False,
                        buttons=["fullscreen"],
                        elem_classes=["cl-fit"],
                        min_width=80,
                        elem_id=f"tune-{side}",
                    )
        parts.margins = strips(tune_views.margins(None, None), elem_id="tune-margins")
        parts.open = gr.Button("Open in Compare", variant="primary", interactive=False, elem_id="tune-open")
        with gr.Row(elem_classes="cl-save"):
            parts.name = gr.Textbox(
                "",
                label="Name",
                placeholder="My setting",
                max_lines=1,
                interactive=True,
                min_width=120,
                elem_id="tune-name",
            )
            parts.save = gr.Button(
                "Save as preset", interactive=False, scale=0, min_width=120, elem_id="tune-save"
            )
        parts.saved = status(statuses.idle(), elem_id="tune-saved", elem_classes="cl-slim")
    parts.jobs = jobs(job_views.jobs([], ""), elem_id="tune-jobs")
