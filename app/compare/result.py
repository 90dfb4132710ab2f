"""The right side of tab *Compare*: what a finished comparison shows."""

from __future__ import annotations

from typing import Any

import gradio as gr

from cache_engine import Comparison, difference

from .. import statuses, views
from ..components.difference import DifferenceValue
from ..controls import Updates
from ..engine.worker import Worker
from ..timeline import timeline_of
from . import contender, example
from .parts import Parts


class ResultPanel:
    """The right side of the tab, for one finished comparison."""

    def __init__(self, parts: Parts, worker: Worker) -> None:
        self.parts, self.worker = parts, worker
        self.outputs = [
            parts.shown,
            parts.headline,
            parts.pair,
            parts.left,
            parts.right,
            parts.heat,
            parts.difference,
            parts.times,
            parts.timeline,
            parts.runs,
            parts.stale,
            parts.against,
            parts.against_note,
            parts.equal,
            parts.versus,
        ][1:]

    def runs_on_baseline(self, done: list[str]) -> list[tuple[str, Comparison]]:
        """The runs on the newest run's baseline, newest first."""
        kept = [(key, found) for key in reversed(done) if (found := self.worker.comparison(key))]
        return [
            (key, one) for key, one in kept if one.baseline.baseline_key == kept[0][1].baseline.baseline_key
        ]

    def show(
        self, key: str, done: list[str], gain: float, published: dict[str, Any] | None = None
    ) -> Updates:
        """Everything that shows the comparison ``key``; nothing where it is not remembered any more."""
        one = self.worker.comparison(key)
        if one is None:
            return {self.parts.shown: gr.skip()}
        parts, rows = self.parts, self.runs_on_baseline(done)
        chosen = next((index for index, (other, _) in enumerate(rows) if other == key), None)
        before, after = one.baseline.image, one.accelerated.image
        return {
            parts.shown: key,
            parts.headline: views.headline(one, published=published),
            parts.pair: (before, after),
            parts.left: gr.Image(before, label="Baseline"),
            parts.right: after,
            parts.heat: difference(before, after, gain),
            parts.difference: views.difference_facts(one.quality, gain),
            parts.times: views.times(one),
            parts.timeline: timeline_of(one),
            parts.runs: views.runs([found for _, found in rows], chosen),
            parts.stale: contender.captions("Baseline", "Accelerated"),
            parts.against: "baseline",
            parts.against_note: statuses.idle(),
            parts.versus: gr.Column(visible=True),
            parts.equal: statuses.idle(contender.equal(one, self.fewer_steps_run(rows))),
        }

    @staticmethod
    def fewer_steps_run(rows: list[tuple[str, Comparison]]) -> Comparison | None:
        """The newest run of the plain model with fewer steps."""
        return next((run for _, run in rows if run.accelerated.method["name"] == "fewer_steps"), None)

    def restore_timeline(self, values: Updates) -> Updates:
        """The timeline back to the last whole result, or to the recorded one."""
        one = self.worker.comparison(values[self.parts.shown])
        return {self.parts.timeline: timeline_of(one) if one else example.timeline(example.example())}

    def change_gain(self, key: str, gain: float) -> tuple[Any, DifferenceValue]:
        one = self.worker.comparison(key) if key else example.example()
        picture = difference(one.baseline.image, one.accelerated.image, gain) if one else gr.skip()
        return picture, views.difference_facts(one.quality if one else None, gain)
