"""The right side of the tab *Compare*: numbers and pictures of a finished comparison."""

from __future__ import annotations

from typing import Any

import gradio as gr
from gradio.blocks import BlockContext
from gradio.components import Component

from cache_engine import Comparison, difference

from .. import statuses, views
from ..components.difference import DifferenceValue
from ..controls import Updates
from ..engine.worker import Worker
from ..timeline import timeline_of
from . import contender, example
from .parts import CompareParts


class ResultPanel:
    """Shows a finished comparison."""

    def __init__(self, parts: CompareParts, worker: Worker) -> None:
        self.parts, self.worker = parts, worker
        self.outputs: list[Component | BlockContext] = [
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
        ]  # the results beside ``shown``

    def runs_on_baseline(self, done: list[str]) -> list[tuple[str, Comparison]]:
        """Return key and comparison of each run on the newest run's baseline, the newest first."""
        runs = [(key, run) for key in reversed(done) if (run := self.worker.comparison(key))]
        return [
            (key, run) for key, run in runs if run.baseline.baseline_key == runs[0][1].baseline.baseline_key
        ]

    def show(
        self, key: str, done: list[str], gain: float, published: dict[str, Any] | None = None
    ) -> Updates:
        """Return all updates that show the comparison ``key``. Return no update if the worker has forgotten
        the comparison.

        published: figures that a source printed for this setting.
        """
        comparison = self.worker.comparison(key)
        if comparison is None:
            return {self.parts.shown: gr.skip()}
        parts, rows = self.parts, self.runs_on_baseline(done)
        before, after = comparison.baseline.image, comparison.accelerated.image
        return {
            parts.shown: key,
            parts.headline: views.headline(comparison, published=published),
            parts.pair: (before, after),
            parts.left: gr.Image(before, label="Baseline"),
            parts.right: after,
            parts.heat: difference(before, after, gain),
            parts.difference: views.difference_facts(comparison.quality, gain),
            parts.times: views.times(comparison),
            parts.timeline: timeline_of(comparison),
            parts.runs: runs_table(rows, key),
            parts.stale: contender.captions("Baseline", "Accelerated"),
            parts.against: "baseline",
            parts.against_note: statuses.idle(),
            parts.versus: gr.Column(visible=True),
            parts.equal: statuses.idle(contender.equal(comparison, newest_with_fewer_steps(rows))),
        }

    def restore_timeline(self, values: Updates) -> Updates:
        """Set the timeline back to the shown comparison, or to the recorded example."""
        comparison = self.worker.comparison(values[self.parts.shown])
        if comparison is None:
            return {self.parts.timeline: example.timeline(example.example())}
        return {self.parts.timeline: timeline_of(comparison)}

    def change_gain(self, key: str, gain: float) -> tuple[Any, DifferenceValue]:
        """Return the difference picture and its scale at another gain."""
        comparison = self.worker.comparison(key) if key else example.example()
        if comparison is None:
            return gr.skip(), views.difference_facts(None, gain)
        picture = difference(comparison.baseline.image, comparison.accelerated.image, gain)
        return picture, views.difference_facts(comparison.quality, gain)


def runs_table(rows: list[tuple[str, Comparison]], shown: str) -> Any:
    """Return the table of runs, with the shown run marked."""
    chosen = next((index for index, (key, _) in enumerate(rows) if key == shown), None)
    return views.runs([run for _, run in rows], chosen)


def newest_with_fewer_steps(rows: list[tuple[str, Comparison]]) -> Comparison | None:
    """Return the newest run of the plain model with fewer steps."""
    return next((run for _, run in rows if run.accelerated.method["name"] == "fewer_steps"), None)
