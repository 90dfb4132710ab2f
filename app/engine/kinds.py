"""The kinds of long jobs. Each kind has a function that runs it, and a function that reads its task from JSON
values.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Generator, Mapping
from pathlib import Path
from typing import Any, Protocol

from cache_engine import EngineError, Goal, RunRequest, SweepTask, TuneTask, sweep_json, tune_json

Snapshot = dict[str, Any]


class Start(Protocol):
    """Starts a job of one kind, or resumes it. A job draws one picture between two yielded snapshots."""

    def __call__(
        self, task: str, folder: Path, *, stop: threading.Event, enough: Callable[[], bool]
    ) -> Generator[Snapshot]: ...


def _tune(
    task: str, folder: Path, *, stop: threading.Event, enough: Callable[[], bool]
) -> Generator[Snapshot]:
    return tune_json(tune_from(json.loads(task)), folder, stop=stop, enough=enough)


def _sweep(
    task: str, folder: Path, *, stop: threading.Event, enough: Callable[[], bool]
) -> Generator[Snapshot]:
    del enough  # a sweep has no time budget
    return sweep_json(sweep_from(json.loads(task)), folder, stop=stop)


def tune_from(fields: Mapping[str, Any]) -> TuneTask:
    """Make a tune's task from JSON values. Raises EngineError."""
    given = dict(fields)
    given |= {"request": RunRequest(**_object(given, "request")), "goal": Goal(**_object(given, "goal"))}
    given |= {
        name: tuple(given[name]) for name in ("prompts", "acceptance") if isinstance(given.get(name), list)
    }
    return TuneTask(**given)


def sweep_from(fields: Mapping[str, Any]) -> SweepTask:
    """Make a sweep's task from JSON values. Raises EngineError."""
    given = dict(fields)
    given["request"] = RunRequest(**_object(given, "request"))
    if isinstance(given.get("axes"), list):
        given["axes"] = tuple(tuple(axis) if isinstance(axis, list) else axis for axis in given["axes"])
    return SweepTask(**given)


def with_own_files(task: TuneTask | SweepTask, own: Callable[[Path], Path]) -> str:
    """Return the task as JSON, with each file of its request replaced by ``own(file)``.

    Raises EngineError if a file is missing or has changed.
    """
    fields, request = task.model_dump(mode="json"), task.request
    for entry, lora in zip(fields["request"]["loras"], request.loras, strict=True):
        entry["file"] = str(own(lora.unchanged()))
    if request.image is not None:
        fields["request"]["image"]["file"] = str(own(request.image.unchanged()))
    return json.dumps(fields)


def _object(given: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    if not isinstance(given.get(name), Mapping):
        raise EngineError(f"{name}: missing; give an object with its fields.")
    return given[name]


KINDS: Mapping[str, Start] = {"tune": _tune, "sweep": _sweep}
