"""Where a setting of tab *Tune* goes: into Compare, or among the presets."""

from __future__ import annotations

import json
from typing import Any

import gradio as gr

from cache_engine import EngineError, method_from

from .. import statuses
from ..compare.parts import CompareParts
from ..compare.setting import SettingFields
from ..controls import Updates
from ..engine.longjobs import LongJobs
from ..engine.store import LongJob
from ..presets import presets_for, save
from . import facts as tune_facts
from . import sweep_views
from .layout import TuneParts


class Opening:
    """``compare``: the components of the tab that a setting is opened on, among ``tabs``."""

    def __init__(self, parts: TuneParts, compare: CompareParts, long: LongJobs, tabs: gr.Tabs) -> None:
        self.parts, self.compare, self.long, self.tabs, self.setting = (
            parts,
            compare,
            long,
            tabs,
            SettingFields(compare),
        )

    def wire(self, options: dict[str, Any]) -> None:
        parts, there = self.parts, self.compare
        opened = [self.tabs, parts.saved, *self.setting.open_outputs]
        for place in (parts.chart, parts.cells):
            place.open(self.opened_at, inputs={parts.job, there.model}, outputs=opened, **options)
        parts.open.click(
            self.opened, inputs={parts.job, parts.chosen, there.model}, outputs=opened, **options
        )
        gr.on(
            [parts.save.click, parts.name.submit],
            self.saved,
            inputs={parts.job, parts.chosen, parts.name, there.model, there.chosen},
            outputs=[parts.saved, parts.name, there.preset],
            **options,
        )

    def _setting(self, job: str, key: str) -> tuple[LongJob, dict[str, Any], str] | None:
        """The job, the method, and the prompt that is hardest for it."""
        snapshot = self.long.snapshot(job) if job else None
        if snapshot is None:
            return None
        one = (
            sweep_views.chosen_of(snapshot, key)
            if "axes" in snapshot
            else tune_facts.chosen_of(snapshot, key)
        )
        return (
            None
            if one is None
            else (self.long.job(job), dict(one["method"]), one.get("measured", {}).get("worst_prompt", ""))
        )

    def opened_at(self, values: Updates, event: gr.EventData) -> Updates:
        return self.opened(values | {self.parts.chosen: str(event.id)})

    def opened(self, values: Updates) -> Updates:
        """Its whole comparison into Compare."""
        found = self._setting(values[self.parts.job], values[self.parts.chosen])
        if found is None:
            return {self.parts.saved: statuses.idle()}
        job, method, prompt = found
        request = json.loads(job.task)["request"]
        request["prompt"] = prompt or request["prompt"]
        said = (
            f"From “{job.title}”, on the prompt that is hardest for it." if prompt else f"From “{job.title}”."
        )
        return self.setting.open(values[self.compare.model], request, method, said) | {
            self.tabs: gr.Tabs(selected="compare")
        }

    def saved(self, values: Updates) -> Updates:
        """The chosen setting as a preset of this user's."""
        found = self._setting(values[self.parts.job], values[self.parts.chosen])
        if found is None:
            return {self.parts.saved: statuses.idle()}
        job, method, _ = found
        request = json.loads(job.task)["request"]
        try:
            name = str(values[self.parts.name] or "").strip()
            preset = save(name, f"Found by “{job.title}”.", request["model"], request["steps"], method)
        except EngineError as error:
            return {self.parts.saved: statuses.failed(str(error)) | {"detail": ""}}
        known = list(presets_for(values[self.compare.model], values[self.compare.chosen]))
        return {
            self.parts.saved: statuses.idle(
                f"Saved: “{preset.title}” is among the presets of {method_from(method).title}."
            ),
            self.parts.name: "",
            self.compare.preset: gr.Radio(known, visible=bool(known)),
        }
