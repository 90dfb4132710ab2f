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
from .measurements import Measured
from .space import FRACTION, opened
from .tuner import EDGE, Accepted, Standing, TuneTask, tune


def tuned(
    task: TuneTask,
    folder: Path,
    *,
    emit: Emit = ignore,
    stop: threading.Event | None = None,
    enough: Callable[[], bool] = lambda: False,
) -> Generator[dict[str, Any]]:
    """``tune`` with each standing described."""
    for standing in tune(task, folder, emit=emit, stop=stop, enough=enough):
        yield described(task, standing)


def described(task: TuneTask, standing: Standing) -> dict[str, Any]:
    """``cloud``: all settings as [times less compute, times as fast, dB].  ``fewer_steps``: the plain model's
    among them, whole.

    dB that are expected are None where neither a survey nor a run tells them.
    """
    one = _Settings(task, standing)
    return {
        "goal": task.goal.model_dump(),
        "stage": standing.stage,
        "doing": standing.doing,
        "made": standing.made,
        "left": standing.left,
        "settings": len(standing.candidates),
        "best": None if standing.best is None else one(standing.best),
        "running": None if standing.running is None else one(standing.running),
        "verified": [one(verified.place) for verified in standing.verified],
        "frontier": [one(place) for place in frontier(standing)],
        "fewer_steps": [
            one(place)
            for place, candidate in enumerate(standing.candidates)
            if opened(candidate.method).method.name == "fewer_steps"
        ],
        "cloud": one.cloud(),
    }


def frontier(standing: Standing) -> list[int]:
    """Candidates that none is expected to beat in both compute and likeness, the dearest first; of those
    whose likeness is told.
    """
    if standing.believed is None or standing.costs is None:
        return []
    mean, price = standing.believed.mean, standing.costs.tflops
    found: list[int] = []
    best = -np.inf
    for place in np.lexsort((-mean, price)).tolist():
        if mean[place] > best and standing.told(place):
            best = mean[place]
            found.append(place)
    return found[::-1]


class _Settings:
    """Of one standing: a candidate's place -> all that is known of it."""

    def __init__(self, task: TuneTask, standing: Standing) -> None:
        self._goal, self._standing = task.goal, standing
        self._steps = resolve(task.request).steps or 0
        self._verified = {one.place: one for one in standing.verified}
        self._accepted = {one.place: one for one in standing.accepted}

    def __call__(self, place: int) -> dict[str, Any]:
        """ "expected" is what is believed now; "measured" is there once it was run, "acceptance" once it was
        on prompts not searched on.
        """
        candidate, believed, costs = (
            self._standing.candidates[place],
            self._standing.believed,
            self._standing.costs,
        )
        assert believed is not None
        assert costs is not None
        told = self._standing.told(place)
        known: dict[str, Any] = {
            "key": setting_of(candidate.method).key,
            "recipe": format_recipe(candidate.method),
            "method": candidate.method.to_dict(),
            "schedule": candidate.schedule,
            "twins": len(candidate.twins),
            "expected": {
                "compute_ratio": float(costs.full_tflops / costs.tflops[place]),
                "speedup": float(costs.full_seconds / costs.seconds[place]),
                "psnr_db": float(believed.mean[place]) if told else None,
                "spread_db": float(believed.spread[place]) if told else None,
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
        believed, costs = self._standing.believed, self._standing.costs
        if believed is None or costs is None:
            return []
        rows = (
            np.column_stack(
                [costs.full_tflops / costs.tflops, costs.full_seconds / costs.seconds, believed.mean]
            )
            .round(3)
            .tolist()
        )
        return [
            [*ratios, psnr_db if self._standing.told(place) else None]
            for place, (*ratios, psnr_db) in enumerate(rows)
        ]

    def _beyond(self, method: Method, accepted: Accepted) -> dict[str, Any]:
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
        ours, theirs = opened(method).knobs, opened(neighbour).knobs
        knob = next(name for name in ours if ours[name] != theirs[name])
        if isinstance(neighbour, FewerSteps) and knob == FRACTION:
            return {"knob": "steps", "value": neighbour.of(self._steps)}
        return {"knob": knob, "value": theirs[knob]}

    def _figures(self, runs: tuple[Measured, ...]) -> dict[str, Any]:
        """Means of what was measured, and how it lies: share above the floor, 5th percentile, the worst."""
        if not runs:
            return {"prompts": 0}
        closeness, costs = np.array([run.closeness for run in runs]), self._standing.costs
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
