"""Where a job stands, as the dicts that status and header draw. Pure, like views."""

from __future__ import annotations

from collections.abc import Sequence

from cache_engine import Comparison, Progress, StepTrace

from .components.header import EngineState, HeaderValue
from .components.status import StatusKind, StatusValue
from .words import SIDES, rough, seconds


def _status(kind: StatusKind, title: str, detail: str = "", share: float | None = None) -> StatusValue:
    return {"kind": kind, "title": title, "detail": detail, "share": share}


def idle(sentence: str = "") -> StatusValue:
    return _status("idle", "", sentence)


def queued(ahead: int, left: float | None = None) -> StatusValue:
    return _status(
        "queued", f"{ahead} ahead" if ahead else "Next in line", f"about {rough(left)}" if left else ""
    )


def status(progress: Progress, calls: Sequence[StepTrace] = (), kept: str = "") -> StatusValue:
    """Where a run stands. ``calls``: this side's calls so far; ``kept``: the clock of a baseline that is
    reused.
    """
    side, kept = SIDES[progress.side], f"baseline of {kept} is kept" if kept else ""
    part = progress.done / progress.total if progress.total else None
    if progress.stage != "denoise":
        named = f"{side}: {progress.message}" if progress.stage in ("encode", "decode") else progress.message
        return _status("running", named, kept, part)
    detail = []
    if progress.done and (spent := sum(call.seconds for call in calls)):
        each = spent / progress.done
        detail.append(f"{seconds(each)} a step, {rough(each * (progress.total - progress.done))} left")
    said = "; ".join([*detail, *filter(None, [kept])])
    return _status("running", f"{side}, step {progress.done} of {progress.total}", said, part)


def unrun(title: str, denoise: float | None, *, alone: bool) -> StatusValue:
    """The numbers are of a setting that was not run. ``denoise``: seconds that it is expected to take, where
    that is known.

    alone: whether its baseline is there; else the next run is of another, or of one that is not remembered.
    """
    about = f", about {rough(denoise)}" if denoise else ""
    return _status(
        "idle",
        title,
        f"Generate runs the accelerated side alone{about}." if alone else "Generate runs both sides.",
    )


def stopped(progress: Progress | None = None) -> StatusValue:
    where = f" at step {progress.done}" if progress and progress.stage == "denoise" else ""
    return _status("stopped", f"Stopped{where}.", "The model is restored; the last whole result stays.")


def failed(sentence: str) -> StatusValue:
    return _status("error", sentence, "The last whole result stays.")


def finished(comparison: Comparison) -> StatusValue:
    clock = comparison.baseline.clock
    said = (
        f"Reused the baseline of {clock}; only the accelerated side ran."
        if comparison.baseline_reused
        else f"The baseline of {clock} is kept: a knob re-runs only the accelerated side."
    )
    return _status("done", f"Done at {comparison.accelerated.clock}.", said)


def header(words: Sequence[str], state: EngineState = "idle") -> HeaderValue:
    """The engine badge: ("tiny FLUX", "float32", "cpu") and one of idle, busy, loading, error."""
    return {"engine": " · ".join([*words, state]), "state": state}


def starting(since: float) -> StatusValue:
    """The engine's libraries are being imported, once for all."""
    return _status("running", "Starting the engine", f"once, about 20 s; {seconds(since)} so far")


def stopping() -> StatusValue:
    return _status("running", "Stopping", "at the end of this step")
