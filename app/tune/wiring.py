"""Answers the events of the tab *Tune*. The engine runs the jobs; the handlers draw their results."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import gradio as gr

from cache_engine import EngineError

from .. import statuses
from ..compare.parts import CompareParts
from ..controls import QUIET, Updates, error_line
from ..engine.longjobs import LongJobs, fingerprint
from ..engine.worker import Worker
from . import form as tune_form
from . import job_views, sweep_views
from .chosen_setting import ChosenSettingHandlers
from .layout import FIND, TuneParts, build
from .results import ResultsDrawing
from .snapshot import TuneSnapshot
from .sweep_views import SweepSnapshot
from .task import TaskReader

# Events run one at a time, because events outside a queue overtake each other, and the answer to a changed
# job must not undo a choice that the user made in the meantime. A second click before the answer is dropped.
ONCE: dict[str, Any] = {"concurrency_id": "tune", "concurrency_limit": 1, **QUIET}
EACH: dict[str, Any] = {"trigger_mode": "multiple", **ONCE}  # of several quick clicks, none is dropped
LATEST: dict[str, Any] = {"trigger_mode": "always_last", **ONCE}
AT_ONCE_LAST: dict[str, Any] = {"queue": False, "trigger_mode": "always_last", **QUIET}


def build_tab(
    tab: gr.Tab, tabs: gr.Tabs, page: gr.Blocks, compare: CompareParts, worker: Worker, model: str
) -> None:
    """Build the tab and connect it.

    compare: the tab from which the request comes and in which a setting is opened, one of ``tabs``.
    model: the model with which the page opens.
    """
    TuneHandlers(build(model), compare, worker.long, tabs).wire(tab, page)


class TuneHandlers:
    """The handlers of the tab's events."""

    def __init__(self, parts: TuneParts, compare: CompareParts, jobs: LongJobs, tabs: gr.Tabs) -> None:
        self.parts, self.compare, self.jobs = parts, compare, jobs
        self.task, self.results, self.chosen, self.state = (
            parts.task,
            parts.results,
            parts.chosen,
            parts.state,
        )
        self.reader = TaskReader(parts.task, compare, jobs)
        self.drawing = ResultsDrawing(parts, jobs)
        self.chosen_handlers = ChosenSettingHandlers(parts, compare, jobs, tabs)

    def wire(self, tab: gr.Tab, page: gr.Blocks) -> None:
        """Connect every event of the tab with its handler."""
        self._wire_fields(tab)
        self._wire_results(tab, page)
        self.chosen_handlers.wire(ONCE)

    def _wire_fields(self, tab: gr.Tab) -> None:
        task, goal, search, there = self.task, self.task.goal, self.task.search, self.compare
        task.mode.input(
            self.change_mode,
            inputs=[task.mode],
            outputs=[goal.row, task.sweep.row, search.panel],
            queue=False,
            **QUIET,
        )
        goal.goal.input(self.change_goal, inputs=[goal.goal], outputs=[goal.value], queue=False, **QUIET)
        search.methods.input(
            tune_form.default_ranges,
            inputs=[search.methods, search.vary],
            outputs=[search.vary],
            queue=False,
            **QUIET,
        )
        there.model.change(
            self.change_model,
            inputs=[there.model],
            outputs=[search.prompts, search.acceptance],
            queue=False,
            **QUIET,
        )
        gr.on(
            [tab.select, *(part.change for part in task.inputs), there.model.change],
            self.reader.estimate,
            inputs=self.reader.inputs,
            outputs=[task.estimate],
            **AT_ONCE_LAST,
        )

    def _wire_results(self, tab: gr.Tab, page: gr.Blocks) -> None:
        parts, task, results, state = self.parts, self.task, self.results, self.state
        inputs, outputs = parts.view_inputs, self._view_outputs()
        task.start.click(
            self.start,
            inputs=self.reader.inputs | inputs | {task.goal.budget},
            outputs=[task.status, *outputs],
            **ONCE,
        )
        page.load(self.show_first_job, inputs=inputs, outputs=outputs, **ONCE)
        for changed in (tab.select, parts.jobs.look):
            changed(self.refresh, inputs=inputs, outputs=outputs, **LATEST)
        parts.jobs.choose(self.choose_job, inputs=inputs, outputs=outputs, **EACH)
        parts.jobs.act(self.act_on_job, inputs=inputs, outputs=[task.status, *outputs], **EACH)
        for component in (results.chart, results.sheet, results.cells):
            component.choose(self.choose_setting, inputs=inputs, outputs=outputs, **EACH)
        gr.on(
            [results.near.input, results.speed.input, results.rows.input],
            self.show,
            inputs=inputs,
            outputs=outputs,
            **EACH,
        )
        results.swap.click(self.swap_axes, inputs=inputs, outputs=[state.order, results.cells], **EACH)

    def _view_outputs(self) -> list[Any]:
        state, results, chosen = self.state, self.results, self.chosen
        return [
            state.job,
            state.setting,
            state.drawn,
            state.pictures,
            results.tune,
            results.sweep,
            results.chart,
            results.sheet,
            results.cells,
            results.csv,
            results.json,
            chosen.card,
            chosen.margins,
            chosen.pictures,
            chosen.baseline,
            chosen.accelerated,
            chosen.difference,
            chosen.open,
            chosen.save,
            self.parts.jobs,
        ]

    # ---- fields ----
    @staticmethod
    def change_mode(mode: str) -> tuple[gr.Row, gr.Row, gr.Accordion]:
        """Show the fields of a tune, or those of a sweep."""
        tune = mode == FIND
        return gr.Row(visible=tune), gr.Row(visible=not tune), gr.Accordion(visible=tune)

    @staticmethod
    def change_goal(goal: str) -> gr.Number:
        """Label the goal's number, and set its first value."""
        label, value = tune_form.GOAL_FIELDS[tune_form.GOALS[goal]]
        return gr.Number(value, label=label)

    @staticmethod
    def change_model(model: str) -> list[str]:
        """Offer the prompts of the chosen model."""
        return [tune_form.example_prompts(model, kind) for kind in ("", "-acceptance")]

    # ---- jobs ----
    def start(self, values: Updates) -> Updates:
        """Start the job that the fields describe, and show it."""
        try:
            key = self.reader.start(values)
        except EngineError as error:
            return {self.task.status: error_line(error)}
        return {self.task.status: statuses.idle()} | self.show(values, job=key, setting="")

    def show_first_job(self, values: Updates) -> Updates:
        """After the page has loaded, show the running job, or else the newest job."""
        jobs = job_views.listed(self.jobs)
        newest = jobs[0].key if jobs else ""
        key = next((job.key for job in jobs if job.state == "running"), newest)
        return self.show(values, job=key, setting="")

    def refresh(self, values: Updates) -> Updates:
        """Draw the job again if any job has changed."""
        if fingerprint(job_views.listed(self.jobs)) == values[self.state.drawn]:
            return {self.state.drawn: gr.skip()}
        return self.show(values)

    def choose_job(self, values: Updates, event: gr.EventData) -> Updates:
        """Show the job that was clicked."""
        return self.show(values, job=str(event.key), setting="")

    def act_on_job(self, values: Updates, event: gr.EventData) -> Updates:
        """Stop, resume or remove a job."""
        acts: dict[str, Callable[[str], object]] = {
            "stop": self.jobs.stop,
            "resume": self.jobs.resume,
            "remove": self.jobs.remove,
        }
        status = statuses.idle()
        try:
            acts[str(event.act)](str(event.key))
        except EngineError as error:
            status = error_line(error)
        return {self.task.status: status} | self.show(values)

    # ---- results ----
    def choose_setting(self, values: Updates, event: gr.EventData) -> Updates:
        """Show the setting whose point, row or cell was clicked."""
        return self.show(values, setting=str(event.id))

    def show(self, values: Updates, job: str | None = None, setting: str | None = None) -> Updates:
        """Draw a job's results with one setting chosen. With None, the job or the setting stays the same."""
        state, results = self.state, self.results
        key = str(values[state.job] if job is None else job)
        setting = str(values[state.setting] if setting is None else setting)
        jobs = job_views.listed(self.jobs)
        kind = next((job.kind for job in jobs if job.key == key), "")
        key = key if kind else ""
        snapshot = self.jobs.snapshot(key) if key else None
        updates: Updates = {
            state.job: key,
            state.setting: setting,
            state.drawn: fingerprint(jobs),
            self.parts.jobs: job_views.jobs(jobs, key),
            results.tune: gr.Column(visible=kind != "sweep"),
            results.sweep: gr.Column(visible=kind == "sweep"),
        }
        if kind == "sweep":
            updates |= self.drawing.sweep(values, cast(SweepSnapshot | None, snapshot), setting)
        else:
            updates |= self.drawing.tune(values, cast(TuneSnapshot | None, snapshot), setting)
        if updates[state.drawn] != values[state.drawn] or key != values[state.job]:
            updates |= self.drawing.files(key, kind, snapshot)
        return updates

    def swap_axes(self, values: Updates) -> Updates:
        """Draw the sweep with its axes in the next order."""
        state, key = self.state, values[self.state.job]
        snapshot = self.jobs.snapshot(key) if key else None
        if snapshot is None or "axes" not in snapshot:
            return {state.order: gr.skip()}
        sweep = cast(SweepSnapshot, snapshot)
        order = sweep_views.next_order(sweep, values[state.order])
        cells = sweep_views.cells(sweep, order, values[state.setting])
        return {state.order: order, self.results.cells: cells}
