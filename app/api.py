"""Endpoints for programs (gradio_client): /compare streams, /cancel, /simulate, /presets, /health.

/compare takes one JSON argument, ``{"request": {...}, "method": {"name", knobs...}}``; its first event carries the job's key.
/simulate takes ``{"job": key, "method": {...}}``: what the record of that comparison's baseline says of another setting.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from cache_engine import Cancelled, EngineError, Progress, described, facts_of, foretold, simulate

from . import form
from .live import Live
from .presets import presets
from .worker import Worker

EVENT = dict[str, Any]


def build(worker: Worker) -> None:
    """Register them; they have no components on the page."""

    def compare(job: dict[str, Any]) -> Iterator[EVENT]:
        """A comparison as a stream of events; the last one has "event": "comparison"."""
        try:
            if not isinstance(job, dict) or set(job) - {"request", "method"}:
                raise EngineError('job: not valid; give {"request": {...}, "method": {"name": ..., knobs...}}.')
            request = form.request_from(job.get("request"))
            method = form.method_of(job.get("method"), request)
            live = Live(method, facts_of(method.effective(request)))
            waiting = worker.submit(request, method)
        except EngineError as error:
            raise gr.Error(str(error), print_exception=False) from None
        yield {"event": "job", "job": waiting.key}
        try:
            for events in worker.watch(waiting):
                live.take(events)
                progress = [event for event in events if isinstance(event, Progress)]
                if progress:
                    yield _progress(progress[-1])
                else:
                    yield {"event": "waiting", "ahead": live.waiting.ahead if live.waiting else 0}
        except Cancelled:
            yield {"event": "cancelled"}
            return
        except EngineError as error:
            raise gr.Error(str(error), print_exception=False) from None
        if live.result is not None:
            yield {"event": "comparison", **described(live.result), "baseline_reused": live.result.baseline_reused}

    def judge(asked: dict[str, Any]) -> EVENT:
        """What to expect of a setting, without a run. The record is made when the engine has nothing else to do."""
        try:
            if not isinstance(asked, dict) or set(asked) != {"job", "method"}:
                raise EngineError('simulate: not valid; give {"job": ..., "method": {"name": ..., knobs...}}.')
            one = worker.kept(str(asked["job"]))
            if one is None:
                raise EngineError("job: no finished comparison has this key; take it from the first event of /compare.")
            record, method = worker.record(one), form.method_of(asked["method"], one.baseline.request)
            if record.survey is None:
                raise EngineError("simulate: the baseline is not recorded yet; ask again in a moment." if record.expected else
                                  "simulate: the baseline has no record; compare again to have one made.")
            return foretold(simulate(record.survey, method, record.likeness))
        except EngineError as error:
            raise gr.Error(str(error), print_exception=False) from None

    def cancel(job: str) -> bool:
        """Stop a job within one step. False where no such job is on its way."""
        return worker.cancel(str(job))

    def list_presets() -> list[EVENT]:
        """Every preset: title, description, models, method, published figures."""
        return [preset.model_dump(mode="json") for preset in presets()]

    def health() -> EVENT:
        """Whether the engine is loaded, what runs, and how many wait."""
        return worker.state()

    gr.api(compare, api_name="compare", concurrency_limit=24)
    gr.api(cancel, api_name="cancel", queue=False)
    gr.api(judge, api_name="simulate", queue=False)
    gr.api(list_presets, api_name="presets", queue=False)
    gr.api(health, api_name="health", queue=False)


def _progress(progress: Progress) -> EVENT:
    call = progress.call._asdict() if progress.call else None
    return {"event": "progress", "side": progress.side, "stage": progress.stage, "done": progress.done, "total": progress.total,
            "message": progress.message, "call": call}
