"""The task that the fields of the tab *Tune* describe, and the amount of its work."""

from __future__ import annotations

import json

from cache_engine import EngineError, SweepTask, TuneTask

from .. import statuses
from ..compare import next_run
from ..compare.parts import CompareParts
from ..compare.setting import SettingFields
from ..components.status import StatusValue
from ..controls import Inputs, Updates, error_line
from ..engine.longjobs import LongJobs
from ..words import plural, rough
from . import form as tune_form
from .layout import FIND, TaskFields


class TaskReader:
    """Reads tasks from the fields. ``compare``: the tab on which request and method are set."""

    def __init__(self, fields: TaskFields, compare: CompareParts, jobs: LongJobs) -> None:
        self.fields, self.compare, self.jobs = fields, compare, jobs
        self.setting = SettingFields(compare)

    @property
    def inputs(self) -> Inputs:
        there = self.compare
        return self.fields.inputs | there.request | {there.chosen, *there.knobs.values()}

    def read(self, values: Updates) -> TuneTask | SweepTask:
        """Make the task. Raises EngineError."""
        fields, goal, search = self.fields, self.fields.goal, self.fields.search
        request = next_run.request_from_parts(self.compare, values)
        if values[fields.mode] == FIND:
            return tune_form.tune_task(
                request,
                tune_form.TuneFields(
                    goal=values[goal.goal],
                    value=values[goal.value],
                    share=values[goal.share],
                    methods=values[search.methods],
                    vary=values[search.vary],
                    fewer_steps=values[search.fewer_steps],
                    prompts=values[search.prompts],
                    acceptance=values[search.acceptance],
                ),
            )
        is_dbcache = values[self.compare.chosen] == "dbcache"
        method = self.setting.raw_method(values) if is_dbcache else {"name": "dbcache"}
        axes = [(values[knob], values[text]) for knob, text in fields.sweep.axes]
        return tune_form.sweep_task(request, method, axes)

    def estimate(self, values: Updates) -> StatusValue:
        """Say how much work the task is, or why it is not valid."""
        try:
            task = self.read(values)
            work = self._tune_work(task) if isinstance(task, TuneTask) else self._sweep_work(task)
        except EngineError as error:
            return error_line(error)
        return statuses.idle(f"{work}. {tune_form.request_words(task.request)}.")

    def start(self, values: Updates) -> str:
        """Give the task to the engine as a job, and return the job's key. Raises EngineError."""
        task = self.read(values)
        tune_form.count_settings(task)  # refuses wrong ranges
        if isinstance(task, SweepTask):
            return self.jobs.add("sweep", tune_form.sweep_title(task), task)
        minutes = tune_form.BUDGETS[values[self.fields.goal.budget]]
        return self.jobs.add("tune", tune_form.tune_title(task), task, minutes)

    @staticmethod
    def _tune_work(task: TuneTask) -> str:
        settings = f"{tune_form.count_settings(task):,} settings"
        runs = plural(len(task.prompts), "baseline run")
        return (
            f"{settings}, estimated from {runs}; the best is then run on "
            f"{plural(len(task.acceptance), 'other prompt')}"
        )

    def _sweep_work(self, task: SweepTask) -> str:
        """Return the time that the sweep will take, if this model's earlier jobs tell it; otherwise the
        number of runs.
        """
        count = tune_form.count_settings(task)
        seconds_a_run = [
            job.spent / job.made
            for job in self.jobs.jobs()
            if job.made and json.loads(job.task)["request"]["model"] == task.request.model
        ]
        if seconds_a_run:
            cost = f"about {rough((count + 1) * seconds_a_run[0])}"
        else:
            cost = f"{plural(count + 1, 'run')}, of which the baseline takes longest"
        return f"{plural(count, 'setting')} and the baseline on “{task.request.prompt}”; {cost}"
