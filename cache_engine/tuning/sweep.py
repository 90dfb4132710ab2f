"""sweep(): every combination of two or three knobs' values on one prompt, each with its picture. No search,
no forecast.

A generator like ``tune``: between two of its values at most one picture is drawn, every run is in the folder,
none is made twice.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import Field

from ..method import METHODS, Method
from ..models.catalog import facts_of, resolve
from ..recipe import format_recipe
from ..records import Emit, RunRequest, ignore
from ..runs.setting import setting_of
from ..strict import EngineError, Strict
from . import space
from .measurements import Measurement, Measurements, claim_folder

SWEEP = "sweep.json"
MOST = 1000


class SweepTask(Strict):
    """``axes``: two or three (knob, range as text).  knobs: what the method's other knobs are."""

    request: RunRequest
    method: str = "dbcache"
    knobs: dict[str, Any] = Field(default_factory=dict)
    axes: tuple[tuple[str, str], ...] = Field(min_length=2, max_length=3)

    @property
    def ranges(self) -> space.Ranges:
        """The axes' values, in their order. Raises EngineError where they cannot be read, or make too many
        combinations.
        """
        if len({name for name, _ in self.axes}) < len(self.axes):
            raise EngineError("axes: a knob stands on two of them; choose another knob for one.")
        found = space.ranges(self.method, dict(self.axes))
        count = 1
        for values in found.values():
            count *= len(values)
        if count > MOST:
            raise EngineError(f"axes: {count} combinations are more than {MOST}; give an axis fewer values.")
        return {name: found[name] for name, _ in self.axes}

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Every combination, the last axis running fastest. Raises EngineError where none fits the model."""
        facts, ranges = facts_of(resolve(self.request)), self.ranges
        found = []
        for values in product(*ranges.values()):
            try:
                found.append(
                    Cell(
                        values,
                        space.setting(
                            self.method, {**self.knobs, **dict(zip(ranges, values, strict=True))}, facts
                        ),
                    )
                )
            except EngineError as error:
                found.append(Cell(values, None, str(error)))
        if not any(cell.method for cell in found):
            raise EngineError(found[0].refused)
        return tuple(found)


class Cell(NamedTuple):
    """One combination; ``refused`` says why it does not fit the model."""

    values: tuple[Any, ...]
    method: Method | None
    refused: str = ""


def sweep_json(
    task: SweepTask, folder: Path, *, emit: Emit = ignore, stop: threading.Event | None = None
) -> Generator[dict[str, Any]]:
    """Where the sweep is, as plain JSON values; the last one's stage is "done". Goes on where an earlier one
    of the task stopped.

    Raises EngineError (one sentence) or Cancelled; runs made so far are kept.
    """
    request = resolve(task.request)
    cells = task.cells
    wanted = [cell.method for cell in cells if cell.method]
    with Measurements(folder, request, (request.prompt,), emit=emit, stop=stop) as runs:
        claim_folder(folder / SWEEP, task.model_dump(mode="json"), "sweep")
        known: dict[Method, Measurement] = {
            method: found for method in wanted if (found := runs.known(0, setting_of(method)))
        }
        plain = runs.known(0, setting_of(METHODS["baseline"]()))

        def status(stage: str, doing: str) -> dict[str, Any]:
            return {
                "stage": stage,
                "doing": doing,
                "made": runs.made,
                "left": (plain is None) + len(set(wanted)) - len(known),
                "axes": [{"knob": name, "values": list(values)} for name, values in task.ranges.items()],
                "baseline": plain
                and {"tflops": plain.tflops, "seconds": plain.seconds, "picture": str(plain.picture)},
                "cells": [
                    _described(cell, known.get(cell.method) if cell.method else None, plain) for cell in cells
                ],
            }

        yield status("baselines", "the plain run")
        plain = runs.baseline(0)
        for place, method in enumerate(wanted, 1):
            if method not in known:
                yield status("running", f"setting {place} of {len(wanted)}")
                known[method] = runs.measured(0, method)
        yield status("done", f"{runs.made} pictures drawn")


def _described(cell: Cell, found: Measurement | None, plain: Measurement | None) -> dict[str, Any]:
    has_estimate: dict[str, Any] = {"values": list(cell.values)}
    if cell.method is None:
        return has_estimate | {"refused": cell.refused}
    has_estimate |= {
        "key": setting_of(cell.method).key,
        "recipe": format_recipe(cell.method),
        "method": cell.method.to_dict(),
    }
    if found is None or plain is None:
        return has_estimate
    return has_estimate | {
        "psnr_db": found.psnr_db,
        "ssim": found.ssim,
        "tflops": found.tflops,
        "seconds": found.seconds,
        "compute_ratio": plain.tflops / found.tflops,
        "speedup": plain.seconds / found.seconds,
        "schedule": next(iter(found.schedules.values())),
        "picture": str(found.picture),
    }
