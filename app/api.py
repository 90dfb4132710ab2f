"""Endpoints for programs (gradio_client): /compare and /tune stream, /cancel, /simulate, /presets, /health.

/compare takes one JSON argument, ``{"request": {...}, "method": {"name", knobs...}}``; with "repeats" each
side is timed several times. The first event of /compare contains the job's key. /tune takes ``{"request",
"prompts", "acceptance", "goal", ...}``: the fields of ``TuneTask``, and "minutes". A tune's job continues
when its client disconnects; the page lists the job, and /cancel stops it. /simulate takes ``{"job": key,
"method": {...}}`` and estimates the method from the survey of that job's baseline.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import gradio as gr

from cache_engine import (
    Cancelled,
    EngineError,
    Event,
    Progress,
    TuneTask,
    comparison_json,
    facts_of,
    forecast_json,
    repeats_of,
    simulate,
)

from . import form
from .engine.compare_job import ComparisonJob, JobStatus
from .engine.kinds import tune_from
from .engine.live import LiveComparison
from .engine.store import ON_ITS_WAY
from .engine.worker import Worker
from .pictures import with_urls
from .presets import presets
from .tune.form import count_settings, tune_title

ApiEvent = dict[str, Any]
MOST_STREAMS = 24


@contextmanager
def errors_as_sentences() -> Iterator[None]:
    """Pass an EngineError's sentence on to the client."""
    try:
        yield
    except EngineError as error:
        raise gr.Error(str(error), print_exception=False) from None


class Endpoints:
    """The functions behind the endpoints. gradio shows their docstrings to clients."""

    def __init__(self, worker: Worker) -> None:
        self.worker = worker

    def compare(self, job: dict[str, Any]) -> Iterator[ApiEvent]:
        """Stream a comparison's events. The last event has "event": "comparison"."""
        with errors_as_sentences():
            submitted, live = self._submit(job)
            yield {"event": "job", "job": submitted.key}
            try:
                for events in self.worker.watch(submitted):
                    live.take(events)
                    yield _progress(events, live)
            except Cancelled:
                yield {"event": "cancelled"}
                return
        if live.result is not None:
            yield {
                "event": "comparison",
                **comparison_json(live.result),
                "baseline_reused": live.result.baseline_reused,
            }

    def _submit(self, job: dict[str, Any]) -> tuple[ComparisonJob, LiveComparison]:
        if not isinstance(job, dict) or set(job) - {"request", "method", "repeats"}:
            raise EngineError('job: not valid; give {"request": {...}, "method": {"name": ..., knobs...}}.')
        request = form.request_from(job.get("request"))
        method = form.method_of(job.get("method"), request)
        live = LiveComparison(method, facts_of(method.effective(request)))
        return self.worker.submit(request, method, repeats_of(job.get("repeats", 1))), live

    def simulate(self, asked: dict[str, Any]) -> ApiEvent:
        """Estimate a method without running it. The baseline's survey is recorded as soon as the engine is
        idle.
        """
        with errors_as_sentences():
            if not isinstance(asked, dict) or set(asked) != {"job", "method"}:
                raise EngineError(
                    'simulate: not valid; give {"job": ..., "method": {"name": ..., knobs...}}.'
                )
            comparison = self.worker.comparison(str(asked["job"]))
            if comparison is None:
                raise EngineError(
                    "job: no finished comparison has this key; take it from the first event of /compare."
                )
            record = self.worker.record_of(comparison)
            method = form.method_of(asked["method"], comparison.baseline.request)
            if record.survey is None:
                raise EngineError(
                    "simulate: the baseline is not recorded yet; ask again in a moment."
                    if record.expected
                    else "simulate: the baseline has no survey; run the comparison again to record a survey."
                )
            return forecast_json(simulate(record.survey, method, record.psnr_calibration))

    def tune(self, asked: dict[str, Any]) -> Iterator[ApiEvent]:
        """Stream a tune's progress. The last event is "tuned", or "ended" if the job
        was stopped or failed.
        """
        long = self.worker.long
        with errors_as_sentences():
            checked, minutes = _tune_task(asked)
            key = long.add("tune", tune_title(checked), checked, minutes)
            yield {"event": "job", "job": key}
            for job in long.watch(key):  # raises EngineError if the job was removed since the last look
                if job.state in ON_ITS_WAY:
                    yield {
                        "event": "progress",
                        "state": job.state,
                        "doing": job.said,
                        "made": job.made,
                        "left": job.left,
                    }
                else:
                    yield {
                        "event": "tuned" if job.state == "done" else "ended",
                        "state": job.state,
                        "said": job.said,
                        **with_urls(long.snapshot(key) or {}),
                    }

    def cancel(self, job: str) -> bool:
        """Stop a job within one step. Returns false if no such job runs or waits."""
        return self.worker.cancel(str(job)) or self.worker.long.stop(str(job))

    def presets(self) -> list[ApiEvent]:
        """List the presets: title, description, models, method, published figures."""
        return [preset.model_dump(mode="json") for preset in presets()]

    def health(self) -> ApiEvent:
        """Say whether the engine is loaded, which model runs, and how many jobs wait."""
        return self.worker.state()


def build(worker: Worker) -> None:
    """Register the endpoints. The endpoints have no components on the page."""
    endpoints = Endpoints(worker)
    gr.api(endpoints.compare, api_name="compare", concurrency_limit=MOST_STREAMS)
    gr.api(endpoints.tune, api_name="tune", concurrency_limit=MOST_STREAMS)
    gr.api(endpoints.cancel, api_name="cancel", queue=False)
    gr.api(endpoints.simulate, api_name="simulate", queue=False)
    gr.api(endpoints.presets, api_name="presets", queue=False)
    gr.api(endpoints.health, api_name="health", queue=False)


def _tune_task(task: dict[str, Any]) -> tuple[TuneTask, float | None]:
    """Return a checked task and its budget in minutes. Raises EngineError for a task that is not valid."""
    if not isinstance(task, dict):
        raise EngineError(
            'tune: not valid; give {"request": {...}, "prompts": [...], '
            '"goal": {"kind": "close", "value": 30}}.'
        )
    fields = dict(task)
    minutes = fields.pop("minutes", None)
    number = isinstance(minutes, int | float) and not isinstance(minutes, bool)
    if minutes is not None and not (number and 0 < minutes <= 10_000):
        raise EngineError(f"minutes: {minutes!r} is not valid; give a number from 0 to 10000.")
    prompts, request = fields.get("prompts"), fields.get("request")
    if isinstance(request, dict):
        first = prompts[0] if isinstance(prompts, list) and prompts else ""
        request = {"prompt": first, **request}
    fields["request"] = form.request_from(request).model_dump()
    checked = tune_from(fields)
    count_settings(checked)  # refuses ranges that cannot be read
    return checked, minutes


def _progress(events: tuple[Event | JobStatus, ...], live: LiveComparison) -> ApiEvent:
    """Return the newest progress among the events, or else the job's place in the queue."""
    progress = next((event for event in reversed(events) if isinstance(event, Progress)), None)
    if progress is None:
        return {"event": "waiting", "ahead": live.waiting.ahead if live.waiting else 0}
    return {
        "event": "progress",
        "side": progress.side,
        "stage": progress.stage,
        "done": progress.done,
        "total": progress.total,
        "message": progress.message,
        "call": progress.call._asdict() if progress.call else None,
    }
