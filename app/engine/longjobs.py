"""The queue of tunes and sweeps. Tunes and sweeps continue when the tab is closed, and after a restart of the
server.

The oldest job runs first. The engine's thread draws one picture at a time, so a comparison waits for one
picture and not for a whole tune. Finished pictures are never lost.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from functools import partial
from hashlib import sha256
from pathlib import Path

from cache_engine import Cancelled, EngineError, SweepTask, TuneTask, unexpected

from .kinds import KINDS, Snapshot, Start, with_own_files
from .store import ON_ITS_WAY, JobStore, LongJob, everybody

log = logging.getLogger(__name__)
HEARTBEAT = 0.5
MOST_IN_LINE = 16
MOST_REMEMBERED = 8  # number of snapshots in memory; each has about 300 kB, and every open page asks for them
NOT_HERE = (
    "jobs: long jobs do not run on a shared GPU that is lent by the second; run CacheLens on your own "
    "machine for them."
)


def fingerprint(jobs: Sequence[LongJob]) -> str:
    """Return a text that changes whenever a job has changed, and that names no job. A job's row is written
    after its snapshot.
    """
    rows = repr([(job.key, job.state, job.said, job.made) for job in jobs])
    return sha256(rows.encode(errors="replace")).hexdigest()[:16]


class LongJobs:
    """Holds the jobs that wait and the job that runs.

    store: None if long jobs are refused (on a Space that lends GPUs by the second).
    owner: returns who asks: ``jobs`` lists the jobs of this owner. A job's key opens it to everybody.
    """

    def __init__(
        self,
        store: JobStore | None,
        kinds: Mapping[str, Start] = KINDS,
        owner: Callable[[], str] = everybody,
    ) -> None:
        self._store, self._kinds, self._owner = store, kinds, owner
        self._queue: deque[LongJob] = deque()
        self._stop = threading.Event()
        self._begun: LongJob | None = None  # the running job, from just before its first picture
        self._running: Generator[Snapshot] | None = None
        self._spent = 0.0
        self._drawn = 0  # number of the running job's pictures from before it was resumed
        self._snapshots: OrderedDict[str, Snapshot] = OrderedDict()  # the newest snapshot of each watched job
        self._lock = threading.Lock()
        self.on_change: Callable[[], None] = lambda: None  # is called when there may be new work

    # ---- for the page ----
    def add(self, kind: str, title: str, task: TuneTask | SweepTask, minutes: float | None = None) -> str:
        """Queue a job and return its key. Raises EngineError."""
        store = self._open_store()
        key = store.new_key()
        try:
            own_task = with_own_files(
                task, partial(store.copy_file, key)
            )  # outside the lock, because copying a large LoRA takes time
            with self._lock:
                self._refuse_if_full()
                self._queue.append(
                    store.add(
                        key, kind, title, own_task, None if minutes is None else 60 * minutes, self._owner()
                    )
                )
        except EngineError:
            store.remove_files(key)
            raise
        self.on_change()
        return key

    def resume(self, key: str) -> None:
        """Put a job that ended early back into the queue. Raises EngineError."""
        with self._lock:
            job = self.job(key)
            queued = any(other.key == key for other in self._queue)
            if queued or job.state not in ("stopped", "failed", "interrupted"):
                return
            self._refuse_if_full()
            self._open_store().update(key, state="waiting", said="")
            self._queue.append(job._replace(state="waiting", said=""))
        self.on_change()

    def stop(self, key: str) -> bool:
        """Stop a job within one step; its pictures stay. Returns False if the job neither waits nor runs."""
        with self._lock:
            job = next((job for job in self._queue if job.key == key), None)
            if job is None:
                return False
            if job is self._begun:
                self._stop.set()
                self._open_store().update(key, state="stopping")
            else:
                self._queue.remove(job)
                self._open_store().update(
                    key, state="stopped", said="it had not begun" if not job.made else ""
                )
        self.on_change()
        return True

    def remove(self, key: str) -> None:
        """Remove a job and all its pictures, unless the job waits or runs.

        Raises EngineError for an unknown key.
        """
        self.job(key)  # refuses a key from outside that could name another folder
        with self._lock:
            if not any(job.key == key for job in self._queue):
                self._snapshots.pop(key, None)
                self._open_store().remove(key)

    def jobs(self) -> list[LongJob]:
        """Return the owner's jobs, the newest first."""
        owner = self._owner()
        return [job for job in self._store.jobs() if job.owner == owner] if self._store else []

    @property
    def changes(self) -> str:
        """Return the fingerprint of all owners' jobs."""
        try:
            return fingerprint(self._store.jobs() if self._store else [])
        except EngineError:  # another server uses the folder
            return fingerprint([])

    def job(self, key: str) -> LongJob:
        """Return a job. Raises EngineError for an unknown key."""
        job = self._store.job(key) if self._store else None
        if job is None:
            raise EngineError("job: no job has this key; choose a job from the list.")
        return job

    def watch(self, key: str) -> Iterator[LongJob]:
        """Yield the job every HEARTBEAT seconds until it has ended. Closing this generator does not stop the
        job.
        """
        while True:
            job = self.job(key)
            yield job
            if job.state not in ON_ITS_WAY:
                return
            time.sleep(HEARTBEAT)

    def snapshot(self, key: str) -> Snapshot | None:
        """Return a job's newest snapshot from ``tune_json`` or ``sweep_json``. Return None before the job's
        first snapshot, and for an unknown key.
        """
        with self._lock:
            if key not in self._snapshots and self._store and self._store.job(key):
                if snapshot := self._store.snapshot(key):
                    self._remember(key, snapshot)
            return self._snapshots.get(key)

    def folder(self, key: str) -> Path:
        """Return a job's folder."""
        return self._open_store().folder_of(key)

    @property
    def running(self) -> bool:
        """Return whether a job is running."""
        with self._lock:
            return self._begun is not None

    # ---- the engine's thread ----
    @property
    def due(self) -> int:
        """Return the number of jobs that wait or run."""
        with self._lock:
            return len(self._queue)

    def step(self) -> None:
        """Draw one picture of the first job.

        This function never raises: an error ends the job, and the job stores the error's sentence.
        """
        with self._lock:
            job = self._queue[0] if self._queue else None
            if job is None:
                return
            if job is not self._begun:  # from now on, ``stop`` stops this job
                self._begun, self._stop, self._spent, self._drawn = (
                    job,
                    threading.Event(),
                    job.spent,
                    job.made,
                )
        try:
            self._draw_next(job)
        except StopIteration:
            self._end(job, "done", "")
        except Cancelled:
            self._end(job, "stopped", "")
        except EngineError as error:
            self._end(job, "failed", str(error))
        except Exception as error:
            log.exception("job %s failed", job.key)
            self._end(
                job,
                "failed",
                f"{unexpected(error, 'The log has more')} Its pictures are kept; resume it to try again.",
            )

    def fail(self, sentence: str) -> None:
        """End the first job, if there is one, because the engine cannot draw."""
        with self._lock:
            self._begun = job = self._queue[0] if self._queue else None
        if job is not None:
            self._end(job, "failed", sentence)

    def _draw_next(self, job: LongJob) -> None:
        store, begun = self._open_store(), time.monotonic()
        if self._running is None:
            budget = job.budget
            self._running = self._kinds[job.kind](
                job.task,
                store.folder_of(job.key),
                stop=self._stop,
                enough=lambda: budget is not None and self._spent >= budget,
            )
        if self._stop.is_set():
            raise Cancelled
        snapshot = next(self._running)
        self._spent += time.monotonic() - begun
        store.save_snapshot(job.key, snapshot)
        with self._lock:
            self._remember(job.key, snapshot)
            store.update(
                job.key,
                state="stopping" if self._stop.is_set() else "running",
                said=snapshot["doing"],
                made=self._drawn + snapshot["made"],
                left=snapshot["left"],
                spent=self._spent,
            )

    def _end(self, job: LongJob, state: str, reason: str) -> None:
        with self._lock:
            running, self._running, self._begun = self._running, None, None
            self._queue.remove(job)
        if running is not None:
            running.close()  # releases the job's folder
        self._open_store().end(job.key, state, reason)

    def _remember(self, key: str, snapshot: Snapshot) -> None:
        self._snapshots[key] = snapshot
        self._snapshots.move_to_end(key)
        while len(self._snapshots) > MOST_REMEMBERED:
            self._snapshots.popitem(last=False)

    def _refuse_if_full(self) -> None:
        if len(self._queue) >= MOST_IN_LINE:
            raise EngineError(
                f"jobs: {MOST_IN_LINE} are in line already; wait until one is done, or stop one."
            )

    def _open_store(self) -> JobStore:
        if self._store is None:
            raise EngineError(NOT_HERE)
        return self._store
