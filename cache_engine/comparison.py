"""compare(): baseline, accelerated and their likeness, as a stream of events; compared() blocks for the result.

(This file is not compare.py: the package hands out a function of that name.)
"""

from __future__ import annotations

import queue
import threading
from collections import OrderedDict
from collections.abc import Generator

from .loading import loaded
from .method import METHODS, Method
from .model import spec_of
from .quality import measure
from .records import Comparison, Emit, Engine, Event, Progress, RunRequest, RunResult, SideDone, ignore

MOST_BASELINES = 32  # about 3 MB each at 1024 x 1024, and a survey
MOST_SURVEYS = 500_000_000  # bytes of surveys among them


class Baselines:
    """Finished baselines under what was asked and what ran it: with either changed, the baseline runs again. Any thread may ask."""

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

    def put(self, result: RunResult) -> None:
        with self._lock:
            self._kept[(result.request, result.engine)] = result
            self._kept.move_to_end((result.request, result.engine))
            while len(self._kept) > max(1, self._most) or (len(self._kept) > 1 and self._surveys() > MOST_SURVEYS):
                self._kept.popitem(last=False)

    def _surveys(self) -> int:
        return sum(kept.survey.nbytes for kept in self._kept.values() if kept.survey is not None)


def compared(request: RunRequest, method: Method, *, baselines: Baselines | None = None, emit: Emit = ignore,
             stop: threading.Event | None = None, survey: bool = False) -> Comparison:
    """Run both sides on this thread; the baseline only if ``baselines`` does not have it.

    survey: record one too, as ``recorded`` does, unless the baseline is ``unsurveyed``.
    Raises EngineError or Cancelled; then nothing half done is kept.
    """
    from .runner import run  # torch

    baselines = Baselines() if baselines is None else baselines
    emit(Progress("baseline", "load", f"Loading {request.model}"))
    model = loaded(request.model)
    request = model.spec.resolve(request)
    method.plan(model.spec.facts(model.spec.resolve(method.effective(request))))  # knobs that do not fit stop here
    kept = baselines.get(request, model.engine)
    baseline = kept or run(request, METHODS["baseline"](), emit=emit, stop=stop, side="baseline")
    if survey and baseline.survey is None and not unsurveyed(baseline):
        baseline = recorded(baseline, emit=emit, stop=stop)
    baselines.put(baseline)
    emit(SideDone("baseline", baseline, reused=kept is not None))
    accelerated = run(request, method, emit=emit, stop=stop)
    emit(SideDone("accelerated", accelerated))
    result = Comparison(baseline, accelerated, measure(baseline.image, accelerated.image), kept is not None)
    emit(result)
    return result


def unsurveyed(baseline: RunResult) -> str:
    """Why no survey can be recorded of a baseline's run: one sentence, or nothing where it can."""
    return spec_of(baseline.request.model).unsurveyed(baseline.request, len(baseline.trace), baseline.request.steps or 0)


def recorded(baseline: RunResult, *, emit: Emit = ignore, stop: threading.Event | None = None) -> RunResult:
    """The baseline with a survey, from a run of its own: recording takes time, which must not make the cache look faster.

    Raises EngineError or Cancelled.
    """
    from .runner import run  # torch

    again = run(baseline.request, METHODS["baseline"](), emit=emit, stop=stop, side="baseline", survey=True)
    return baseline._replace(survey=again.survey)


def compare(request: RunRequest, method: Method, *, baseline: RunResult | None = None) -> Generator[Event]:
    """The events of a comparison as they come; the last is the ``Comparison``. Closing the iterator stops the run.

    ``baseline``: an earlier result; it is used if it is of this very request and engine.
    Raises EngineError: one sentence.
    """
    baselines, stop = Baselines(), threading.Event()
    if baseline is not None:
        baselines.put(baseline)
    events: queue.SimpleQueue[Event | Exception] = queue.SimpleQueue()

    def work() -> None:
        try:
            compared(request, method, baselines=baselines, emit=events.put, stop=stop)
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


