"""The queue of baselines whose surveys are to be recorded. With a survey, knobs show estimates without a run.

Each baseline is recorded once, after its comparison was shown, and only while no comparison waits. A new
comparison has priority: the recording stops within a step and starts again later.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import NamedTuple

from cache_engine import (
    Baselines,
    Cancelled,
    Engine,
    Event,
    Progress,
    PsnrCalibration,
    RunRequest,
    RunResult,
    Survey,
    frontier,
    psnr_calibration_of,
    with_survey,
)

MOST_DUE = 8

log = logging.getLogger(__name__)
Key = tuple[RunRequest, Engine]


class BaselineRecord(NamedTuple):
    """The progress of a baseline's recording. ``survey``: the finished survey; until then, ``step`` of
    ``steps`` is recorded.

    expected: True if a survey will come. step: 0 while the recording waits. reusable: True if the baseline
    itself is remembered, so that it need not run again.
    """

    survey: Survey | None = None
    psnr_calibration: PsnrCalibration | None = None
    expected: bool = False
    step: int = 0
    steps: int = 0
    reusable: bool = False


class RecordingQueue:
    """Holds the baselines that wait, and the baseline that is being recorded.

    with_survey: the function that records a baseline; None if surveys cannot be recorded (on a ZeroGPU
    Space).
    """

    def __init__(
        self, baselines: Baselines, with_survey: Callable[..., RunResult] | None = with_survey
    ) -> None:
        self._baselines, self._with_survey = baselines, with_survey
        self._due: list[RunResult] = []
        self._current: Key | None = None
        self._step = 0
        self._stop = threading.Event()
        self._lock = threading.Lock()

    @property
    def due(self) -> int:
        """Return the number of baselines that wait."""
        with self._lock:
            return len(self._due)

    @property
    def recording(self) -> bool:
        """Return whether a baseline is being recorded."""
        with self._lock:
            return self._current is not None

    def add(self, baseline: RunResult) -> None:
        """Add a baseline, unless it has a survey already.

        Baselines of another engine are dropped, because their model is no longer loaded.
        """
        if self._with_survey is None:
            return
        with self._lock:
            self._due = [
                due for due in self._due if due.engine == baseline.engine and due.request != baseline.request
            ]
            if baseline.survey is None:
                self._due = [*self._due, baseline][-MOST_DUE:]

    def interrupt(self) -> None:
        """Stop the recording within a step, because a comparison waits for the engine."""
        self._stop.set()

    def record_of(self, baseline: RunResult) -> BaselineRecord:
        """Return the progress of a baseline's recording."""
        key = baseline.baseline_key
        remembered = self._baselines.get(*key)
        if remembered is not None and remembered.survey is not None:
            survey = remembered.survey
            return BaselineRecord(survey, psnr_calibration_of(survey), reusable=True)
        with self._lock:
            waits = any(due.baseline_key == key for due in self._due)
            now = self._current == key
            return BaselineRecord(
                expected=waits or now,
                step=self._step if now else 0,
                steps=baseline.request.steps or 0,
                reusable=remembered is not None,
            )

    def take(self) -> RunResult | None:
        """Take the newest baseline, for ``record``. Return None if no baseline waits.

        From now on, ``interrupt`` stops its recording.
        """
        with self._lock:
            if not self._due:
                return None
            baseline = self._due.pop()
            self._current, self._step, self._stop = baseline.baseline_key, 0, threading.Event()
            return baseline

    def record(self, baseline: RunResult) -> None:
        """Record a baseline on the engine's thread. This function never raises: the page works without a
        survey too.
        """
        assert self._with_survey is not None
        try:
            recorded = self._with_survey(baseline, emit=self._note_step, stop=self._stop)
            if recorded.survey is not None:
                # computed now, so that it is ready when the visitor turns the dial
                frontier(recorded.survey, psnr_calibration_of(recorded.survey))
                self._baselines.put(recorded)
        except Cancelled:
            with self._lock:
                self._due.append(baseline)
        except Exception:
            log.exception("a baseline could not be recorded; knobs will show no estimates for it")
        finally:
            with self._lock:
                self._current = None

    def _note_step(self, event: Event) -> None:
        if isinstance(event, Progress) and event.stage == "denoise":
            self._step = event.done
