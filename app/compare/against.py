"""A second contender on the tab *Compare*: its picture takes the place of the baseline's, beside the
accelerated side.

Every contender runs on the baseline of the shown run, and its PSNR is measured against that baseline. Both
contenders are therefore measured in the same way.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator

import gradio as gr
from gradio.components import Component

from cache_engine import METHODS, Cancelled, Comparison, EngineError, Method, facts_of

from .. import statuses
from ..controls import AT_ONCE, QUIET, Updates
from ..engine.live import LiveComparison
from ..engine.worker import Worker
from ..form import FRONT
from ..presets import presets_for
from . import contender
from .parts import CompareParts, buttons
from .result import ResultPanel, runs_table


def choices() -> list[tuple[str, str]]:
    """Return the choices: the baseline, the plain model at the same compute, and every method with its first
    preset.
    """
    others = [name for name in (*FRONT, *METHODS) if name not in ("baseline", "fewer_steps")]
    return [
        ("Baseline", "baseline"),
        ("Fewer steps, same compute", "fewer_steps"),
        *((METHODS[name].title, name) for name in dict.fromkeys(others)),
    ]


class SecondContender:
    """Runs a contender if it has not run yet, and shows it on the left."""

    def __init__(self, parts: CompareParts, worker: Worker, result: ResultPanel) -> None:
        self.parts, self.worker, self.result = parts, worker, result
        self.outputs: list[Component] = [
            parts.pair,
            parts.left,
            parts.stale,
            parts.against,
            parts.against_note,
            parts.equal,
            parts.runs,
            parts.done,
            parts.job,
            parts.generate,
            parts.stop,
            parts.status,
        ]

    def wire(self) -> None:
        """Connect the list of contenders and its two buttons."""
        parts = self.parts
        inputs = {parts.shown, parts.done, parts.against, parts.model, parts.job}
        parts.against.input(self.select, inputs=inputs, outputs=self.outputs, **AT_ONCE)
        parts.show_against.click(self.run, inputs=inputs, outputs=self.outputs, **QUIET)
        parts.show_equal.click(self.run_equal, inputs=inputs, outputs=self.outputs, **QUIET)

    def select(self, values: Updates) -> Updates:
        """Show the chosen contender if it has run; otherwise describe it and its memory."""
        parts, comparison = self.parts, self.worker.comparison(values[self.parts.shown])
        if comparison is None:
            return {parts.against_note: statuses.idle("Generate first.")}
        if values[parts.against] == "baseline":
            return self.show(comparison, None)
        try:
            method = self._method(values[parts.against], comparison)
            other = self._earlier_run(values, comparison, method)
            if other is None:
                return {parts.against_note: statuses.idle(contender.planned(comparison, method))}
            return self.show(comparison, other)
        except EngineError as error:
            return {parts.against_note: statuses.failed(str(error))}

    def run_equal(self, values: Updates) -> Iterator[Updates]:
        """Run the plain model with as many steps as the accelerated side's compute allows."""
        values[self.parts.against] = "fewer_steps"
        yield from self.run(values)

    def run(self, values: Updates) -> Iterator[Updates]:
        """Run the chosen contender if it has not run yet, and show it."""
        parts, name = self.parts, values[self.parts.against]
        comparison = self.worker.comparison(values[parts.shown])
        if comparison is None or self.worker.busy_with(values[parts.job]):
            status = statuses.idle("Generate first: there is no run yet to compare against.")
            yield {parts.against: "baseline", parts.status: status}
            return
        if name == "baseline":
            yield self.show(comparison, None) | {parts.against: name}
            return
        try:
            method = self._method(name, comparison)
            other = self._earlier_run(values, comparison, method)
            if other is None:
                other = yield from self._run(values, comparison, method)
        except (EngineError, Cancelled) as error:
            stopped = isinstance(error, Cancelled)
            yield (
                buttons(parts, running=False)
                | self.show(comparison, None)
                | {
                    parts.against: "baseline",
                    parts.status: statuses.stopped() if stopped else statuses.failed(str(error)),
                }
            )
            return
        rows = self.result.runs_on_baseline(values[parts.done])
        yield (
            buttons(parts, running=False)
            | self.show(comparison, other)
            | {
                parts.against: name,
                parts.done: values[parts.done],
                parts.runs: runs_table(rows, values[parts.shown]),
                parts.status: statuses.idle(contender.sentence(comparison, other)),
            }
        )

    def _run(
        self, values: Updates, comparison: Comparison, method: Method
    ) -> Generator[Updates, None, Comparison | None]:
        """Run the contender, and draw the progress. Return its comparison."""
        parts, request = self.parts, comparison.baseline.request
        live = LiveComparison(method, facts_of(method.effective(request)))
        job = self.worker.submit(request, method)
        yield {parts.job: job.key, parts.against: method.name, **buttons(parts, running=True)}
        for events in self.worker.watch(job):
            live.take(events)
            yield {parts.status: live.status()}
        values[parts.done] = [*values[parts.done], job.key]
        return live.result

    def show(self, comparison: Comparison, other: Comparison | None) -> Updates:
        """Return the pictures, with the contender ``other`` or the baseline on the left."""
        parts, left = self.parts, (other.accelerated if other else comparison.baseline).image
        label = contender.title(other.accelerated.method) if other else "Baseline"
        after = contender.title(comparison.accelerated.method) if other else "Accelerated"
        updates: Updates = {
            parts.pair: (left, comparison.accelerated.image),
            parts.left: gr.Image(left, label=label),
            parts.stale: contender.captions(label, after),
            parts.against_note: statuses.idle(contender.sentence(comparison, other)),
        }
        if other is None or other.accelerated.method["name"] == "fewer_steps":
            updates[parts.equal] = statuses.idle(contender.equal(comparison, other))
        return updates

    def _method(self, name: str, comparison: Comparison) -> Method:
        """Return the chosen method: fewer steps at the same compute, or another method with its first preset
        for the model, or with its defaults.
        """
        if name == "fewer_steps":
            return contender.same_compute(comparison)
        preset = next(iter(presets_for(comparison.baseline.request.model, name).values()), None)
        return preset.setting if preset else METHODS[name]()

    def _earlier_run(self, values: Updates, comparison: Comparison, method: Method) -> Comparison | None:
        """Return the newest run of the method on exactly this baseline."""
        runs = [self.worker.comparison(key) for key in reversed(values[self.parts.done])]
        return next(
            (
                run
                for run in runs
                if run
                and run.accelerated.method == method.to_dict()
                and run.baseline.baseline_key == comparison.baseline.baseline_key
            ),
            None,
        )
