"""A whole grid of real runs on the embedded model, with which tunes are compared.

Runs are stored under build/tune/ as they are made, so the study can be stopped and resumed. Runs of other
weights are ignored. One run can stand for several settings: with the changes that the run measured, another
setting may make the same decisions and the same predictions. Its run would then be the same, bit for bit.
Such settings are drawn only once. (As a check, two of them are drawn for each prompt, and their pictures must
be equal.)
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from cache_engine import METHODS, Method, RunRequest, method_from, run
from cache_engine.models.catalog import facts_of
from cache_engine.plans import ModelFacts
from cache_engine.quality import measure
from cache_engine.records import StepTrace, schedules_of
from cache_engine.session import Call, walk
from cache_engine.tuning import space
from cache_engine.tuning.candidates import prediction
from cache_engine.tuning.measurements import IDENTICAL
from cache_engine.whatif.survey import Survey
from cache_engine.whatif.survey_file import load
from studies.shared import append_json_line, draw_unclocked, read_json_lines, results_folder
from studies.tune.prompts import GRID

SEED = 2600
STEPS = (28, 50)
# 300 settings: a tune's own ranges with fewer values. The plain model with fewer steps is added to them.
VARY = {
    "Fn_compute_blocks": "1, 4",
    "max_warmup_steps": "2, 4",
    "max_continuous_cached_steps": "2, 4, 6, 10, -1",
    "residual_diff_threshold": "0.08, 0.16, 0.32, 0.5, 1",
    "taylorseer_order": "0..2",
}
TWICE = 2  # number of settings for each prompt that are drawn although another run stands for them
Changes = dict[tuple[int, str], float | None]  # by step and stream


class GridRun(NamedTuple):
    """One real run. psnr_db: None if the picture equals the baseline's. digest: a hash of the picture."""

    method: Method
    psnr_db: float | None
    tflops: float
    schedules: dict[str, str]
    changes: Changes
    digest: str

    @property
    def closeness(self) -> float:
        return IDENTICAL if self.psnr_db is None else self.psnr_db

    def stands_for(self, method: Method, facts: ModelFacts) -> bool:
        """Return whether a run of ``method`` would equal this run.

        It would if the method, with the changes measured here, makes the same decisions and the same
        predictions.
        """
        if prediction(method) != prediction(self.method) or type(method).effective is not Method.effective:
            return method == self.method

        def change(call: Call) -> float:
            measured = self.changes[call.step, call.stream]
            assert measured is not None
            return measured

        walked = walk(method.plan(facts), facts.steps, facts.streams, change)
        return schedules_of(walked.trace) == self.schedules


def request(number: int, steps: int) -> RunRequest:
    return RunRequest(model="tiny", prompt=GRID[number], seed=SEED + number, steps=steps)


def settings(steps: int) -> list[Method]:
    facts = facts_of(request(0, steps))
    return [
        *space.grid("dbcache", space.parse_ranges("dbcache", VARY), facts),
        *space.fewer_steps_methods(facts),
    ]


def path_of(asked: RunRequest) -> Path:
    """Return the file of a request's runs. The baseline's picture and survey are stored beside it."""
    digest = hashlib.sha256(asked.model_dump_json().encode()).hexdigest()
    return results_folder("tune") / f"{digest[:16]}.jsonl"


class Grid:
    """The real runs of one prompt and number of steps, with the baseline's survey."""

    def __init__(self, number: int, steps: int) -> None:
        self.request = request(number, steps)
        self.facts = facts_of(self.request)
        self._path = path_of(self.request)
        self.runs = [_run_from(line) for line in read_json_lines(self._path)]
        self.survey, self._baseline = self._measure_baseline()

    def _measure_baseline(self) -> tuple[Survey, Image.Image]:
        """Return the baseline's survey and picture, from disk or from a new run."""
        picture, survey = self._path.with_suffix(".png"), self._path.with_suffix(".npz")
        if not picture.is_file():
            baseline = run(self.request, METHODS["baseline"](), survey=True)
            assert baseline.survey is not None
            baseline.survey.save(survey)
            baseline.image.save(picture)
        return load(survey), Image.open(picture).convert("RGB")

    def run_of(self, method: Method) -> GridRun | None:
        """Return the setting's own run, or a run that stands for it, or None if neither exists."""
        own = next((run for run in self.runs if run.method == method), None)
        return own or next((run for run in self.runs if run.stands_for(method, self.facts)), None)

    @property
    def twice(self) -> list[GridRun]:
        """Return the runs that were drawn although an earlier run stood for them."""
        return [
            run
            for place, run in enumerate(self.runs)
            if any(other.stands_for(run.method, self.facts) for other in self.runs[:place])
        ]

    def fill(self, methods: Iterable[Method]) -> None:
        """Make the missing runs. Raises AssertionError if a setting that was drawn twice gives two different
        pictures.
        """
        twice = len(self.twice)
        for method in methods:
            earlier = self.run_of(method)
            if earlier is not None and (earlier.method == method or twice >= TWICE):
                continue
            made = self._draw(method)
            if earlier is not None:
                twice += 1
                if made.digest != earlier.digest or made.schedules != earlier.schedules:
                    raise AssertionError(
                        f"the run of {method.to_dict()} differs from that of {earlier.method.to_dict()}"
                    )

    def _draw(self, method: Method) -> GridRun:
        image, trace = draw_unclocked(self.request, method)
        line = _line(method, measure(self._baseline, image).psnr_db, trace, image)
        append_json_line(self._path, line)
        self.runs.append(_run_from(line))
        return self.runs[-1]


def _line(
    method: Method, psnr_db: float | None, trace: Sequence[StepTrace], image: Image.Image
) -> dict[str, Any]:
    return {
        "method": method.to_dict(),
        "psnr_db": psnr_db,
        "tflops": sum(call.tflops for call in trace),
        "schedules": schedules_of(trace),
        "changes": [[call.step, call.stream, call.change] for call in trace],
        "digest": hashlib.sha256(image.convert("RGB").tobytes()).hexdigest()[:16],
    }


def _run_from(line: dict[str, Any]) -> GridRun:
    changes = {(step, stream): change for step, stream, change in line["changes"]}
    return GridRun(
        method_from(line["method"]),
        line["psnr_db"],
        line["tflops"],
        line["schedules"],
        changes,
        line["digest"],
    )


def fill_grids(part: tuple[int, int], prompts: int, steps: Sequence[int]) -> None:
    """Make the missing runs of the I-th of N parts."""
    for count in steps:
        for number in range(part[0], prompts, part[1]):
            grid = Grid(number, count)
            grid.fill(settings(count))
            print(
                f"grid: prompt {number + 1} of {prompts}, {count} steps: {len(grid.runs)} runs",
                file=sys.stderr,
                flush=True,
            )


def complete_grids(steps: int) -> list[tuple[Grid, dict[Method, GridRun]]]:
    """Return the grids in which every setting has a run."""
    grids = []
    for number in range(len(GRID)):
        if not path_of(request(number, steps)).is_file():
            continue
        grid, runs = Grid(number, steps), dict[Method, GridRun]()
        for method in settings(steps):
            if (grid_run := grid.run_of(method)) is None:
                break
            runs[method] = grid_run
        else:
            grids.append((grid, runs))
    return grids
