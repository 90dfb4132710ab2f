"""Baselines are recorded once each, after their comparison was shown, when nobody waits: from then on knobs
answer without a run.

Whoever hands in a comparison meanwhile comes first: the recording stops within a step and is begun anew
later.
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
    """How far a baseline's recording is. ``survey``: once it is made; until then ``step`` of ``steps``.

    expected: whether a survey will come.  step: 0 while the recording waits.  reusable: whether the baseline
    itself is remembered, so that it need not run again.
    """

    survey: Survey | None = None
    psnr_calibration: PsnrCalibration | None = None
    expected: bool = False
    step: int = 0
    steps: int = 0
    reusable: bool = False


class RecordingQueue:
    """Which baselines are due, and the one on its way. ``with_survey``: None where nothing can be recorded (a
    ZeroGPU Space).
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
        """How many wait to be recorded."""
        with self._lock:
            return len(self._due)

    @property
    def recording(self) -> bool:
        with self._lock:
            return self._current is not None

    def add(self, baseline: RunResult) -> None:
        """Record it when there is time. Those of another model are let go: it would have to be loaded for
        them.
        """
        if self._with_survey is None:
            return
        with self._lock:
            self._due = [
                one for one in self._due if one.engine == baseline.engine and one.request != baseline.request
            ]
            if baseline.survey is None:
                self._due = [*self._due, baseline][-MOST_DUE:]

    def interrupt(self) -> None:
        """Somebody waits for the engine."""
        self._stop.set()

    def record_of(self, baseline: RunResult) -> BaselineRecord:
        """What there is for a baseline."""
        key = baseline.baseline_key
        kept = self._baselines.get(*key)
        if kept is not None and kept.survey is not None:
            return BaselineRecord(kept.survey, psnr_calibration_of(kept.survey), reusable=True)
        with self._lock:
            waits = any(due.baseline_key == key for due in self._due)
            now = self._current == key
            return BaselineRecord(
                expected=waits or now,
                step=self._step if now else 0,
                steps=baseline.request.steps or 0,
                reusable=kept is not None,
            )

    def take(self) -> RunResult | None:
        """The newest that is due, for ``record``. From here on ``interrupt`` reaches it."""
        with self._lock:
            if not self._due:
                return None
            baseline = self._due.pop()
            self._current, self._step, self._stop = baseline.baseline_key, 0, threading.Event()
            return baseline

    def record(self, baseline: RunResult) -> None:
        """Record it; on the engine's thread. Never raises: a record is a convenience."""
        assert self._with_survey is not None
        try:
            done = self._with_survey(baseline, emit=self._note_step, stop=self._stop)
            if done.survey is not None:
                frontier(
                    done.survey, psnr_calibration_of(done.survey)
                )  # the dial's answer, before anyone turns it
                self._baselines.put(done)
        except Cancelled:
            with self._lock:
                self._due.append(baseline)
        except Exception:
            log.exception("a baseline could not be recorded; knobs will not answer for it")
        finally:
            with self._lock:
                self._current = None

    def _note_step(self, event: Event) -> None:
        if isinstance(event, Progress) and event.stage == "denoise":
            self._step = event.done
