"""What the components of tab *Tune* do together. Nothing computes here: jobs are handed to the worker, and
their snapshots are drawn.
"""

from __future__ import annotations

import json
from typing import Any

import gradio as gr
from PIL import Image

from cache_engine import EngineError, RunRequest, SweepTask, TuneTask, difference

from .. import statuses
from ..compare import next_run
from ..compare.parts import CompareParts
from ..compare.setting import SettingFields
from ..controls import QUIET, Updates
from ..engine.store import LongJob
from ..engine.worker import Worker
from ..words import plural
from . import chart as tune_chart
from . import facts as tune_facts
from . import form as tune_form
from . import job_views, sweep_views
from . import views as tune_views
from .layout import FIND, GAIN, MEASURED, SIDES, TuneParts
from .opening import Opening

# In one line: unqueued events overtake each other, and a clock's answer must not undo what was chosen
# meanwhile.
ONCE: dict[str, Any] = {
    "concurrency_id": "tune",
    "concurrency_limit": 1,
    **QUIET,
}  # a second click before the answer is none
EACH: dict[str, Any] = {"trigger_mode": "multiple", **ONCE}  # of several quick ones none is lost


class Tune:
    """``compare``: where the request comes from, and where a setting is opened, on ``tabs``."""

    def __init__(self, parts: TuneParts, compare: CompareParts, worker: Worker, tabs: gr.Tabs) -> None:
        self.parts, self.compare, self.long, self.setting = (
            parts,
            compare,
            worker.long,
            SettingFields(compare),
        )
        self.opening = Opening(parts, compare, worker.long, tabs)
        self.drawn_outputs = [
            parts.job,
            parts.chosen,
            parts.seen,
            parts.pictured,
            parts.plots,
            parts.grid,
            parts.chart,
            parts.sheet,
            parts.cells,
            parts.card,
            parts.margins,
            parts.pair,
            *parts.pictures.values(),
            parts.open,
            parts.save,
            parts.csv,
            parts.json,
            parts.jobs,
        ]

    def wire(self, tab: gr.Tab, page: gr.Blocks) -> None:
        parts, there = self.parts, self.compare
        wish = {
            parts.mode,
            parts.goal,
            parts.value,
            parts.share,
            parts.methods,
            parts.vary,
            parts.fewer,
            parts.prompts,
            parts.acceptance,
            *(part for axis in parts.axes for part in axis),
        }
        looked = {
            parts.job,
            parts.chosen,
            parts.order,
            parts.seen,
            parts.pictured,
            parts.near,
            parts.speed,
            parts.rows,
        }
        asked = there.request | wish | {there.chosen, *there.knobs.values()}
        drawn: dict[str, Any] = {"inputs": looked, "outputs": self.drawn_outputs}

        parts.mode.input(
            lambda mode: [
                gr.Row(visible=mode == FIND),
                gr.Row(visible=mode != FIND),
                gr.Accordion(visible=mode == FIND),
            ],
            inputs=[parts.mode],
            outputs=[parts.find, parts.sweep, parts.more],
            queue=False,
            **QUIET,
        )
        parts.goal.input(self.wished, inputs=[parts.goal], outputs=[parts.value], queue=False, **QUIET)
        parts.methods.input(
            tune_form.usual_ranges,
            inputs=[parts.methods, parts.vary],
            outputs=[parts.vary],
            queue=False,
            **QUIET,
        )
        there.model.change(
            self.for_model,
            inputs=[there.model],
            outputs=[parts.prompts, parts.acceptance],
            queue=False,
            **QUIET,
        )
        gr.on(
            [tab.select, *(part.change for part in wish), there.model.change],
            self.told,
            inputs=asked,
            outputs=[parts.said],
            trigger_mode="always_last",
            queue=False,
            **QUIET,
        )
        parts.start.click(
            self.start,
            inputs=asked | looked | {parts.budget},
            outputs=[parts.status, *self.drawn_outputs],
            **ONCE,
        )
        tab.select(lambda: gr.Timer(active=True), outputs=[parts.clock], queue=False, **QUIET)
        page.load(self.attached, **drawn, **ONCE)
        parts.clock.tick(self.ticked, **drawn, **ONCE)
        parts.jobs.choose(self.job_chosen, **drawn, **EACH)
        parts.jobs.act(self.acted, inputs=looked, outputs=[parts.status, *self.drawn_outputs], **EACH)
        for place in (parts.chart, parts.sheet, parts.cells):
            place.choose(self.chosen, **drawn, **EACH)
        gr.on([parts.near.input, parts.speed.input, parts.rows.input], self.drawn, **drawn, **EACH)
        parts.swap.click(self.swapped, inputs=looked, outputs=[parts.order, parts.cells], **EACH)
        self.opening.wire(ONCE)

    # ---- what is wanted ----
    def wished(self, goal: str) -> Any:
        label, value = tune_form.WISHES[tune_form.GOALS[goal]]
        return gr.Number(value, label=label)

    def for_model(self, model: str) -> list[str]:
        return [tune_form.shipped(model), tune_form.shipped(model, "-acceptance")]

    def _request(self, values: Updates) -> RunRequest:
        return next_run.request_of(self.compare, values)

    def task(self, values: Updates) -> TuneTask | SweepTask:
        """What is asked for. Raises EngineError."""
        parts, request = self.parts, self._request(values)
        if values[parts.mode] != FIND:
            return tune_form.sweep_task(
                request,
                self.setting.raw_method(values)
                if values[self.compare.chosen] == "dbcache"
                else {"name": "dbcache"},
                [(values[knob], values[text]) for knob, text in parts.axes],
            )
        return tune_form.tune_task(
            request,
            goal=values[parts.goal],
            value=values[parts.value],
            share=values[parts.share],
            methods=values[parts.methods],
            vary=values[parts.vary],
            fewer_steps=values[parts.fewer],
            prompts=values[parts.prompts],
            acceptance=values[parts.acceptance],
        )

    def told(self, values: Updates) -> Updates:
        """How much that is, or what is wrong with it."""
        try:
            task = self.task(values)
            count = tune_form.count(task)
            if isinstance(task, SweepTask):
                said = (
                    f"{plural(count, 'setting')} and the plain run on “{task.request.prompt}”; "
                    f"{self._cost(task, count)}"
                )
            else:
                said = (
                    f"{count:,} settings, judged from {plural(len(task.prompts), 'plain run')}; the best is "
                    f"then held against "
                    f"{plural(len(task.acceptance), 'other prompt')}"
                )
            return {self.parts.said: statuses.idle(f"{said}. {tune_form.request_words(task.request)}.")}
        except EngineError as error:
            return {self.parts.said: statuses.failed(str(error)) | {"detail": ""}}

    def _cost(self, task: SweepTask, count: int) -> str:
        """From what this model's jobs took so far, else in runs alone."""
        pace = [
            job.spent / job.made
            for job in self.long.jobs()
            if job.made and json.loads(job.task)["request"]["model"] == task.request.model
        ]
        return (
            f"about {job_views.rough((count + 1) * pace[0])}"
            if pace
            else f"{plural(count + 1, 'run')}, the plain one the longest"
        )

    def start(self, values: Updates) -> Updates:
        try:
            task = self.task(values)
            tune_form.count(task)  # what cannot be read, or fits nowhere, stops here
            if isinstance(task, TuneTask):
                key = self.long.add(
                    "tune", tune_form.tune_title(task), task, tune_form.BUDGETS[values[self.parts.budget]]
                )
            else:
                key = self.long.add("sweep", tune_form.sweep_title(task), task)
        except EngineError as error:
            return {self.parts.status: statuses.failed(str(error)) | {"detail": ""}}
        return {self.parts.status: statuses.idle()} | self.drawn(values, job=key, chosen="")

    # ---- jobs ----
    def attached(self, values: Updates) -> Updates:
        """On load: the job that is on its way, else the newest."""
        listed = self._listed()
        job = next((job.key for job in listed if job.state == "running"), listed[0].key if listed else "")
        return self.drawn(values, job=job, chosen="")

    def ticked(self, values: Updates) -> Updates:
        if self._state(self._listed()) == values[self.parts.seen]:
            return {self.parts.seen: gr.skip()}
        return self.drawn(values)

    def job_chosen(self, values: Updates, event: gr.EventData) -> Updates:
        return self.drawn(values, job=str(event.key), chosen="")

    def acted(self, values: Updates, event: gr.EventData) -> Updates:
        try:
            {"stop": self.long.stop, "resume": self.long.resume, "remove": self.long.remove}[str(event.act)](
                str(event.key)
            )
        except EngineError as error:
            return {self.parts.status: statuses.failed(str(error)) | {"detail": ""}} | self.drawn(values)
        return {self.parts.status: statuses.idle()} | self.drawn(values)

    def _listed(self) -> list[LongJob]:
        try:
            return self.long.jobs()
        except EngineError:  # another server has them
            return []

    @staticmethod
    def _state(listed: list[LongJob]) -> str:
        """Changes whenever there is something new to draw: a job's row is written after its snapshot."""
        return json.dumps([(one.key, one.state, one.said, one.made) for one in listed])

    # ---- what is shown ----
    def drawn(self, values: Updates, job: str | None = None, chosen: str | None = None) -> Updates:
        parts = self.parts
        job = str(values[parts.job] if job is None else job)
        chosen = str(values[parts.chosen] if chosen is None else chosen)
        listed = self._listed()
        kind = next((one.kind for one in listed if one.key == job), "")
        job = job if kind else ""
        snapshot = self.long.snapshot(job) if job else None
        updates = {
            parts.job: job,
            parts.chosen: chosen,
            parts.seen: self._state(listed),
            parts.jobs: job_views.jobs(listed, job),
            parts.plots: gr.Column(visible=kind != "sweep"),
            parts.grid: gr.Column(visible=kind == "sweep"),
        }
        updates |= (
            self._swept(values, snapshot, chosen)
            if kind == "sweep"
            else self._tuned(values, snapshot, chosen)
        )
        fresh = updates[parts.seen] != values[parts.seen] or job != values[parts.job]
        return updates | (self._files(job, kind, snapshot) if fresh else {})

    def _tuned(self, values: Updates, snapshot: dict[str, Any] | None, chosen: str) -> Updates:
        parts = self.parts
        one = tune_facts.chosen_of(snapshot, chosen) if snapshot else None
        key = one["key"] if one else ""
        reading = tune_chart.Reading(values[parts.speed], values[parts.near] == tune_chart.NEAR)
        known = tune_facts.figures(one) if one else {}
        return {
            parts.chart: tune_chart.drawn(snapshot, reading, key),
            parts.sheet: tune_views.sheet(snapshot, key, measured=values[parts.rows] == MEASURED),
            parts.card: tune_views.card(snapshot, one),
            parts.margins: tune_views.margins(one, snapshot and snapshot["goal"]),
            parts.open: gr.Button(interactive=one is not None),
            parts.save: gr.Button(interactive=one is not None),
            **self._pair(values, known.get("worst_baseline", ""), known.get("worst_picture", "")),
        }

    def _swept(self, values: Updates, snapshot: dict[str, Any] | None, chosen: str) -> Updates:
        parts, one = self.parts, sweep_views.chosen_of(snapshot, chosen)
        pair = (snapshot["baseline"]["picture"], one["picture"]) if snapshot and one else ("", "")
        return {
            parts.cells: sweep_views.cells(snapshot, values[parts.order], chosen),
            parts.card: sweep_views.card(snapshot, one),
            parts.margins: tune_views.margins(None, None),
            parts.open: gr.Button(interactive=one is not None),
            parts.save: gr.Button(interactive=one is not None),
            **self._pair(values, *pair),
        }

    def _pair(self, values: Updates, before: str, after: str) -> Updates:
        """The chosen setting's pictures, sent once."""
        parts, name = self.parts, f"{before} {after}" if before and after else ""
        if name == values[parts.pictured]:
            return {}
        shown: Updates = {parts.pictured: name, parts.pair: gr.Column(visible=bool(name))}
        if not name:
            return shown
        try:
            first, second = Image.open(before).convert("RGB"), Image.open(after).convert("RGB")
        except OSError:  # removed meanwhile
            return shown | {parts.pair: gr.Column(visible=False)}
        return shown | dict(
            zip(
                map(parts.pictures.__getitem__, SIDES),
                (first, second, difference(first, second, GAIN)),
                strict=True,
            )
        )

    def _files(self, job: str, kind: str, snapshot: dict[str, Any] | None) -> Updates:
        parts = self.parts
        nothing = {part: gr.DownloadButton(value=None, interactive=False) for part in (parts.csv, parts.json)}
        if snapshot is None:
            return nothing
        folder = self.long.folder(job)
        path = folder / "settings.csv"
        try:
            path.write_text(
                (sweep_views if kind == "sweep" else tune_facts).table(snapshot), encoding="utf-8", newline=""
            )
        except OSError:  # a full disk, or removed meanwhile
            return nothing
        return {
            parts.csv: gr.DownloadButton(value=str(path), interactive=True),
            parts.json: gr.DownloadButton(value=str(folder / "result.json"), interactive=True),
        }

    def chosen(self, values: Updates, event: gr.EventData) -> Updates:
        return self.drawn(values, chosen=str(event.id))

    def swapped(self, values: Updates) -> Updates:
        parts, snapshot = (
            self.parts,
            self.long.snapshot(values[self.parts.job]) if values[self.parts.job] else None,
        )
        if snapshot is None or "axes" not in snapshot:
            return {parts.order: gr.skip()}
        order = sweep_views.next_order(snapshot, values[parts.order])
        return {parts.order: order, parts.cells: sweep_views.cells(snapshot, order, values[parts.chosen])}
