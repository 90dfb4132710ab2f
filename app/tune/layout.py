"""The components of the tab *Tune*. ``wiring`` answers their events."""

from __future__ import annotations

from dataclasses import dataclass

import gradio as gr

from cache_engine import METHODS, tunable_knobs

from ..components import cells, chart, jobs, setting, sheet, strips
from ..controls import DIFFERENCE_GAIN, Inputs, segmented, slim_status, small_picture
from . import chart as tune_chart
from . import form as tune_form
from . import job_views, sweep_views
from . import views as tune_views
from .chart import COMPUTE, NEAR, TIME, WHOLE, FrontierChoice

FIND, SWEEP = "Find the best", "Sweep a grid"
ALL, MEASURED = "all settings", "measured"


@dataclass(frozen=True)
class SearchFields:
    """The fields for the settings that a tune searches, and for its prompts."""

    panel: gr.Accordion
    methods: gr.Dropdown
    vary: gr.Textbox
    fewer_steps: gr.Checkbox
    prompts: gr.Textbox
    acceptance: gr.Textbox


@dataclass(frozen=True)
class GoalFields:
    """The fields for the goal of a tune."""

    row: gr.Row
    goal: gr.Radio
    value: gr.Number
    share: gr.Number
    budget: gr.Dropdown


@dataclass(frozen=True)
class SweepFields:
    """The fields for the axes of a sweep: for each axis, a knob and the text of its values."""

    row: gr.Row
    axes: list[tuple[gr.Dropdown, gr.Textbox]]


@dataclass(frozen=True)
class TaskFields:
    """The card at the top: the kind of job, and the button Start.

    estimate: tells how much work the task is, or why it is not valid.
    status: tells why the last click failed.
    """

    mode: gr.Radio
    goal: GoalFields
    sweep: SweepFields
    search: SearchFields
    start: gr.Button
    estimate: gr.HTML
    status: gr.HTML

    @property
    def inputs(self) -> Inputs:
        """Return the inputs that make up a task; the time budget is not among them."""
        goal, search = self.goal, self.search
        return {
            self.mode,
            goal.goal,
            goal.value,
            goal.share,
            search.methods,
            search.vary,
            search.fewer_steps,
            search.prompts,
            search.acceptance,
            *(part for axis in self.sweep.axes for part in axis),
        }


@dataclass(frozen=True)
class Results:
    """The left column: a tune's chart and table, or a sweep's grid, and their files."""

    tune: gr.Column
    near: gr.Radio
    speed: gr.Radio
    chart: gr.HTML
    rows: gr.Radio
    sheet: gr.HTML
    sweep: gr.Column
    swap: gr.Button
    cells: gr.HTML
    csv: gr.DownloadButton
    json: gr.DownloadButton


@dataclass(frozen=True)
class ChosenCard:
    """The card of one setting, with its pictures and its buttons."""

    card: gr.HTML
    pictures: gr.Column
    baseline: gr.Image
    accelerated: gr.Image
    difference: gr.Image
    margins: gr.HTML
    open: gr.Button
    name: gr.Textbox
    save: gr.Button
    status: gr.HTML


@dataclass(frozen=True)
class ViewState:
    """The state of this tab of the browser.

    job: key of the job that is shown.
    setting: key of the chosen setting; "" for the best setting.
    order: the order of a sweep's axes.
    drawn: the jobs' state when they were last drawn.
    pictures: the files of the pictures that are shown.
    """

    job: gr.State
    setting: gr.State
    order: gr.State
    drawn: gr.State
    pictures: gr.State


@dataclass(frozen=True)
class TuneParts:
    """All components that an event of the tab reads or writes."""

    task: TaskFields
    results: Results
    chosen: ChosenCard
    jobs: gr.HTML
    state: ViewState

    @property
    def view_inputs(self) -> Inputs:
        """Return the inputs on which the shown results depend."""
        state, results = self.state, self.results
        return {
            state.job,
            state.setting,
            state.order,
            state.drawn,
            state.pictures,
            results.near,
            results.speed,
            results.rows,
        }


def build(model: str) -> TuneParts:
    """Build all components, for the page's first model."""
    with gr.Column(elem_classes="cl-tune"):
        with gr.Column(elem_classes=["cl-card", "cl-goal"]):
            task = _task_fields(model)
        with gr.Row(elem_classes="cl-tuned"):
            with gr.Column(elem_classes="cl-tune-plots"):
                results = _results()
            with gr.Column(elem_classes="cl-tune-beside"):
                with gr.Column(elem_classes=["cl-card", "cl-setting-card"]):
                    chosen = _chosen_card()
                all_jobs = jobs(job_views.jobs([], ""), elem_id="tune-jobs")
    state = ViewState(gr.State(""), gr.State(""), gr.State([]), gr.State(""), gr.State(""))
    return TuneParts(task, results, chosen, all_jobs, state)


def _task_fields(model: str) -> TaskFields:
    with gr.Row(elem_classes="cl-wish"):
        mode = segmented([FIND, SWEEP], FIND, "What to do", "tune-mode")
        goal, sweep = _goal_fields(), _sweep_fields()
        start = gr.Button("Start", variant="primary", scale=0, min_width=90, elem_id="tune-start")
    estimate, status = slim_status("tune-said"), slim_status("tune-status")
    return TaskFields(mode, goal, sweep, _search_fields(model), start, estimate, status)


