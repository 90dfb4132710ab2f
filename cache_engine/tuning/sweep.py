"""``sweep_json()`` runs every combination of two or three knobs' values on one prompt, without search or
forecast.

Like ``tune``, it is a generator: between two of its values it draws at most one picture. A sweep stores every
run in the folder and repeats no run.
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
    """The prompt, the knobs and the axes of a sweep.

    axes: two or three pairs of a knob's name and its range as text. knobs: the values of the other knobs.
    """

    request: RunRequest
    method: str = "dbcache"
    knobs: dict[str, Any] = Field(default_factory=dict)
    axes: tuple[tuple[str, str], ...] = Field(min_length=2, max_length=3)

    @property
    def ranges(self) -> space.Ranges:
        """Return the axes' values, in the order of the axes.

        Raises EngineError if the ranges cannot be read, or if they make too many combinations.
        """
        if len({name for name, _ in self.axes}) < len(self.axes):
            raise EngineError("axes: two axes have the same knob; choose another knob for one of them.")
        ranges = space.parse_ranges(self.method, dict(self.axes))
        count = 1
        for values in ranges.values():
            count *= len(values)
        if count > MOST:
            raise EngineError(f"axes: {count} combinations are more than {MOST}; give an axis fewer values.")
        return {name: ranges[name] for name, _ in self.axes}

    @property
    def cells(self) -> tuple[Cell, ...]:
        """Return all combinations; the last axis changes fastest. Raises EngineError if
        no combination fits.
        """
        facts, ranges = facts_of(resolve(self.request)), self.ranges
        cells = []
        for values in product(*ranges.values()):
            try:
                cells.append(
                    Cell(
                        values,
                        space.method_with(
                            self.method, {**self.knobs, **dict(zip(ranges, values, strict=True))}, facts
                        ),
                    )
                )
            except EngineError as error:
                cells.append(Cell(values, None, str(error)))
        if not any(cell.method for cell in cells):
            raise EngineError(cells[0].refused)
        return tuple(cells)


class Cell(NamedTuple):
    """One combination of values. refused: the reason why it does not fit the model; "" if it fits."""

    values: tuple[Any, ...]
    method: Method | None
    refused: str = ""


def sweep_json(
    task: SweepTask, folder: Path, *, emit: Emit = ignore, stop: threading.Event | None = None
) -> Generator[dict[str, Any]]:
    """Make a sweep, or resume an earlier sweep of the same task. Yield the sweep's status as plain JSON
    values.

    The stage of the last value is "done". Raises EngineError or Cancelled; runs that are complete stay
    stored.
    """
    request = resolve(task.request)
    cells = task.cells
    wanted = [cell.method for cell in cells if cell.method]
    with Measurements(folder, request, (request.prompt,), emit=emit, stop=stop) as runs:
        claim_folder(folder / SWEEP, task.model_dump(mode="json"), "sweep")
        measured: dict[Method, Measurement] = {
            method: earlier for method in wanted if (earlier := runs.find(0, setting_of(method)))
        }
        plain = runs.find(0, setting_of(METHODS["baseline"]()))

        def status(stage: str, doing: str) -> dict[str, Any]:
            return {
                "stage": stage,
                "doing": doing,
                "made": runs.made,
                "left": (plain is None) + len(set(wanted)) - len(measured),
                "axes": [{"knob": name, "values": list(values)} for name, values in task.ranges.items()],
                "baseline": plain
                and {"tflops": plain.tflops, "seconds": plain.seconds, "picture": str(plain.picture)},
                "cells": [
                    _cell_json(cell, measured.get(cell.method) if cell.method else None, plain)
                    for cell in cells
                ],
            }

        yield status("baselines", "the plain run")
        plain = runs.measure_baseline(0)
        for place, method in enumerate(wanted, 1):
            if method not in measured:
                yield status("running", f"setting {place} of {len(wanted)}")
                measured[method] = runs.measure(0, method)
        yield status("done", f"{runs.made} pictures drawn")


def _cell_json(cell: Cell, run: Measurement | None, plain: Measurement | None) -> dict[str, Any]:
    data: dict[str, Any] = {"values": list(cell.values)}
    if cell.method is None:
        return data | {"refused": cell.refused}
    data |= {
        "key": setting_of(cell.method).key,
        "recipe": format_recipe(cell.method),
        "method": cell.method.to_dict(),
    }
    if run is None or plain is None:
        return data
    return data | {
        "psnr_db": run.psnr_db,
        "ssim": run.ssim,
        "tflops": run.tflops,
        "seconds": run.seconds,
        "compute_ratio": plain.tflops / run.tflops,
        "speedup": plain.seconds / run.seconds,
        "schedule": next(iter(run.schedules.values())),
        "picture": str(run.picture),
    }
