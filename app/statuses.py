"""Makes the values of status lines and of the header from the engine's records."""

from __future__ import annotations

from collections.abc import Sequence

from cache_engine import Comparison, Progress, StepTrace

from .components.header import EngineState, HeaderValue
from .components.status import StatusKind, StatusValue
from .words import SIDES, plural, rough, seconds

STILL_SHOWN = "Your last result is still shown."


def _status(kind: StatusKind, title: str, detail: str = "", share: float | None = None) -> StatusValue:
    return {"kind": kind, "title": title, "detail": detail, "share": share}


def idle(sentence: str = "") -> StatusValue:
    """Return a status line with this sentence, or an empty line."""
    return _status("idle", "", sentence)


def queued(ahead: int, left: float | None = None) -> StatusValue:
    """Return the status of a job that waits in the queue. ``left``: seconds until it begins, if known."""
    title = f"{plural(ahead, 'job')} ahead" if ahead else "Next in line"
    return _status("queued", title, f"about {rough(left)}" if left else "")


def status(progress: Progress, calls: Sequence[StepTrace] = (), reused: str = "") -> StatusValue:
    """Return the stage of the side that is running. ``calls``: the side's calls so far. ``reused``: the time
    of a reused baseline.
    """
    side, baseline = SIDES[progress.side], f"baseline of {reused} reused" if reused else ""
    share = progress.done / progress.total if progress.total else None
    if progress.stage != "denoise":
        own = progress.stage in ("encode", "decode")
        return _status("running", f"{side}: {progress.message}" if own else progress.message, baseline, share)
    details = [baseline] if baseline else []
    if progress.done and (spent := sum(call.seconds for call in calls)):
        each = spent / progress.done
        left = rough(each * (progress.total - progress.done))
        details.insert(0, f"{seconds(each)} a step, {left} left")
    return _status("running", f"{side}, step {progress.done} of {progress.total}", "; ".join(details), share)


def unrun(title: str, denoise: float | None, *, alone: bool) -> StatusValue:
    """Return the status of a setting that has not run.

    denoise: seconds that the run is expected to take, if known. alone: True if a remembered baseline fits the
    next run, so that only the accelerated side runs.
    """
    about = f"about {rough(denoise)}; " if denoise else ""
    detail = f"Press Generate to measure it ({about}the baseline is reused)."
    return _status("idle", title, detail if alone else "Generate runs both sides.")


def stopped(progress: Progress | None = None) -> StatusValue:
    """Return the status of a stopped run."""
    where = f" at step {progress.done}" if progress and progress.stage == "denoise" else ""
    return _status("stopped", f"Stopped{where}.", f"The model is restored. {STILL_SHOWN}")


def failed(sentence: str) -> StatusValue:
    """Return the status of an error."""
    return _status("error", sentence, STILL_SHOWN)


def finished(comparison: Comparison) -> StatusValue:
    """Return the status of a finished comparison, and of its baseline."""
    clock = comparison.baseline.clock
    detail = (
        f"The baseline of {clock} is kept. With the same prompt and seed, only the accelerated side runs."
    )
    if comparison.baseline_reused:
        detail = f"The baseline of {clock} was reused; only the accelerated side ran."
    return _status("done", f"Done at {comparison.accelerated.clock}.", detail)


def header(words: Sequence[str], state: EngineState = "idle") -> HeaderValue:
    """Return the engine badge: words such as ("tiny FLUX", "float32", "cpu"), and the engine's state."""
    return {"engine": " · ".join([*words, state]), "state": state}


def starting(elapsed: float) -> StatusValue:
    """Return the status while the engine's libraries are imported for the first time.
    ``elapsed``: seconds.
    """
    return _status("running", "Starting the engine", f"once, about 20 s; {seconds(elapsed)} so far")


def stopping() -> StatusValue:
    """Return the status of a run that is stopping."""
    return _status("running", "Stopping", "at the end of this step")
