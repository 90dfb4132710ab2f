"""Live what-if on tab *Compare*: knobs, threshold line, paint, freeze and dial answer from the baseline's
record, without a run.

Handlers simulate, which is numpy and takes about a millisecond; the record was made by the worker's thread.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from cache_engine import (
    Comparison,
    EngineError,
    Forecast,
    Method,
    cache_bytes,
    facts_of,
    frontier,
    is_recipe,
    method_from,
    simulate,
)

from .. import statuses, views
from ..components.dial import DialValue
from ..controls import Updates
from ..engine.recording_queue import BaselineRecord
from ..engine.worker import Worker
from ..timeline import LIMIT, MASK, timeline_of
from . import what_if_views
from .parts import Parts
from .result import ResultPanel
from .setting import SettingFields

STATIC = {"steps_computation_policy": "static"}


class WhatIf:
    """What a setting would do to the shown comparison's baseline."""

    def __init__(self, parts: Parts, worker: Worker, setting: SettingFields, result: ResultPanel) -> None:
        self.parts, self.worker, self.setting, self.result = parts, worker, setting, result
        self.drawn_outputs = [parts.headline, parts.timeline, parts.dial, parts.stale, parts.status]

    # ---- drawing ----
    def drawn(self, values: Updates, described: dict[str, Any], *, top: float | None = None) -> Updates:
        """The result for a setting: measured where it is the shown run's own, expected where the record
        can tell, else as it is.
        """
        one = self._shown(values)
        if one is None:
            return {}
        record = self.worker.record_of(one)
        try:
            method = method_from(described)
            if method.to_dict() == one.accelerated.method:
                return self._measured(values, one, record, top)
            if record.survey is None:
                return {
                    self.parts.status: statuses.unrun(
                        "Not run yet.", None, alone=self._alone_runs(values, record)
                    )
                }
            forecast = simulate(record.survey, method, record.psnr_calibration)
        except EngineError as error:
            return {self.parts.status: statuses.failed(str(error))}
        parts, cache = self.parts, self._cache(one, method, forecast)
        view = what_if_views.steps(
            forecast,
            one,
            top=top,
            painted=self._painted(values, described),
            warm_up=self._warm_up(record, method, forecast),
        )
        took = one.baseline.seconds.denoise / forecast.speedup if forecast.tflops is not None else None
        return {
            parts.headline: what_if_views.headline(forecast, one, cache=cache),
            parts.timeline: view,
            parts.stale: what_if_views.stale(one, True),
            parts.dial: self.dial(values, one, record, forecast),
            parts.status: statuses.unrun("WhatIf, not run.", took, alone=self._alone_runs(values, record)),
        }

    def _alone_runs(self, values: Updates, record: BaselineRecord) -> bool:
        """Whether the next run finds its baseline."""
        return bool(record.reusable and values[self.parts.locked] and not values[self.parts.both])

    def _shown(self, values: Updates) -> Comparison | None:
        """The comparison that is shown, unless another is on its way or the fields ask for another kind of
        run.
        """
        one = self.worker.comparison(values[self.parts.shown])
        if one is None or self.worker.busy_with(values[self.parts.job]):
            return None
        request = one.baseline.request
        return (
            one
            if (request.model, request.steps) == (values[self.parts.model], values[self.parts.steps])
            else None
        )

    def _measured(
        self, values: Updates, one: Comparison, record: BaselineRecord, top: float | None
    ) -> Updates:
        parts = self.parts
        view = timeline_of(one, top=top, painted=self._painted(values, one.accelerated.method))
        published = self.setting.published(values, one.accelerated.method)
        return {
            parts.headline: views.headline(one, published=published),
            parts.timeline: view,
            parts.stale: what_if_views.stale(one, False),
            parts.dial: self.dial(values, one, record, None),
        }

    def dial(
        self, values: Updates, one: Comparison, record: BaselineRecord, at: Forecast | None
    ) -> DialValue:
        """The dial with every run on this baseline; ``at``: where the knobs stand, None: where the shown run
        does.
        """
        if record.survey is None:
            return what_if_views.waiting(_told(record))
        if at is None:
            at = self._stands(one, record)
        runs = [run for _, run in self.result.runs_on_baseline(values[self.parts.done])]
        return what_if_views.dial(frontier(record.survey, record.psnr_calibration), runs, at)

    @staticmethod
    def _stands(one: Comparison, record: BaselineRecord) -> Forecast | None:
        """The shown run's own forecast; None for a method that needs what was not recorded."""
        try:
            return (
                simulate(record.survey, method_from(one.accelerated.method), record.psnr_calibration)
                if record.survey
                else None
            )
        except EngineError:
            return None

    def _painted(self, values: Updates, described: dict[str, Any]) -> list[int]:
        mask, steps = values[self.parts.painted]
        return steps if mask and mask == described.get(MASK) else []

    @staticmethod
    def _warm_up(record: BaselineRecord, method: Method, forecast: Forecast) -> int | None:
        """The longest warm-up with which something would be cached, where it is the warm-up alone that
        forbids it.
        """
        longest = method.to_dict().get("max_warmup_steps")
        if longest is None or any(
            call.mode != "C" or call.reason not in ("warm-up", "first") for call in forecast.trace
        ):
            return None
        assert record.survey is not None
        for shorter in range(min(longest, len(forecast.schedule)) - 1, 0, -1):
            tried = method.replaced(max_warmup_steps=shorter)
            if any(call.mode != "C" for call in simulate(record.survey, tried).trace):
                return shorter
        return None

    @staticmethod
    def _cache(one: Comparison, method: Method, forecast: Forecast) -> int:
        request = method.effective(one.baseline.request)
        size = 4 if one.baseline.engine.dtype == "float32" else 2
        return cache_bytes(
            request, method.plan(facts_of(request)), computed=max(forecast.steps_computed, 1), element=size
        )

    # ---- answers ----
    def moved(self, values: Updates) -> Updates:
        """A knob was moved."""
        return self._answer(values, self.setting.moved(values), self.setting.raw_method(values))

    def typed(self, method: str, values: Updates) -> Updates:
        """A text of the method's knobs is another. It may have been put in, with the recipe that it belongs
        to: then all is said.
        """
        chosen = values[self.parts.chosen] == method
        return (
            self.moved(values)
            if chosen and not self.setting.is_told(values)
            else {self.parts.recipe: gr.skip()}
        )

    def stepped(self, values: Updates) -> Updates:
        """The steps were changed. That moves no knob, so the recipe, which may be typed at this moment, is
        left alone.
        """
        return {
            part: now
            for part, now in self.moved(values).items()
            if part not in (self.parts.recipe_text, self.parts.recipe)
        }

    def _answer(
        self, values: Updates, told: Updates, described: dict[str, Any], *, top: float | None = None
    ) -> Updates:
        """What the setting's own components become, and the result where the setting is whole."""
        status = told.get(self.parts.status)
        if isinstance(status, dict) and status["kind"] == "error":
            return told
        return told | self.drawn(values, described, top=top)

    def _turned(self, values: Updates, changes: dict[str, Any], *, top: float | None = None) -> Updates:
        if not set(changes) <= set(self.setting.raw_method(values)):
            return {self.parts.status: gr.skip()}  # the shown run's method is not the chosen one
        described, told = self.setting.turned(values, changes)
        return self._answer(values, told, described, top=top)

    def limited(self, values: Updates, event: gr.EventData) -> Updates:
        """The threshold's line was dragged to a place."""
        return self._turned(values, {LIMIT: event.value}, top=event.top)

    def fixed(self, values: Updates, event: gr.EventData) -> Updates:
        """The banner's button: one knob to the value that it offered."""
        return self._turned(values, {str(event.knob): event.value})

    def painted(self, values: Updates, event: gr.EventData) -> Updates:
        """Cells were forced: what is shown becomes a mask that decides alone."""
        mask, before = str(event.mask), values[self.parts.painted]
        described = self.setting.raw_method(values)
        kept = before[1] if before[0] and before[0] == described.get(MASK) else []
        values[self.parts.painted] = marks = [mask, sorted({*kept, *map(int, event.painted)})]
        return self._turned(values, {MASK: mask} | self._alone(described, mask)) | {self.parts.painted: marks}

    @staticmethod
    def _alone(described: dict[str, Any], mask: str) -> dict[str, Any]:
        known = "steps_computation_policy" in described
        return {} if not known else STATIC if mask else {"steps_computation_policy": "dynamic"}

    def frozen(self, values: Updates) -> Updates:
        """The decisions of this setting's last runs as one mask, and the share of runs that it equals."""
        described = self.setting.raw_method(values)
        one = self._shown(values)
        if one is None or MASK not in described:
            return {self.parts.status: gr.skip()}
        try:
            method = method_from(described).to_dict()
        except EngineError as error:
            return {self.parts.status: statuses.failed(str(error))}
        found = [self.worker.comparison(key) for key in values[self.parts.done]]
        runs = [
            run.accelerated.schedules
            for run in found
            if run
            and run.accelerated.method == method
            and (run.baseline.request.steps, run.baseline.engine)
            == (one.baseline.request.steps, one.baseline.engine)
        ]
        if not runs and (survey := self.worker.record_of(one).survey) is None:
            return {self.parts.status: statuses.idle("Nothing to freeze: this setting has not been run.")}
        mask, said = what_if_views.frozen(
            runs or [simulate(survey, method_from(described)).schedules], measured=bool(runs)
        )
        answer = self._turned(values, {MASK: mask} | self._alone(described, mask))
        return answer | {self.parts.status: statuses.idle(said), self.parts.painted: ["", []]}

    def turn(self, values: Updates, event: gr.EventData) -> Updates:
        """The dial: the setting that meets the wish, and the knobs follow."""
        one = self._shown(values)
        record = self.worker.record_of(one) if one else BaselineRecord()
        if one is None or record.survey is None:
            return {self.parts.status: gr.skip()}
        found = what_if_views.solved(
            frontier(record.survey, record.psnr_calibration), str(event.goal), float(event.value)
        )
        if found is None:
            return {self.parts.status: gr.skip()}
        origin = values[self.parts.origin] or ""
        moved = self.setting.fill(values[self.parts.model], values[self.parts.steps], found.method, origin)
        return moved | self.drawn(values, found.method)

    # ---- the record ----
    def watched(self, values: Updates) -> Iterator[Updates]:
        """After a comparison: what becomes of its record, until it is there or is not to be."""
        one = self.worker.comparison(values[self.parts.shown])
        before = None
        while one is not None:
            record = self.worker.record_of(one)
            told = (
                what_if_views.waiting(_told(record))
                if record.survey is None
                else self.dial(values, one, record, None)
            )
            if told != before:
                yield {self.parts.dial: told}
                before = told
            if record.survey is not None or not record.expected:
                return
            self.worker.wait(0.5)

    def again(self, values: Updates) -> Updates:
        """The setting as it stands is judged: what was moved while there was no record, or by a preset, a
        method or a recipe.

        A recipe that cannot be read has been complained about, and the complaint stays.
        """
        text = values.get(self.parts.recipe_text)
        if text is not None and not is_recipe(text.strip()):
            return {self.parts.stale: gr.skip()}
        return self.drawn(values, self.setting.raw_method(values)) or {self.parts.stale: gr.skip()}


def _told(record: BaselineRecord) -> str:
    """What the dial's place says while there is no record."""
    if not record.expected:
        return ""
    at = f", step {record.step} of {record.steps}" if record.step else ""
    return f"Recording the baseline once more{at}: then knobs answer without a run."
