"""The tab *Tune*: opens the chosen setting in Compare, and saves it as a preset."""

from __future__ import annotations

import json
from typing import Any, NamedTuple, cast

import gradio as gr

from cache_engine import EngineError, method_from

from .. import statuses
from ..compare.parts import CompareParts
from ..compare.setting import SettingFields
from ..controls import Inputs, Updates, error_line
from ..engine.longjobs import LongJobs
from ..presets import presets_for, save
from .layout import TuneParts
from .snapshot import TuneSnapshot, chosen_setting
from .sweep_views import SweepSnapshot, chosen_cell


class ChosenSetting(NamedTuple):
    """The setting that the tab shows. ``request``: fields of its job's request. ``hardest_prompt``: "" unless
    it ran on several prompts.
    """

    job_title: str
    request: dict[str, Any]
    method: dict[str, Any]
    hardest_prompt: str


class ChosenSettingHandlers:
    """The handlers of Open and Save. ``compare``: the tab in which a setting is opened, one of ``tabs``."""

    def __init__(self, parts: TuneParts, compare: CompareParts, jobs: LongJobs, tabs: gr.Tabs) -> None:
        self.parts, self.compare, self.jobs, self.tabs = parts, compare, jobs, tabs
        self.fields = SettingFields(compare)

    def wire(self, options: dict[str, Any]) -> None:
        """Connect the buttons, and the double click on a point or a cell. ``options``:
        options of the events.
        """
        chosen, state, there = self.parts.chosen, self.parts.state, self.compare
        opened = [self.tabs, chosen.status, *self.fields.open_outputs]
        for component in (self.parts.results.chart, self.parts.results.cells):
            component.open(self.open_clicked, inputs={state.job, there.model}, outputs=opened, **options)
        inputs: Inputs = {state.job, state.setting, there.model}
        chosen.open.click(self.open, inputs=inputs, outputs=opened, **options)
        gr.on(
            [chosen.save.click, chosen.name.submit],
            self.save,
            inputs={*inputs, chosen.name, there.chosen},
            outputs=[chosen.status, chosen.name, there.preset],
            **options,
        )

    def open_clicked(self, values: Updates, event: gr.EventData) -> Updates:
        """Open the setting of the point or cell that was double-clicked."""
        return self.open(values | {self.parts.state.setting: str(event.id)})

    def open(self, values: Updates) -> Updates:
        """Put the setting and its job's request into Compare, with the prompt on which the setting does
        worst.
        """
        setting = self._chosen(values)
        if setting is None:
            return {self.parts.chosen.status: statuses.idle()}
        request, line = setting.request, f"From “{setting.job_title}”."
        if setting.hardest_prompt:
            request = request | {"prompt": setting.hardest_prompt}
            line = f"From “{setting.job_title}”, on the prompt that is hardest for this setting."
        moved = self.fields.open(values[self.compare.model], request, setting.method, line)
        return moved | {self.tabs: gr.Tabs(selected="compare")}

    def save(self, values: Updates) -> Updates:
        """Save the setting as one of the user's own presets."""
        chosen, there, setting = self.parts.chosen, self.compare, self._chosen(values)
        if setting is None:
            return {chosen.status: statuses.idle()}
        name, request = str(values[chosen.name] or "").strip(), setting.request
        try:
            preset = save(
                name, f"Found by “{setting.job_title}”.", request["model"], request["steps"], setting.method
            )
        except EngineError as error:
            return {chosen.status: error_line(error)}
        method, titles = (
            method_from(setting.method),
            list(presets_for(values[there.model], values[there.chosen])),
        )
        return {
            chosen.status: statuses.idle(f"Saved: “{preset.title}” is among the presets of {method.title}."),
            chosen.name: "",
            there.preset: gr.Radio(titles, visible=bool(titles)),
        }

    def _chosen(self, values: Updates) -> ChosenSetting | None:
        """Return the chosen setting of the shown job, or None."""
        key, setting_key = values[self.parts.state.job], values[self.parts.state.setting]
        snapshot = self.jobs.snapshot(key) if key else None
        if snapshot is None:
            return None
        if "axes" in snapshot:
            cell = chosen_cell(cast(SweepSnapshot, snapshot), setting_key)
            method, prompt = cell and cell["method"], ""
        else:
            setting = chosen_setting(cast(TuneSnapshot, snapshot), setting_key)
            method = setting and setting["method"]
            prompt = setting.get("measured", {}).get("worst_prompt", "") if setting else ""
        if method is None:
            return None
        job = self.jobs.job(key)
        return ChosenSetting(job.title, json.loads(job.task)["request"], dict(method), prompt)
