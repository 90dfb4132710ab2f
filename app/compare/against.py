"""A second contender on tab *Compare*: what the accelerated side is held against in the pictures.

Whoever stands there, it is run on the same baseline and its PSNR is taken to the same baseline: one measure
for both.
"""

from __future__ import annotations

from collections.abc import Iterator

import gradio as gr

from cache_engine import METHODS, Cancelled, Comparison, EngineError, Method, facts_of

from .. import statuses, views
from ..controls import AT_ONCE, QUIET, Updates
from ..engine.live import LiveComparison
from ..engine.worker import Worker
from ..form import FRONT
from ..presets import presets_for
from . import contender
from .parts import Parts, buttons
from .result import ResultPanel


def choices() -> list[tuple[str, str]]:
    """The baseline, the plain model at the same compute, or any method with its preset."""
    others = [name for name in (*FRONT, *METHODS) if name not in ("baseline", "fewer_steps")]
    return [
        ("Baseline", "baseline"),
        ("Fewer steps, same compute", "fewer_steps"),
        *((METHODS[name].title, name) for name in dict.fromkeys(others)),
    ]


class SecondContender:
    """Runs the contender where it was not run yet, and shows it on the left."""

    def __init__(self, parts: Parts, worker: Worker, result: ResultPanel) -> None:
        self.parts, self.worker, self.result = parts, worker, result
        self.outputs = [
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
        parts = self.parts
        inputs = {parts.shown, parts.done, parts.against, parts.model, parts.job}
        parts.against.input(self.selected, inputs=inputs, outputs=self.outputs, **AT_ONCE)
        parts.show_against.click(self.chosen, inputs=inputs, outputs=self.outputs, **QUIET)
        parts.show_equal.click(self.equal, inputs=inputs, outputs=self.outputs, **QUIET)

    def selected(self, values: Updates) -> Updates:
        """Show who was run already; of the others say what they are and remember, before the click that runs
        them.
        """
        parts, one = self.parts, self.worker.comparison(values[self.parts.shown])
        if one is None:
            return {parts.against_note: statuses.idle("Generate first.")}
        try:
            if values[parts.against] == "baseline":
                return self.shown(one, None)
            method = self._method(values[parts.against], one)
            found = self._known(values, one, method)
            return (
                self.shown(one, found)
                if found
                else {parts.against_note: statuses.idle(contender.planned(one, method))}
            )
        except EngineError as error:
            return {parts.against_note: statuses.failed(str(error))}

    def equal(self, values: Updates) -> Iterator[Updates]:
        """The plain model with as many steps as the accelerated side's compute pays for."""
        values[self.parts.against] = "fewer_steps"
        yield from self.chosen(values)

    def chosen(self, values: Updates) -> Iterator[Updates]:
        parts, name = self.parts, values[self.parts.against]
        one = self.worker.comparison(values[parts.shown])
        if one is None or self.worker.busy_with(values[parts.job]):
            yield {
                parts.against: "baseline",
                parts.status: statuses.idle("Generate first: there is nothing yet to hold against."),
            }
            return
        if name == "baseline":
            yield self.shown(one, None) | {parts.against: name}
            return
        try:
            method = self._method(name, one)
            found = self._known(values, one, method)
            if found is None:
                live = LiveComparison(method, facts_of(method.effective(one.baseline.request)))
                job = self.worker.submit(one.baseline.request, method)
                yield {parts.job: job.key, parts.against: name, **buttons(parts, running=True)}
                for events in self.worker.watch(job):
                    live.take(events)
                    yield {parts.status: live.status()}
                found = self.worker.comparison(job.key)
                values[parts.done] = [*values[parts.done], job.key]
        except (EngineError, Cancelled) as error:
            said = statuses.stopped() if isinstance(error, Cancelled) else statuses.failed(str(error))
            yield (
                buttons(parts, running=False)
                | self.shown(one, None)
                | {parts.against: "baseline", parts.status: said}
            )
            return
        rows = self.result.runs_on_baseline(values[parts.done])
        at = next((index for index, (key, _) in enumerate(rows) if key == values[parts.shown]), None)
        yield (
            buttons(parts, running=False)
            | self.shown(one, found)
            | {
                parts.against: name,
                parts.done: values[parts.done],
                parts.runs: views.runs([run for _, run in rows], at),
                parts.status: statuses.idle(contender.sentence(one, found)),
            }
        )

    def shown(self, one: Comparison, other: Comparison | None) -> Updates:
        """The pictures with the contender, or the baseline, on the left."""
        parts, left = self.parts, (other.accelerated if other else one.baseline).image
        label = contender.title(other.accelerated.method) if other else "Baseline"
        after = contender.title(one.accelerated.method) if other else "Accelerated"
        return {
            parts.pair: (left, one.accelerated.image),
            parts.left: gr.Image(left, label=label),
            parts.stale: contender.captions(label, after),
            parts.against_note: statuses.idle(contender.sentence(one, other)),
            **(
                {parts.equal: statuses.idle(contender.equal(one, other))}
                if other is None or other.accelerated.method["name"] == "fewer_steps"
                else {}
            ),
        }

    def _method(self, name: str, one: Comparison | None) -> Method:
        """Fewer steps at the accelerated side's compute; of the others the first preset for the model, or
        their defaults.
        """
        if name == "fewer_steps" and one is not None:
            return contender.same_compute(one)
        preset = next(iter(presets_for(one.baseline.request.model, name).values()), None) if one else None
        return preset.setting if preset else METHODS[name]()

    def _known(self, values: Updates, one: Comparison, method: Method) -> Comparison | None:
        """A run of it on this very baseline."""
        found = [self.worker.comparison(key) for key in reversed(values[self.parts.done])]
        return next(
            (
                run
                for run in found
                if run
                and run.accelerated.method == method.to_dict()
                and run.baseline.baseline_key == one.baseline.baseline_key
            ),
            None,
        )
