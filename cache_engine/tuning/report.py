"""A tune's standing as plain data: for the command line, result files and the page."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..recipe import format_recipe
from .candidates import Candidate
from .runs import Measured
from .tuner import EDGE, Accepted, Standing, Task, Verified


def frontier(standing: Standing) -> list[int]:
    """Candidates that none is expected to beat in both compute and likeness, the dearest first."""
    if standing.believed is None:
        return []
    mean = standing.believed.mean
    price = [candidate.forecasts[0].tflops or 0.0 for candidate in standing.candidates]
    found: list[int] = []
    best = -np.inf
    for place in sorted(range(len(price)), key=lambda place: (price[place], -mean[place])):
        if mean[place] > best:
            best = mean[place]
            found.append(place)
    return found[::-1]


def described(task: Task, standing: Standing) -> dict[str, Any]:
    verified = {one.place: one for one in standing.verified}
    accepted = {one.place: one for one in standing.accepted}

    def one(place: int) -> dict[str, Any]:
        return setting(task, standing, place, verified.get(place), accepted.get(place))

    return {"goal": task.goal.model_dump(), "stage": standing.stage, "settings": len(standing.candidates),
            "best": None if standing.best is None else one(standing.best), "verified": [one(place) for place in verified],
            "frontier": [one(place) for place in frontier(standing)]}


def setting(task: Task, standing: Standing, place: int, verified: Verified | None, accepted: Accepted | None) -> dict[str, Any]:
    """One candidate; "expected" is what is believed now, "measured" is there once it was run."""
    candidate: Candidate = standing.candidates[place]
    first = candidate.forecasts[0]
    known: dict[str, Any] = {
        "recipe": format_recipe(candidate.method), "method": candidate.method.described(), "schedule": first.schedule,
        "twins": len(candidate.twins), "expected": {
            "compute_ratio": first.compute_ratio, "speedup": first.speedup,
            "psnr_db": None if standing.believed is None else float(standing.believed.mean[place]),
            "spread_db": None if standing.believed is None else float(standing.believed.spread[place])}}
    if verified:
        known["measured"] = {"psnr_db": verified.held, "whole": verified.whole, **_figures(task, verified.runs)}
    if accepted:
        known["acceptance"] = _figures(task, accepted.runs)
        known["neighbours"] = [{"recipe": format_recipe(method), "psnr_db": closeness} for method, closeness in accepted.neighbours]
        known["on_the_edge"] = task.goal.kind == "close" and accepted.on_edge(task.goal.value)
        known["edge_db"] = task.goal.value - EDGE if task.goal.kind == "close" else None
    return known


def _figures(task: Task, runs: tuple[Measured, ...]) -> dict[str, Any]:
    """Means of what was measured, and how it lies: share above the floor, 5th percentile, the worst."""
    if not runs:
        return {"prompts": 0}
    closeness = np.array([run.closeness for run in runs])
    worst = runs[int(closeness.argmin())]
    return {"prompts": len(runs), "tflops": float(np.mean([run.tflops for run in runs])),
            "seconds": float(np.mean([run.seconds for run in runs])), "mean_db": float(closeness.mean()),
            "percentile_5_db": float(np.percentile(closeness, 5)), "worst_db": float(closeness.min()), "worst_picture": str(worst.picture),
            "share_above": float((closeness >= task.goal.value).mean()) if task.goal.kind == "close" else None,
            "psnr_db_each": closeness.tolist()}
