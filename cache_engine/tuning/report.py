"""The status of a tune as plain JSON values, for the command line, result files and the page."""

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
    """Tune as ``tune`` does, and yield each status as JSON values."""
    for status in tune(task, folder, emit=emit, stop=stop, enough=enough):
        yield status_json(task, status)


def status_json(task: TuneTask, status: TuneStatus) -> dict[str, Any]:
    """Return a status as JSON values.

    "cloud" holds all settings, each as [times less compute, times as fast, dB]; "fewer_steps" holds the
    settings of the plain model with fewer steps, in full. An expected dB is None if neither a survey nor a
    run gives it.
    """
    setting = _SettingJson(task, status)
    return {
        "goal": task.goal.model_dump(),
        "stage": status.stage,
        "doing": status.doing,
        "made": status.made,
        "left": status.left,
        "settings": len(status.candidates),
        "best": None if status.best is None else setting(status.best),
        "running": None if status.running is None else setting(status.running),
        "verified": [setting(verification.place) for verification in status.verified],
        "frontier": [setting(place) for place in _frontier(status)],
        "fewer_steps": [
            setting(place)
            for place, candidate in enumerate(status.candidates)
            if parts_of(candidate.method).method.name == "fewer_steps"
        ],
        "cloud": setting.cloud(),
    }


def _frontier(status: TuneStatus) -> list[int]:
    """Return the places of the best candidates, from the most compute to the least.

    No other candidate is expected to be better than one of these in both compute and PSNR. Candidates with a
    guessed PSNR are left out.
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


class _SettingJson:
    """Makes the JSON values of a candidate from its place."""

    def __init__(self, task: TuneTask, status: TuneStatus) -> None:
        self._goal, self._status = task.goal, status
        self._steps = resolve(task.request).steps or 0
        self._verified = {verification.place: verification for verification in status.verified}
        self._accepted = {acceptance.place: acceptance for acceptance in status.accepted}

    def __call__(self, place: int) -> dict[str, Any]:
        """Return the values of a candidate.

        "expected" is always present; "measured" follows after the runs on the tuning prompts, "acceptance"
        after those on the acceptance prompts.
        """
        candidate, posterior, costs = (
            self._status.candidates[place],
            self._status.posterior,
            self._status.costs,
        )
        assert posterior is not None
        assert costs is not None
        has_estimate = self._status.has_estimate(place)
        data: dict[str, Any] = {
            "key": setting_of(candidate.method).key,
            "recipe": format_recipe(candidate.method),
            "method": candidate.method.to_dict(),
            "schedule": candidate.schedule,
            "twins": len(candidate.twins),
            "expected": {
                "compute_ratio": float(costs.full_tflops / costs.tflops[place]),
                "speedup": float(costs.full_seconds / costs.seconds[place]),
                "psnr_db": float(posterior.mean[place]) if has_estimate else None,
                "spread_db": float(posterior.deviation[place]) if has_estimate else None,
            },
        }
        if verified := self._verified.get(place):
            data["measured"] = {
                "psnr_db": verified.held,
                "whole": verified.whole,
                **self._figures(verified.runs),
            }
        if accepted := self._accepted.get(place):
            data |= self._beyond(candidate.method, accepted)
        return data

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
        """Return the knob that differs in the neighbour, and its value there. A share of the steps is given
        as a number of steps.
        """
        ours, theirs = parts_of(method).knobs, parts_of(neighbour).knobs
        knob = next(name for name in ours if ours[name] != theirs[name])
        if isinstance(neighbour, FewerSteps) and knob == FRACTION:
            return {"knob": "steps", "value": neighbour.of(self._steps)}
        return {"knob": knob, "value": theirs[knob]}

    def _figures(self, runs: tuple[Measurement, ...]) -> dict[str, Any]:
        """Return the means of real runs, their worst PSNR and its 5th percentile, and the share above the
        floor.
        """
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
