"""A tune's standing as plain JSON values: for the command line, result files and the page."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import numpy as np

from ..method import Method
from ..methods.fewer_steps import FewerSteps
from ..models.catalog import resolve
from ..recipe import format_recipe
from ..records import Emit, ignore
from ..runs.setting import setting_of
from .measurements import Measurement
from .space import FRACTION, parts_of
from .tuner import EDGE, Acceptance, TuneStatus, TuneTask, tune


def tune_json(
    task: TuneTask,
    folder: Path,
    *,
    emit: Emit = ignore,
    stop: threading.Event | None = None,
    enough: Callable[[], bool] = lambda: False,
) -> Generator[dict[str, Any]]:
    """``tune`` with each standing described."""
    for status in tune(task, folder, emit=emit, stop=stop, enough=enough):
        yield described(task, status)


def described(task: TuneTask, status: TuneStatus) -> dict[str, Any]:
    """``cloud``: all settings as [times less compute, times as fast, dB].  ``fewer_steps``: the plain model's
    among them, whole.

    dB that are expected are None where neither a survey nor a run tells them.
    """
    one = _Settings(task, status)
    return {
        "goal": task.goal.model_dump(),
        "stage": status.stage,
        "doing": status.doing,
        "made": status.made,
        "left": status.left,
        "settings": len(status.candidates),
        "best": None if status.best is None else one(status.best),
        "running": None if status.running is None else one(status.running),
        "verified": [one(verified.place) for verified in status.verified],
        "frontier": [one(place) for place in frontier(status)],
        "fewer_steps": [
            one(place)
            for place, candidate in enumerate(status.candidates)
            if parts_of(candidate.method).method.name == "fewer_steps"
        ],
        "cloud": one.cloud(),
    }


def frontier(status: TuneStatus) -> list[int]:
    """Candidates that none is expected to beat in both compute and likeness, the dearest first; of those
    whose likeness is told.
    """
    if status.posterior is None or status.costs is None:
        return []
    mean, price = status.posterior.mean, status.costs.tflops
    found: list[int] = []
    best = -np.inf
    for place in np.lexsort((-mean, price)).tolist():
        if mean[place] > best and status.has_estimate(place):
            best = mean[place]
            found.append(place)
    return found[::-1]


class _Settings:
    """Of one standing: a candidate's place -> all that is known of it."""

    def __init__(self, task: TuneTask, status: TuneStatus) -> None:
        self._goal, self._status = task.goal, status
        self._steps = resolve(task.request).steps or 0
        self._verified = {one.place: one for one in status.verified}
        self._accepted = {one.place: one for one in status.accepted}

    def __call__(self, place: int) -> dict[str, Any]:
        """ "expected" is what is believed now; "measured" is there once it was run, "acceptance" once it was
        on prompts not searched on.
        """
        candidate, posterior, costs = (
            self._status.candidates[place],
            self._status.posterior,
            self._status.costs,
        )
        assert posterior is not None
        assert costs is not None
        has_estimate = self._status.has_estimate(place)
        known: dict[str, Any] = {
            "key": setting_of(candidate.method).key,
            "recipe": format_recipe(candidate.method),
            "method": candidate.method.to_dict(),
            "schedule": candidate.schedule,
            "twins": len(candidate.twins),
            "expected": {
                "compute_ratio": float(costs.full_tflops / costs.tflops[place]),
                "speedup": float(costs.full_seconds / costs.seconds[place]),
                "psnr_db": float(posterior.mean[place]) if has_estimate else None,
                "spread_db": float(posterior.spread[place]) if has_estimate else None,
            },
        }
        if verified := self._verified.get(place):
            known["measured"] = {
                "psnr_db": verified.held,
                "whole": verified.whole,
                **self._figures(verified.runs),
            }
        if accepted := self._accepted.get(place):
            known |= self._beyond(candidate.method, accepted)
        return known

    def cloud(self) -> list[list[float | None]]:
        posterior, costs = self._status.posterior, self._status.costs
        if posterior is None or costs is None:
            return []
        rows = (
            np.column_stack(
                [costs.full_tflops / costs.tflops, costs.full_seconds / costs.seconds, posterior.mean]
            )
            .round(3)
            .tolist()
        )
        return [
            [*ratios, psnr_db if self._status.has_estimate(place) else None]
            for place, (*ratios, psnr_db) in enumerate(rows)
        ]

    def _beyond(self, method: Method, accepted: Acceptance) -> dict[str, Any]:
        floor = self._goal.value if self._goal.kind == "close" else None
        return {
            "acceptance": self._figures(accepted.runs),
            "on_the_edge": floor is not None and accepted.on_edge(floor),
            "edge_db": None if floor is None else floor - EDGE,
            "neighbours": [
                {"recipe": format_recipe(near), "psnr_db": db, **self._change(method, near)}
                for near, db in accepted.neighbours
            ],
        }

    def _change(self, method: Method, neighbour: Method) -> dict[str, Any]:
        """The one knob that differs, and its value there; a share of the steps is told as their number."""
        ours, theirs = parts_of(method).knobs, parts_of(neighbour).knobs
        knob = next(name for name in ours if ours[name] != theirs[name])
        if isinstance(neighbour, FewerSteps) and knob == FRACTION:
            return {"knob": "steps", "value": neighbour.of(self._steps)}
        return {"knob": knob, "value": theirs[knob]}

    def _figures(self, runs: tuple[Measurement, ...]) -> dict[str, Any]:
        """Means of what was measured, and how it lies: share above the floor, 5th percentile, the worst."""
        if not runs:
            return {"prompts": 0}
        closeness, costs = np.array([run.closeness for run in runs]), self._status.costs
        assert costs is not None
        worst = runs[int(closeness.argmin())]
        tflops, seconds = (
            float(np.mean([run.tflops for run in runs])),
            float(np.mean([run.seconds for run in runs])),
        )
        return {
            "prompts": len(runs),
            "tflops": tflops,
            "seconds": seconds,
            "compute_ratio": costs.full_tflops / tflops,
            "speedup": costs.full_seconds / seconds,
            "mean_db": float(closeness.mean()),
            "percentile_5_db": float(np.percentile(closeness, 5)),
            "worst_db": float(closeness.min()),
            "worst_prompt": worst.prompt,
            "worst_picture": str(worst.picture),
            "worst_baseline": str(worst.baseline),
            "share_above": float((closeness >= self._goal.value).mean())
            if self._goal.kind == "close"
            else None,
            "psnr_db_each": closeness.tolist(),
        }
