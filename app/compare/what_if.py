"""The live what-if on the tab *Compare*: estimates, from the baseline's survey, for a setting that has not
run.

Knobs, threshold line, painted steps, the button Freeze and the dial all call these handlers. A handler
simulates with numpy in about a millisecond. The worker's thread records the survey.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr
from gradio.components import Component

from cache_engine import (
    Comparison,
    EngineError,
    Forecast,
    Method,
    Plan,
    Reason,
    RunRequest,
    frontier,
    is_recipe,
    method_from,
    simulate,
)

from .. import form, statuses, views
from ..components.dial import DialValue
from ..controls import Updates
from ..engine.recording_queue import BaselineRecord
from ..engine.worker import Worker
from ..timeline import LIMIT, MASK, timeline_of
from . import what_if_views
from .parts import CompareParts
from .result import ResultPanel
from .setting import SettingFields

POLICY = "steps_computation_policy"


class WhatIf:
    """Shows what a setting would do on the baseline of the shown comparison."""

    def __init__(
        self, parts: CompareParts, worker: Worker, setting: SettingFields, result: ResultPanel
    ) -> None:
        self.parts, self.worker, self.setting, self.result = parts, worker, setting, result
        self.outputs: list[Component] = [
            parts.headline,
            parts.timeline,
            parts.dial,
            parts.stale,
            parts.status,
        ]

    # ---- drawing ----
    def draw(self, values: Updates, method: Method, plan: Plan, *, top: float | None = None) -> Updates:
        """Show a setting's numbers: measured if it is the setting of the shown run, otherwise estimated from
        the survey.

        plan: the method's plan for the request of ``_request``. top: the fixed end of the timeline's axis
        during a drag.
        """
        comparison = self._shown(values)
        if comparison is None:
            return {}
        record = self.worker.record_of(comparison)
        if method.to_dict() == comparison.accelerated.method:
            return self._draw_measured(values, comparison, record, top)
        alone = self._baseline_is_enough(values, record)
        if record.survey is None:
            return {self.parts.status: statuses.unrun("Not run yet.", None, alone=alone)}
        try:
            forecast = simulate(record.survey, method, record.psnr_calibration, plan=plan)
        except EngineError as error:
            return {self.parts.status: statuses.failed(str(error))}
        cache = form.cache_size(comparison.baseline, method, plan, max(forecast.steps_computed, 1))
        seconds = (
            comparison.baseline.seconds.denoise / forecast.speedup if forecast.tflops is not None else None
        )
        return {
            self.parts.headline: what_if_views.headline(forecast, comparison, cache=cache),
            self.parts.timeline: what_if_views.timeline(
                forecast,
                comparison,
                top=top,
                painted=self._painted_steps(values, method.to_dict()),
                warm_up=self._useful_warm_up(record, method, forecast),
            ),
            self.parts.stale: what_if_views.stale(comparison),
            self.parts.dial: self.dial(values, comparison, record, forecast),
            self.parts.status: statuses.unrun("Estimate.", seconds, alone=alone),
        }

    def _draw_measured(
        self, values: Updates, comparison: Comparison, record: BaselineRecord, top: float | None
    ) -> Updates:
        method = comparison.accelerated.method
        figures = self.setting.published_figures(values, method)
        painted = self._painted_steps(values, method)
        return {
            self.parts.headline: views.headline(comparison, published=figures),
            self.parts.timeline: timeline_of(comparison, top=top, painted=painted),
            self.parts.stale: what_if_views.stale(None),
            self.parts.dial: self.dial(values, comparison, record, None),
        }

    def _shown(self, values: Updates) -> Comparison | None:
        """Return the shown comparison. Return None if another comparison is running, or if the fields have
        another model or number of steps.
        """
        comparison = self.worker.comparison(values[self.parts.shown])
        if comparison is None or self.worker.busy_with(values[self.parts.job]):
            return None
        request = comparison.baseline.request
        fields = (values[self.parts.model], values[self.parts.steps])
        return comparison if (request.model, request.steps) == fields else None

    def _request(self, values: Updates) -> RunRequest:
        """Return the request for which a setting is estimated: that of the shown baseline, or one with the
        tab's steps.
        """
        comparison = self._shown(values)
        if comparison is not None:
            return comparison.baseline.request
        return form.usual_request(values[self.parts.model], values[self.parts.steps])

    def _baseline_is_enough(self, values: Updates, record: BaselineRecord) -> bool:
        """Return whether the next run can reuse the shown baseline."""
        return bool(record.reusable and values[self.parts.locked] and not values[self.parts.both])

    def dial(
        self, values: Updates, comparison: Comparison, record: BaselineRecord, at: Forecast | None
    ) -> DialValue:
        """Return the dial with all runs on this baseline.

        at: the forecast of the present setting; None: the forecast of the shown run.
        """
        if record.survey is None:
            return what_if_views.waiting(_recording_note(record))
        if at is None:
            at = self._own_forecast(comparison, record)
        runs = [run for _, run in self.result.runs_on_baseline(values[self.parts.done])]
        return what_if_views.dial(frontier(record.survey, record.psnr_calibration), runs, at)

    @staticmethod
    def _own_forecast(comparison: Comparison, record: BaselineRecord) -> Forecast | None:
        """Return the forecast of the shown run, or None if its method needs a signal
        that was not recorded.
        """
        if record.survey is None:
            return None
        try:
            return simulate(
                record.survey, method_from(comparison.accelerated.method), record.psnr_calibration
            )
        except EngineError:
            return None

    def _painted_steps(self, values: Updates, method: dict[str, Any]) -> list[int]:
        mask, steps = values[self.parts.painted]
        return steps if mask and mask == method.get(MASK) else []

    @staticmethod
    def _useful_warm_up(record: BaselineRecord, method: Method, forecast: Forecast) -> int | None:
        """Return the longest warm-up that lets a step be cached, if only the warm-up prevents caching;
        otherwise None.
        """
        longest = method.to_dict().get("max_warmup_steps")
        if longest is None or any(
            call.mode != "C" or call.reason not in (Reason.WARM_UP, Reason.FIRST) for call in forecast.trace
        ):
            return None
        assert record.survey is not None
        for shorter in range(min(longest, len(forecast.schedule)) - 1, 0, -1):
            trace = simulate(record.survey, method.replaced(max_warmup_steps=shorter)).trace
            if any(call.mode != "C" for call in trace):
                return shorter
        return None

    # ---- events of the fields ----
    def on_knob(self, values: Updates) -> Updates:
        """Respond to a knob that was moved."""
        return self._answer(values, self.setting.raw_method(values))

    def on_text_knob(self, method: str, values: Updates) -> Updates:
        """Respond to a changed text knob of ``method``.

        If the server itself set the text, together with its recipe, there is nothing to do.
        """
        if values[self.parts.chosen] != method or self.setting.recipe_is_current(values):
            return {self.parts.recipe: gr.skip()}
        return self.on_knob(values)

    def on_steps(self, values: Updates) -> Updates:
        """Respond to a changed number of steps. No knob changes with the number of steps, so a recipe that is
        being typed stays.
        """
        recipe = (self.parts.recipe_text, self.parts.recipe)
        return {part: value for part, value in self.on_knob(values).items() if part not in recipe}

    def _answer(self, values: Updates, raw: dict[str, Any], *, top: float | None = None) -> Updates:
        """Update recipe, note and numbers to a setting, or report its error. The update makes one method and
        one plan.
        """
        try:
            method = method_from(raw)
            plan = form.plan_of(method, self._request(values))
        except EngineError as error:
            return {self.parts.status: statuses.failed(str(error))}
        return self.setting.follow_knobs(values, method, plan) | self.draw(values, method, plan, top=top)

    def _change(self, values: Updates, changes: dict[str, Any], *, top: float | None = None) -> Updates:
        """Change knobs of the chosen method."""
        raw = self.setting.raw_method(values)
        if not set(changes) <= set(raw):
            return {self.parts.status: gr.skip()}  # the shown run's method is not the chosen method
        knobs = self.setting.knobs(raw["name"])
        moved: Updates = {knobs[name]: value for name, value in changes.items()}
        return self._answer(values, raw | changes, top=top) | moved

    # ---- events of the timeline ----
    def on_limit(self, values: Updates, event: gr.EventData) -> Updates:
        """Respond to the threshold line being dragged."""
        return self._change(values, {LIMIT: event.value}, top=event.top)

    def on_fix(self, values: Updates, event: gr.EventData) -> Updates:
        """Respond to the banner's button: one knob takes the value that the button offered."""
        return self._change(values, {str(event.knob): event.value})

    def on_paint(self, values: Updates, event: gr.EventData) -> Updates:
        """Respond to steps that were forced by hand: the shown decisions become a mask that decides alone."""
        mask, (old_mask, old_steps) = str(event.mask), values[self.parts.painted]
        raw = self.setting.raw_method(values)
        earlier = old_steps if old_mask and old_mask == raw.get(MASK) else []
        marks = [mask, sorted({*earlier, *map(int, event.painted)})]
        values[self.parts.painted] = marks
        return self._change(values, self._mask_knobs(raw, mask)) | {self.parts.painted: marks}

    @staticmethod
    def _mask_knobs(raw: dict[str, Any], mask: str) -> dict[str, Any]:
        """Return the knobs that make a mask decide alone. Without a mask, the threshold decides."""
        policy = {POLICY: "static" if mask else "dynamic"} if POLICY in raw else {}
        return {MASK: mask} | policy

    def on_freeze(self, values: Updates) -> Updates:
        """Turn the decisions of this setting's last runs into one mask. Tell how many of the runs the mask
        equals.
        """
        raw, comparison = self.setting.raw_method(values), self._shown(values)
        if comparison is None or MASK not in raw:
            return {self.parts.status: gr.skip()}
        try:
            method = method_from(raw)
        except EngineError as error:
            return {self.parts.status: statuses.failed(str(error))}
        schedules = self._schedules_of_runs(values, comparison, method)
        measured = bool(schedules)
        if not measured:
            record = self.worker.record_of(comparison)
            if record.survey is None:
                return {self.parts.status: statuses.idle("Nothing to freeze: this setting has not run.")}
            schedules = [simulate(record.survey, method).schedules]
        mask, sentence = what_if_views.frozen_mask(schedules, measured=measured)
        return self._change(values, self._mask_knobs(raw, mask)) | {
            self.parts.status: statuses.idle(sentence),
            self.parts.painted: ["", []],
        }

    def _schedules_of_runs(
        self, values: Updates, comparison: Comparison, method: Method
    ) -> list[dict[str, str]]:
        """Return the schedules of this setting's runs on the same engine with the same number of steps, for
        any prompt.
        """
        same = (comparison.baseline.request.steps, comparison.baseline.engine)
        runs = [self.worker.comparison(key) for key in values[self.parts.done]]
        return [
            run.accelerated.schedules
            for run in runs
            if run
            and run.accelerated.method == method.to_dict()
            and (run.baseline.request.steps, run.baseline.engine) == same
        ]

    # ---- events of the dial, and updates after other changes ----
    def on_turn(self, values: Updates, event: gr.EventData) -> Updates:
        """Respond to the dial: the knobs move to the setting that meets the goal."""
        comparison = self._shown(values)
        record = self.worker.record_of(comparison) if comparison else BaselineRecord()
        if record.survey is None:
            return {self.parts.status: gr.skip()}
        settings = frontier(record.survey, record.psnr_calibration)
        forecast = what_if_views.best(settings, str(event.goal), float(event.value))
        if forecast is None:
            return {self.parts.status: gr.skip()}
        model, steps = values[self.parts.model], values[self.parts.steps]
        origin = values[self.parts.origin] or ""
        return self.setting.fill(model, steps, forecast.method, origin) | self._draw_raw(
            values, forecast.method
        )

    def watch(self, values: Updates) -> Iterator[Updates]:
        """After a comparison, show the recording's progress until the survey is there, or until it is clear
        that none will come.
        """
        comparison = self.worker.comparison(values[self.parts.shown])
        before = None
        while comparison is not None:
            record = self.worker.record_of(comparison)
            dial = self.dial(values, comparison, record, None)
            if dial != before:
                yield {self.parts.dial: dial}
                before = dial
            if record.survey is not None or not record.expected:
                return
            self.worker.wait(0.5)

    def again(self, values: Updates) -> Updates:
        """Show the numbers of the present setting, after a preset, a method, a recipe or a new survey.

        The error of a recipe that cannot be read stays on the page.
        """
        text = values.get(self.parts.recipe_text)
        skipped: Updates = {self.parts.stale: gr.skip()}
        if text is not None and not is_recipe(text.strip()):
            return skipped
        return self._draw_raw(values, self.setting.raw_method(values)) or skipped

    def _draw_raw(self, values: Updates, raw: dict[str, Any]) -> Updates:
        """Show the numbers of a setting, or report its error. Change nothing if no comparison is shown."""
        if self._shown(values) is None:
            return {}
        try:
            method = method_from(raw)
            return self.draw(values, method, form.plan_of(method, self._request(values)))
        except EngineError as error:
            return {self.parts.status: statuses.failed(str(error))}


def _recording_note(record: BaselineRecord) -> str:
    """Return the dial's note while the survey is missing. Return "" if no survey will come."""
    if not record.expected:
        return ""
    at = f", step {record.step} of {record.steps}" if record.step else ""
    return f"Analysing the baseline{at} … after that, knobs show estimates at once."
