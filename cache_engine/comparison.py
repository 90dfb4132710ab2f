"""compare() yields the events of a comparison. run_comparison() blocks and returns the result.

This file is not named compare.py, because the package exports a function of that name.
"""

from __future__ import annotations

import queue
import statistics
import threading
from collections import OrderedDict
from collections.abc import Generator, Mapping
from typing import TYPE_CHECKING

from .method import METHODS, Method
from .models.catalog import spec_of
from .quality import measure
from .records import (
    Comparison,
    Emit,
    Engine,
    Event,
    Progress,
    RunRequest,
    RunResult,
    Side,
    SideDone,
    ignore,
)
from .strict import EngineError, short_repr

if TYPE_CHECKING:
    from .runner import PreparedRun  # imports torch

MOST_BASELINES = 32  # number of baselines; each takes about 3 MB at 1024 x 1024, and its survey
MOST_SURVEYS = 500_000_000  # bytes of all their surveys together
MOST_REPEATS = 20


class Baselines:
    """The baselines that ran last, each stored under its request and its engine. Any thread may call it.

    A baseline is reused only for exactly the same request on exactly the same engine.
    """

    def __init__(self, most: int = MOST_BASELINES) -> None:
        self._results: OrderedDict[tuple[RunRequest, Engine], RunResult] = OrderedDict()
        self._most = most
        self._lock = threading.Lock()

    def get(self, request: RunRequest, engine: Engine) -> RunResult | None:
        """Return the baseline of this resolved request on this engine, or None."""
        with self._lock:
            result = self._results.get((request, engine))
            if result is not None:
                self._results.move_to_end((request, engine))
            return result

    def newest(self, request: RunRequest) -> RunResult | None:
        """Return the newest baseline of this resolved request on any engine, or None."""
        with self._lock:
            return next(
                (result for (own, _), result in reversed(self._results.items()) if own == request), None
            )

    def put(self, result: RunResult) -> None:
        """Remember a baseline. Forget the oldest baselines if their number or their size passes the limit."""
        with self._lock:
            self._results[result.baseline_key] = result
            self._results.move_to_end(result.baseline_key)
            while len(self._results) > max(1, self._most) or (
                len(self._results) > 1 and self._survey_bytes() > MOST_SURVEYS
            ):
                self._results.popitem(last=False)

    def _survey_bytes(self) -> int:
        return sum(result.survey.nbytes for result in self._results.values() if result.survey is not None)


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
    """Run both sides on this thread and compare them. If ``baselines`` has the baseline, it is not run again.

    survey: also record a survey in a separate baseline run, unless ``why_no_survey`` gives a reason against
    it.
    repeats: number of timed runs of each side; if it is more than one, the baseline is timed again too.
    Raises EngineError or Cancelled; ``baselines`` then stores nothing half done.
    """
    from .runner import Watch, execute, prepare  # imports torch

    baselines = Baselines() if baselines is None else baselines
    watches: dict[Side, Watch] = {
        "baseline": Watch("baseline", emit, stop),
        "accelerated": Watch("accelerated", emit, stop),
    }
    watches["baseline"].tell("load", f"Loading {request.model}")
    # knobs that do not fit the model are refused before anything runs
    accelerated_run = prepare(request, method)
    baseline_run = accelerated_run.under(METHODS["baseline"]())
    remembered = baselines.get(baseline_run.request, baseline_run.model.engine)
    baseline = remembered._replace(timed=()) if remembered else execute(baseline_run, watches["baseline"])
    if survey and baseline.survey is None and not why_no_survey(baseline):
        recorded = execute(baseline_run, watches["baseline"], survey=True)
        baseline = baseline._replace(survey=recorded.survey)
    baselines.put(baseline)
    emit(SideDone("baseline", baseline, reused=remembered is not None))
    accelerated = execute(accelerated_run, watches["accelerated"])
    emit(SideDone("accelerated", accelerated))
    if repeats > 1:
        timed = time_in_turns(
            {"baseline": baseline_run, "accelerated": accelerated_run}, repeats, emit=emit, stop=stop
        )
        baseline = with_median_time(baseline, timed["baseline"])
        accelerated = with_median_time(accelerated, timed["accelerated"])
    quality = measure(baseline.image, accelerated.image)
    result = Comparison(baseline, accelerated, quality, remembered is not None and repeats == 1)
    emit(result)
    return result


def repeats_of(given: object) -> int:
    """Return the number of timed runs of each side. Raises EngineError for anything but 1 to 20."""
    if (
        isinstance(given, bool)
        or not isinstance(given, int | float)
        or given not in range(1, MOST_REPEATS + 1)
    ):
        raise EngineError(
            f"repeats: {short_repr(given)} is not valid; choose a whole number from 1 to {MOST_REPEATS}."
        )
    return int(given)


def time_in_turns(
    prepared: Mapping[Side, PreparedRun], repeats: int, *, emit: Emit, stop: threading.Event | None
) -> dict[Side, list[RunResult]]:
    """Run each side ``repeats`` times. The two sides alternate, and the first side of each pair alternates
    too.

    A machine that slows down for a minute then slows both sides.
    """
    from .runner import Watch, execute  # imports torch

    results: dict[Side, list[RunResult]] = {side: [] for side in prepared}
    for number in range(repeats):
        for side in list(prepared)[:: -1 if number % 2 else 1]:
            message = f"Timing both sides in turn: run {number + 1} of {repeats}"
            emit(Progress(side, "timing", message, number, repeats))
            results[side].append(execute(prepared[side], Watch(side, stop=stop)))
    return results


def with_median_time(first: RunResult, runs: list[RunResult]) -> RunResult:
    """Return the run with the median denoising time. The result gets all the measured times, and the picture
    of the first run.
    """
    times = [result.seconds.denoise for result in runs]
    median = runs[times.index(statistics.median_low(times))]
    return median._replace(
        image=first.image, survey=first.survey, finished=first.finished, timed=tuple(times)
    )


def why_no_survey(baseline: RunResult) -> str:
    """Return, as one sentence, why this baseline's survey cannot be recorded. Return "" if a survey can be
    recorded.
    """
    return spec_of(baseline.request.model).why_no_survey(
        baseline.request, len(baseline.trace), baseline.request.steps or 0
    )


def with_survey(
    baseline: RunResult, *, emit: Emit = ignore, stop: threading.Event | None = None
) -> RunResult:
    """Run the baseline once more to record a survey. Return the given result with this survey.

    Recording takes time: in the timed run it would make the cache look faster than it is. Raises EngineError
    or Cancelled.
    """
    from .runner import run  # imports torch

    recorded = run(
        baseline.request, METHODS["baseline"](), emit=emit, stop=stop, side="baseline", survey=True
    )
    return baseline._replace(survey=recorded.survey)


def compare(request: RunRequest, method: Method, *, baseline: RunResult | None = None) -> Generator[Event]:
    """Yield the events of a comparison as they happen. The last event is the ``Comparison``.

    Closing the iterator stops the run. ``baseline``: an earlier result, which is reused if its request and
    engine are the same. Raises EngineError, with one sentence.
    """
    baselines, stop = Baselines(), threading.Event()
    if baseline is not None:
        baselines.put(baseline)
    events: queue.SimpleQueue[Event | Exception] = queue.SimpleQueue()

    def work() -> None:
        try:
            run_comparison(request, method, baselines=baselines, emit=events.put, stop=stop)
        except Exception as error:  # the consumer raises this error again, on the caller's thread
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
