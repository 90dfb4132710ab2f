"""Shows tunes and sweeps as the page's list of jobs."""

from __future__ import annotations

import time
from collections.abc import Sequence

from cache_engine import EngineError

from ..components.jobs import JobsRow, JobsValue
from ..engine.longjobs import LongJobs
from ..engine.store import LongJob
from ..words import plural, rough

ACTS = {"waiting": ("stop",), "running": ("stop",), "stopping": (), "done": ("remove",)}
ACTS_AFTER_STOP = ("resume", "remove")  # actions offered for stopped, failed and interrupted jobs
EMPTY = "No job yet. A tune or a sweep that you start is listed here until you remove it."
STAGES = {
    "waiting": "waits for its turn",
    "stopping": "stops after this step",
    "done": "done",
    "stopped": "stopped",
    "interrupted": "interrupted: the server ended",
}


def listed(long_jobs: LongJobs) -> list[LongJob]:
    """Return all jobs, or none if another server uses their folder."""
    try:
        return long_jobs.jobs()
    except EngineError:
        return []


def jobs(all_jobs: Sequence[LongJob], chosen: str) -> JobsValue:
    """List every job. ``chosen``: key of the job whose results are shown."""
    return {"jobs": [_row(job, chosen) for job in all_jobs], "empty": EMPTY}


def _row(job: LongJob, chosen: str) -> JobsRow:
    return {
        "key": job.key,
        "title": job.title,
        "stage": STAGES.get(job.state, job.said),
        "note": _note(job),
        "share": round(_share_done(job), 3),
        "state": job.state,
        "acts": [{"act": act, "text": act.capitalize()} for act in ACTS.get(job.state, ACTS_AFTER_STOP)],
        "chosen": job.key == chosen,
    }


def _share_done(job: LongJob) -> float:
    if job.state == "done":
        return 1.0
    whole = job.spent + (seconds_left(job) or 0.0)
    return job.spent / whole if whole else 0.0


def seconds_left(job: LongJob) -> float | None:
    """Return the longest time that the job can still take, from its speed so far.

    Return None before the job's first picture, and once its time budget is spent: an unknown number of
    pictures is drawn after it.
    """
    if not job.made or (job.budget is not None and job.spent >= job.budget):
        return None
    left = job.left * job.spent / job.made
    return left if job.budget is None else min(left, job.budget - job.spent)


def _note(job: LongJob) -> str:
    pictures = plural(job.made, "picture")
    if job.state in ("running", "stopping"):
        left = seconds_left(job)
        more = "" if left is None else f" · at most {rough(left)} left"
        return f"{pictures} in {rough(job.spent)}{more}"
    if job.state == "waiting":
        return f"{pictures} so far" if job.made else ""
    begun = time.strftime("%d %b %H:%M", time.localtime(job.created))
    note = f"{pictures}, {rough(job.spent)} · begun {begun}"
    if job.state == "failed":
        return f"{note} · {job.said}"
    return note if job.state == "done" else f"{note} · no finished picture is lost"
