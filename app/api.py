"""Endpoints for programs (gradio_client): /compare and /tune stream, /cancel, /simulate, /presets, /health.

/compare takes one JSON argument, ``{"request": {...}, "method": {"name", knobs...}}``, and "repeats" for
several timed runs of each side; its first event carries the job's key. /tune takes ``{"request", "prompts",
/tune takes ``{"request", "prompts", "acceptance", "goal", ...}``: the fields of ``TuneTask``, and "minutes".
is listed on the page, and /cancel stops it. /simulate takes ``{"job": key, "method": {...}}``: what the
record of that comparison's baseline says of another setting.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr

from cache_engine import (
    Cancelled,
    EngineError,
    Progress,
    comparison_json,
    facts_of,
    forecast_json,
    repeats_of,
    simulate,
)

from . import form
from .engine.kinds import tune_from
from .engine.live import LiveComparison
from .engine.longjobs import ON_ITS_WAY
from .engine.worker import Worker
from .presets import presets
from .tune.form import count, tune_title

EVENT = dict[str, Any]


def build(worker: Worker) -> None:
    """Register them; they have no components on the page."""

    def compare(job: dict[str, Any]) -> Iterator[EVENT]:
        """A comparison as a stream of events; the last one has "event": "comparison"."""
        try:
            if not isinstance(job, dict) or set(job) - {"request", "method", "repeats"}:
                raise EngineError(
                    'job: not valid; give {"request": {...}, "method": {"name": ..., knobs...}}.'
                )
            request = form.request_from(job.get("request"))
            method = form.method_of(job.get("method"), request)
            live = LiveComparison(method, facts_of(method.effective(request)))
            waiting = worker.submit(request, method, repeats_of(job.get("repeats", 1)))
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
            yield {
                "event": "comparison",
                **comparison_json(live.result),
                "baseline_reused": live.result.baseline_reused,
            }

    def judge(asked: dict[str, Any]) -> EVENT:
        """What to expect of a setting, without a run. The record is made when the engine has nothing else to
        do.
        """
        try:
            if not isinstance(asked, dict) or set(asked) != {"job", "method"}:
                raise EngineError(
                    'simulate: not valid; give {"job": ..., "method": {"name": ..., knobs...}}.'
                )
            one = worker.comparison(str(asked["job"]))
            if one is None:
                raise EngineError(
                    "job: no finished comparison has this key; take it from the first event of /compare."
                )
            record, method = worker.record_of(one), form.method_of(asked["method"], one.baseline.request)
            if record.survey is None:
                raise EngineError(
                    "simulate: the baseline is not recorded yet; ask again in a moment."
                    if record.expected
                    else "simulate: the baseline has no record; compare again to have one made."
                )
            return forecast_json(simulate(record.survey, method, record.psnr_calibration))
        except EngineError as error:
            raise gr.Error(str(error), print_exception=False) from None

    def tune(asked: dict[str, Any]) -> Iterator[EVENT]:
        """A tune as a stream of standings; the last one has "event": "tuned", or "ended" where it was
        stopped or failed.
        """
        try:
            if not isinstance(asked, dict):
                raise EngineError(
                    'tune: not valid; give {"request": {...}, "prompts": [...], "goal": {"kind": "close", '
                    '"value": 30}}.'
                )
            fields = dict(asked)
            minutes = fields.pop("minutes", None)
            if minutes is not None and not (isinstance(minutes, int | float) and 0 < minutes <= 10_000):
                raise EngineError(f"minutes: {minutes!r} is not valid; give a number from 0 to 10000.")
            prompts = fields.get("prompts")
            first = prompts[0] if isinstance(prompts, list) and prompts else ""
            described = fields.get("request")
            fields["request"] = form.request_from(
                {"prompt": first, **described} if isinstance(described, dict) else described
            ).model_dump()
            task = tune_from(fields)
            count(task)  # ranges that cannot be read stop here
            job = worker.long.add("tune", tune_title(task), task, minutes)
        except EngineError as error:
            raise gr.Error(str(error), print_exception=False) from None
        yield {"event": "job", "job": job}
        try:
            for one in worker.long.watch(job):
                snapshot = worker.long.snapshot(job) or {}
                if one.state in ON_ITS_WAY:
                    yield {
                        "event": "progress",
                        "state": one.state,
                        "doing": one.said,
                        "made": one.made,
                        "left": one.left,
                    }
                else:
                    yield {
                        "event": "tuned" if one.state == "done" else "ended",
                        "state": one.state,
                        "said": one.said,
                        **snapshot,
                    }
        except EngineError as error:  # stopped and removed between two looks
            raise gr.Error(str(error), print_exception=False) from None

    def cancel(job: str) -> bool:
        """Stop a job within one step. False where no such job is on its way."""
        return worker.cancel(str(job)) or worker.long.stop(str(job))

    def list_presets() -> list[EVENT]:
        """Every preset: title, description, models, method, published figures."""
        return [preset.model_dump(mode="json") for preset in presets()]

    def health() -> EVENT:
        """Whether the engine is loaded, what runs, and how many wait."""
        return worker.state()

    gr.api(compare, api_name="compare", concurrency_limit=24)
    gr.api(tune, api_name="tune", concurrency_limit=24)
    gr.api(cancel, api_name="cancel", queue=False)
    gr.api(judge, api_name="simulate", queue=False)
    gr.api(list_presets, api_name="presets", queue=False)
    gr.api(health, api_name="health", queue=False)


def _progress(progress: Progress) -> EVENT:
    call = progress.call._asdict() if progress.call else None
    return {
        "event": "progress",
        "side": progress.side,
        "stage": progress.stage,
        "done": progress.done,
        "total": progress.total,
        "message": progress.message,
        "call": call,
    }
