"""compare(): baseline, accelerated and their likeness, as a stream of events; compared() blocks for the
result.

(This file is not compare.py: the package hands out a function of that name.)
"""

from __future__ import annotations

import queue
import statistics
import threading
from collections import OrderedDict
from collections.abc import Generator

from .loading import load_model
from .method import METHODS, Method, method_from
from .models.catalog import spec_of
from .quality import measure
from .records import Comparison, Emit, Engine, Event, Progress, RunRequest, RunResult, Side, SideDone, ignore
from .strict import EngineError, short_repr

MOST_BASELINES = 32  # about 3 MB each at 1024 x 1024, and a survey
MOST_SURVEYS = 500_000_000  # bytes of surveys among them
MOST_REPEATS = 20


class Baselines:
    """Finished baselines under what was asked and what ran it: with either changed, the baseline runs again.
    Any thread may ask.
    """

    def __init__(self, most: int = MOST_BASELINES) -> None:
        self._kept: OrderedDict[tuple[RunRequest, Engine], RunResult] = OrderedDict()
        self._most = most
        self._lock = threading.Lock()

    def get(self, request: RunRequest, engine: Engine) -> RunResult | None:
        """The baseline of exactly this request on exactly this engine."""
        with self._lock:
            result = self._kept.get((request, engine))
            if result is not None:
                self._kept.move_to_end((request, engine))
            return result

    def newest(self, request: RunRequest) -> RunResult | None:
        """The newest baseline of exactly this request, whatever engine ran it."""
        with self._lock:
            return next((kept for (of, _), kept in reversed(self._kept.items()) if of == request), None)

    def put(self, result: RunResult) -> None:
        with self._lock:
            self._kept[result.baseline_key] = result
            self._kept.move_to_end(result.baseline_key)
            while len(self._kept) > max(1, self._most) or (
                len(self._kept) > 1 and self._surveys() > MOST_SURVEYS
            ):
                self._kept.popitem(last=False)

    def _surveys(self) -> int:
        return sum(kept.survey.nbytes for kept in self._kept.values() if kept.survey is not None)


def run_comparison(
    request: RunRequest,
    method: Method,
    *,
    baselines: Baselines | None = None,
    emit: Emit = ignore,
    stop: threading.Event | None = None,
    survey: bool = False,
    repeats: int = 1,
) -> Comparison:
    """Run both sides on this thread; the baseline only if ``baselines`` does not have it.

    survey: record one too, as ``recorded`` does, unless the baseline is ``unsurveyed``.
    repeats: timed runs of each side; with more than one the baseline's are made anew.
    Raises EngineError or Cancelled; then nothing half done is kept.
    """
    from .runner import run  # torch

    baselines = Baselines() if baselines is None else baselines
    emit(Progress("baseline", "load", f"Loading {request.model}"))
    model = load_model(request.model)
    request = model.spec.resolve(request)
    method.plan(
        model.spec.facts(model.spec.resolve(method.effective(request)))
    )  # knobs that do not fit stop here
    kept = baselines.get(request, model.engine)
    baseline = (
        kept._replace(timed=())
        if kept
        else run(request, METHODS["baseline"](), emit=emit, stop=stop, side="baseline")
    )
    if survey and baseline.survey is None and not why_no_survey(baseline):
        baseline = with_survey(baseline, emit=emit, stop=stop)
    baselines.put(baseline)
    emit(SideDone("baseline", baseline, reused=kept is not None))
    accelerated = run(request, method, emit=emit, stop=stop)
    emit(SideDone("accelerated", accelerated))
    if repeats > 1:
        baseline, accelerated = in_turn(baseline, accelerated, repeats, emit, stop)
    result = Comparison(
        baseline, accelerated, measure(baseline.image, accelerated.image), kept is not None and repeats == 1
    )
    emit(result)
    return result


def repeats_of(given: object) -> int:
    """How many timed runs a side gets. Raises EngineError."""
    if (
        isinstance(given, bool)
        or not isinstance(given, int | float)
        or given not in range(1, MOST_REPEATS + 1)
    ):
        raise EngineError(
            f"repeats: {short_repr(given)} is not valid; choose a whole number from 1 to {MOST_REPEATS}."
        )
    return int(given)


def in_turn(
    baseline: RunResult, accelerated: RunResult, repeats: int, emit: Emit, stop: threading.Event | None
) -> tuple[RunResult, RunResult]:
    """Both sides so many times, one after the other, the first of a pair in turn; of each the run with the
    middle time, and all times.

    A machine that is slower for a minute is so for both sides.
    """
    from .runner import run  # torch

    runs: dict[Side, list[RunResult]] = {"baseline": [], "accelerated": []}
    sides: tuple[Side, Side] = ("baseline", "accelerated")
    for number in range(repeats):
        for side in sides[::-1] if number % 2 else sides:
            one = baseline if side == "baseline" else accelerated
            emit(
                Progress(
                    side,
                    "timing",
                    f"Timing both sides in turn, run {number + 1} of {repeats}",
                    number,
                    repeats,
                )
            )
            runs[side].append(run(one.request, method_from(one.method), stop=stop, side=side))
    found = []
    for side, first in zip(sides, (baseline, accelerated)):
        times = [one.seconds.denoise for one in runs[side]]
        middle = runs[side][times.index(statistics.median_low(times))]
        found.append(
            middle._replace(
                image=first.image, survey=first.survey, finished=first.finished, timed=tuple(times)
            )
        )
    return found[0], found[1]


def why_no_survey(baseline: RunResult) -> str:
    """Why no survey can be recorded of a baseline's run: one sentence, or nothing where it can."""
    return spec_of(baseline.request.model).why_no_survey(
        baseline.request, len(baseline.trace), baseline.request.steps or 0
    )


def with_survey(
    baseline: RunResult, *, emit: Emit = ignore, stop: threading.Event | None = None
) -> RunResult:
    """The baseline with a survey, from a run of its own: recording takes time, which must not make the cache
    look faster.

    Raises EngineError or Cancelled.
    """
    from .runner import run  # torch

    again = run(baseline.request, METHODS["baseline"](), emit=emit, stop=stop, side="baseline", survey=True)
    return baseline._replace(survey=again.survey)


def compare(request: RunRequest, method: Method, *, baseline: RunResult | None = None) -> Generator[Event]:
    """The events of a comparison as they come; the last is the ``Comparison``. Closing the iterator stops the
    run.

    ``baseline``: an earlier result; it is used if it is of this very request and engine.
    Raises EngineError: one sentence.
    """
    baselines, stop = Baselines(), threading.Event()
    if baseline is not None:
        baselines.put(baseline)
    events: queue.SimpleQueue[Event | Exception] = queue.SimpleQueue()

    def work() -> None:
        try:
            run_comparison(request, method, baselines=baselines, emit=events.put, stop=stop)
        except Exception as error:  # handed over to the caller's thread
            events.put(error)

    thread = threading.Thread(target=work, name="compare", daemon=True)
    thread.start()
    try:
        while True:
            event = events.get()
            if isinstance(event, Exception):
                raise event
            yield event
            if isinstance(event, Comparison):
                return
    finally:
        stop.set()
        thread.join()