def _goal_fields() -> GoalFields:
    label, value = tune_form.GOAL_FIELDS["close"]
    with gr.Row(elem_classes="cl-wish-in") as row:
        return GoalFields(
            row=row,
            goal=segmented(list(tune_form.GOALS), next(iter(tune_form.GOALS)), "Goal", "tune-goal"),
            value=gr.Number(value, label=label, interactive=True, min_width=110, elem_id="tune-value"),
            share=gr.Number(
                95, label="Prompts to pass, %", interactive=True, min_width=110, elem_id="tune-share"
            ),
            budget=gr.Dropdown(
                list(tune_form.BUDGETS),
                value="3 minutes",
                label="Time budget",
                interactive=True,
                min_width=130,
                elem_id="tune-budget",
            ),
        )


def _sweep_fields() -> SweepFields:
    knobs = [("none", ""), *((name, name) for name in tunable_knobs("dbcache"))]
    axes = []
    with gr.Row(elem_classes="cl-wish-in", visible=False) as row:
        for index, (name, values) in enumerate(tune_form.AXES):
            knob_field = gr.Dropdown(
                knobs,
                value=name,
                label=f"Axis {index + 1}",
                interactive=True,
                min_width=150,
                elem_id=f"sweep-knob-{index}",
            )
            values_field = gr.Textbox(
                values,
                label="Values",
                placeholder="0.04..0.20 /5 or 1, 4, 8",
                interactive=True,
                max_lines=1,
                min_width=110,
                elem_id=f"sweep-values-{index}",
            )
            axes.append((knob_field, values_field))
    return SweepFields(row, axes)


def _search_fields(model: str) -> SearchFields:
    with gr.Accordion("What may vary, and on which prompts", open=False, elem_id="tune-more") as panel:
        with gr.Row():
            with gr.Column(min_width=260):
                methods = gr.Dropdown(
                    [(METHODS[name].title, name) for name in tune_form.TUNABLE],
                    value=["dbcache"],
                    label="Methods",
                    multiselect=True,
                    interactive=True,
                    elem_id="tune-methods",
                )
                vary = gr.Textbox(
                    tune_form.default_ranges(["dbcache"]),
                    lines=6,
                    max_lines=14,
                    label="May vary · one knob a line",
                    info="1, 2, 4 or 2..6 or 0.04..0.36 /9; fraction: share of the steps",
                    interactive=True,
                    elem_classes=["cl-mono"],
                    elem_id="tune-vary",
                )
                fewer_steps = gr.Checkbox(
                    True, label="the plain model with fewer steps too", interactive=True, elem_id="tune-fewer"
                )
            prompts = _prompts_field(model, "", "Tuning prompts · one a line")
            acceptance = _prompts_field(
                model,
                "-acceptance",
                "Acceptance prompts · the best setting is run on these, which the search never uses",
            )
    return SearchFields(panel, methods, vary, fewer_steps, prompts, acceptance)


def _prompts_field(model: str, kind: str, label: str) -> gr.Textbox:
    return gr.Textbox(
        tune_form.example_prompts(model, kind),
        lines=9,
        max_lines=14,
        interactive=True,
        label=label,
        elem_id=f"tune{kind}" if kind else "tune-prompts",
    )


def _results() -> Results:
    with gr.Column(elem_classes="cl-stack") as tune:
        with gr.Column(elem_classes="cl-card"):
            with gr.Row(elem_classes="cl-card-head"):
                gr.Markdown("## Frontier")
                near = segmented([WHOLE, NEAR], WHOLE, "Show", "tune-near")
                speed = segmented([COMPUTE, TIME], COMPUTE, "Against", "tune-speed")
            points = chart(tune_chart.chart(None, FrontierChoice()), elem_id="tune-chart")
        with gr.Row(elem_classes="cl-over"):
            rows = segmented([ALL, MEASURED], ALL, "Rows", "tune-rows")
        settings = sheet(tune_views.sheet(None), elem_id="tune-sheet")
    with gr.Column(elem_classes="cl-card", visible=False) as sweep:
        with gr.Row(elem_classes="cl-card-head"):
            gr.Markdown("## Sweep")
            swap = gr.Button("Swap axes", size="md", scale=0, elem_id="sweep-swap")
        grid = cells(sweep_views.cells(None, []), elem_id="sweep-cells")
    with gr.Row(elem_classes="cl-foot"):
        csv = gr.DownloadButton("CSV", value=None, size="md", interactive=False, elem_id="tune-csv")
        json = gr.DownloadButton("JSON", value=None, size="md", interactive=False, elem_id="tune-json")
    return Results(tune, near, speed, points, rows, settings, sweep, swap, grid, csv, json)


def _chosen_card() -> ChosenCard:
    card = setting(tune_views.card(None, None), elem_id="tune-card")
    with gr.Column(visible=False, elem_classes=["cl-pair-of"]) as pictures, gr.Row(elem_classes="cl-three"):
        baseline = small_picture("baseline", "tune-baseline")
        accelerated = small_picture("accelerated", "tune-accelerated")
        difference = small_picture(f"difference ×{DIFFERENCE_GAIN}", "tune-difference")
    margins = strips(tune_views.margins(None, None), elem_id="tune-margins")
    open_button = gr.Button("Open in Compare", variant="primary", interactive=False, elem_id="tune-open")
    with gr.Row(elem_classes="cl-save"):
        name = gr.Textbox(
            "",
            label="Name",
            placeholder="My setting",
            max_lines=1,
            interactive=True,
            min_width=120,
            elem_id="tune-name",
        )
        save = gr.Button("Save as preset", interactive=False, scale=0, min_width=120, elem_id="tune-save")
    status = slim_status("tune-saved")
    return ChosenCard(
        card, pictures, baseline, accelerated, difference, margins, open_button, name, save, status
    )
