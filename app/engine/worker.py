"""The engine's thread: comparisons wait in a queue, one at a time runs, and its events go to the page.

The thread owns the loaded models and the remembered baselines. While no comparison waits, it records
baselines and draws the pictures of long jobs. The page's generators only relay events, because gradio moves
them between threads. This file does not import torch: the engine imports it, on this thread.
"""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterator
from functools import partial

from cache_engine import (
    Baselines,
    Cancelled,
    Comparison,
    EngineError,
    Event,
    Method,
    RunRequest,
    RunResult,
    preload,
    run_comparison,
    unexpected,
    with_survey,
)

from ..history.store import HistoryStore
from .compare_job import ComparisonJob, JobStatus, MeteredRunner
from .longjobs import LongJobs
from .recording_queue import BaselineRecord, RecordingQueue

MOST_WAITING = 16
# number of finished comparisons in memory, to be shown again; each takes about 6 MB at 1024 x 1024
MOST_REMEMBERED = 64

log = logging.getLogger(__name__)


class Worker:
    """One thread for one device. The first job starts the thread."""

    def __init__(
        self,
        compare: Callable[..., Comparison] = run_comparison,
        with_survey: Callable[..., RunResult] | None = with_survey,
        long: LongJobs | None = None,
        history: HistoryStore | None = None,
        baselines: Baselines | None = None,
    ) -> None:
        self._compare = compare
        self.history = history or HistoryStore(None)
        self.long = long or LongJobs(None)
        self.long.on_change = self._long_job_added
        self.loaded = False  # True once torch and diffusers are imported
        self._baselines = Baselines() if baselines is None else baselines
        self._recordings = RecordingQueue(self._baselines, with_survey)
        self._comparisons: OrderedDict[str, Comparison] = OrderedDict()
        self._turn = threading.Condition()
        self._waiting: deque[ComparisonJob] = deque()
        self._running: ComparisonJob | None = None
        self._warming = self._long_job_next = False
        self._thread: threading.Thread | None = None

    # ---- for the page ----
    def submit(self, request: RunRequest, method: Method, repeats: int = 1) -> ComparisonJob:
        """Queue a comparison.

        ``repeats``: number of timed runs of each side. Raises EngineError if too many comparisons wait.
        """
        if repeats > 1 and self.metered:
            raise EngineError("repeats: every run costs a visitor's GPU time here; choose 1.")
        job = ComparisonJob(request, method, repeats)
        with self._turn:
            if len(self._waiting) >= MOST_WAITING:
                raise EngineError(
                    f"queue: {MOST_WAITING} comparisons are waiting already; try again in a minute."
                )
            self._waiting.append(job)
            self._recordings.interrupt()
            self._wake()
        return job

    def watch(self, job: ComparisonJob) -> Iterator[tuple[Event | JobStatus, ...]]:
        """Yield the new events, at least every HEARTBEAT seconds, until the ``Comparison``.

        Closing this generator (because the tab was closed) stops the job. Raises the job's EngineError or
        Cancelled.
        """
        try:
            yield (self._status_of(job),)
            while True:
                events, error = job.next_events()
                yield (self._status_of(job), *events)
                if error is not None:
                    raise error
                if events and isinstance(events[-1], Comparison):
                    return
        finally:
            self.cancel(job.key)

    def cancel(self, key: str) -> bool:
        """Stop a job within one step, or remove it from the queue.

        Returns False if the job neither runs nor waits.
        """
        with self._turn:
            for job in self._waiting:
                if job.key == key:
                    self._waiting.remove(job)
                    job.stop.set()
                    job.events.put(Cancelled())
                    return True
            if self._running and self._running.key == key:
                self._running.stop.set()
                return True
        return False

    @property
    def metered(self) -> bool:
        """Return whether a comparison uses part of a visitor's quota."""
        return isinstance(self._compare, MeteredRunner)

    def cost_note(self, request: RunRequest, method: Method) -> str:
        """Return a sentence that tells how much of a visitor's GPU quota a comparison will use.

        Return "" where the server has no quota.
        """
        if not isinstance(self._compare, MeteredRunner):
            return ""
        return self._compare.cost_note(request, method, self._baselines)

    def comparison(self, key: str) -> Comparison | None:
        """Return a finished comparison from memory, or None."""
        with self._turn:
            return self._comparisons.get(key)

    def reopen(self, key: str) -> Comparison | None:
        """Return a finished comparison from memory, or load it from History into memory. Return None if
        neither memory nor History has it.

        The function reads pictures from disk, so call it for a click and not for every event.
        """
        comparison = self.comparison(key)
        if comparison is None and (comparison := self.history.comparison(key)):
            self._remember(key, comparison)
        return comparison

    def record_of(self, comparison: Comparison) -> BaselineRecord:
        """Return the progress of recording the comparison's baseline."""
        return self._recordings.record_of(comparison.baseline)

    def busy_with(self, key: str) -> bool:
        """Return whether this job waits or runs."""
        with self._turn:
            return any(job is not None and job.key == key for job in (self._running, *self._waiting))

    def wait(self, seconds: float) -> None:
        """Wait until the job may have changed, for at most ``seconds``."""
        with self._turn:
            self._turn.wait(seconds)

    def warm(self) -> None:
        """Start to import torch and diffusers on the engine's thread. The call returns at once."""
        with self._turn:
            self._warming = not self.loaded
            self._wake()

    def state(self) -> dict[str, object]:
        """Return the engine's state, for ``/health`` and the header."""
        with self._turn:
            running = self._running.request.model if self._running else None
            return {
                "status": "ok" if self._thread is None or self._alive() else "the engine has stopped",
                "loaded": self.loaded,
                "loading": self._warming,
                "running": running,
                "waiting": len(self._waiting),
                "long": self.long.running,
                "recording": self._recordings.recording,
                "to_record": self._recordings.due + self._recordings.recording,
            }

    def _status_of(self, job: ComparisonJob) -> JobStatus:
        with self._turn:
            running = self._running is job
            ahead = self._waiting.index(job) + (self._running is not None) if job in self._waiting else 0
        return JobStatus(
            job.key, ahead, running, self._warming, job.stop.is_set(), time.monotonic() - job.since
        )

    # ---- the thread ----
    def _wake(self) -> None:
        """Start the thread, or wake it. The caller holds ``_turn``."""
        if not self._alive():
            self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
            self._thread.start()
        self._turn.notify_all()

    def _alive(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def _work(self) -> None:
        while True:
            with self._turn:
                self._turn.wait_for(
                    lambda: self._waiting or self._warming or self._recordings.due or self.long.due
                )
                work = self._next()
            ended: Comparison | Exception | None = None
            try:
                self._preload()
                ended = work()
            except BaseException as error:  # the thread must outlive any job, also one that calls sys.exit
                ended = self._as_sentence(error)
            if isinstance(ended, Comparison) and self._running:
                # before the page hears of the end: a run that was shown is stored, even if the server is
                # killed at that moment
                self._running.context.run(self.history.add, self._running.key, ended)
            with self._turn:
                job, self._running, self._warming = self._running, None, False
            if job and ended:  # only after the lines above, because a client may submit the next job at once
                job.events.put(ended)
            elif ended:  # outside a comparison, only preloading can fail
                self.long.fail(str(ended))

    def _next(self) -> Callable[[], Comparison | None]:
        """Choose the next work: first comparisons, then recordings, then long jobs.

        After each comparison or recording, a long job may draw one picture.
        """
        fair = self.long.due and self._long_job_next
        self._long_job_next = not fair
        if self._waiting and not fair:
            self._running = self._waiting.popleft()
            return partial(self._run, self._running)
        due = None if fair else self._recordings.take()
        if due:
            return partial(self._recordings.record, due)
        self._long_job_next = False
        return self.long.step

    def _long_job_added(self) -> None:
        with self._turn:
            self._wake()

    def _preload(self) -> None:
        if not self.loaded:
            self._warming = True
            try:
                preload()
            except Exception as error:
                log.exception("preloading failed; the next job tries again")
                raise EngineError(
                    f"engine: torch and diffusers cannot be imported ({type(error).__name__}, see the "
                    "log); install them again with `pip install -r requirements.txt` and restart."
                ) from error
            self.loaded, self._warming = True, False

    def _run(self, job: ComparisonJob) -> Comparison:
        def emit(event: Event) -> None:
            if not isinstance(
                event, Comparison
            ):  # this event ends the watching: ``_work`` sends it when the run is over
                job.events.put(event)

        if job.stop.is_set():
            raise Cancelled
        more = {"repeats": job.repeats} if job.repeats > 1 else {}
        result = job.context.run(
            self._compare,
            job.request,
            job.method,
            baselines=self._baselines,
            emit=emit,
            stop=job.stop,
            **more,
        )
        self._recordings.add(result.baseline)
        # Surveys stay with the baselines, which limit their bytes.
        result = result._replace(baseline=result.baseline._replace(survey=None))
        self._remember(job.key, result)
        return result

    def _remember(self, key: str, result: Comparison) -> None:
        with self._turn:
            self._comparisons[key] = result
            while len(self._comparisons) > MOST_REMEMBERED:
                self._comparisons.popitem(last=False)

    @staticmethod
    def _as_sentence(error: BaseException) -> Exception:
        """Return EngineError and Cancelled unchanged, and any other error as a
        sentence; log its traceback.
        """
        if isinstance(error, EngineError | Cancelled):
            return error
        code = secrets.token_hex(3)
        log.error("a job failed (%s)", code, exc_info=error)
        return unexpected(error, f"The log has more under {code}")
