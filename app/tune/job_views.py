"""Long jobs as the list that the page shows. Pure."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ..components.jobs import JobsRow, JobsValue
from ..engine.store import LongJob
from ..words import plural, rough

ACTS = {"waiting": ("stop",), "running": ("stop",), "stopping": (), "done": ("remove",)}
ENDED = ("resume", "remove")  # stopped, failed, interrupted
EMPTY = "None yet. A tune or a sweep that you start is listed here, and stays until you remove it."


def jobs(found: Sequence[LongJob], chosen: str) -> JobsValue:
    """All of them: those that are on their way are in line, and who has many ended ones removes them."""
    return {"jobs": [_row(job, chosen) for job in found], "empty": EMPTY}


def _row(job: LongJob, chosen: str) -> JobsRow:
    left = seconds_left(job)
    whole = job.spent + (left or 0.0)
    share = 1.0 if job.state == "done" else job.spent / whole if whole else 0.0
    stage = {
        "waiting": "waits for its turn",
        "stopping": "stops after this step",
        "done": "done",
        "stopped": "stopped",
        "interrupted": "interrupted: the server ended",
    }.get(job.state, job.said)
    return {
        "key": job.key,
        "title": job.title,
        "stage": stage,
        "note": _note(job, left),
        "share": round(share, 3),
        "state": job.state,
        "acts": [{"act": act, "text": act.capitalize()} for act in ACTS.get(job.state, ENDED)],
        "chosen": job.key == chosen,
    }


def seconds_left(job: LongJob) -> float | None:
    """At most, as far as its pictures so far tell; None before the first. A time budget ends the search,
    after which some are left.
    """
    if not job.made:
        return None
    left = job.left * job.spent / job.made
    return left if job.budget is None or job.spent >= job.budget else min(left, job.budget - job.spent)


def _note(job: LongJob, left: float | None) -> str:
    drawn = plural(job.made, "picture")
    if job.state in ("running", "stopping"):
        more = "" if left is None else f" · at most {rough(left)} left"
        return f"{drawn} in {rough(job.spent)}{more}"
    if job.state == "waiting":
        return f"{drawn} kept" if job.made else ""
    when = time.strftime("%d %b %H:%M", time.localtime(job.created))
    kept = f"{drawn}, {rough(job.spent)} · begun {when}"
    return (
        f"{kept} · {job.said}"
        if job.state == "failed"
        else f"{kept} · nothing that was drawn is lost"
        if job.state != "done"
        else kept
    )
