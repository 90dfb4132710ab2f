"""A whole grid of real runs on the embedded model, against which tunes are measured. Run by ``python -m
studies.tune.__main__``.

Runs are kept under build/tune/ as they end, so it can be stopped and gone on with at any time; runs of other
weights do not count. A run tells what a setting would do that was not run: held against the changes that the
run itself measured, a setting that decides every call alike, and predicts alike, is the same run, bit for
bit. It is then drawn once (two of a prompt are drawn all the same, and have to be equal).
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from cache_engine import METHODS, MODELS, Method, RunRequest, method_from, run
from cache_engine.models.catalog import facts_of
from cache_engine.plans import ModelFacts
from cache_engine.quality import measure
from cache_engine.records import StepTrace, schedules_of
from cache_engine.session import walk
from cache_engine.tuning import space
from cache_engine.tuning.candidates import prediction
from cache_engine.tuning.measurements import IDENTICAL
from cache_engine.whatif.survey import Survey, load
from studies.tune.prompts import GRID
from studies.whatif.__main__ import drawn

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "tune"
SEED = 2600
STEPS = (28, 50)
# 300 settings: a tune's own ranges, thinned; and beside them the plain model with fewer steps.
VARY = {
    "Fn_compute_blocks": "1, 4",
    "max_warmup_steps": "2, 4",
    "max_continuous_cached_steps": "2, 4, 6, 10, -1",
    "residual_diff_threshold": "0.08, 0.16, 0.32, 0.5, 1",
    "taylorseer_order": "0..2",
}
TWICE = 2  # settings of a prompt that are drawn though a run stands for them
Change = dict[tuple[int, str], float | None]  # by step and stream


class Ran(NamedTuple):
    """One real run. psnr_db: None where the picture is the baseline's own.  digest: of the picture."""

    method: Method
    psnr_db: float | None
    tflops: float
    schedules: dict[str, str]
    changes: Change
    digest: str

    @property
    def closeness(self) -> float:
        return IDENTICAL if self.psnr_db is None else self.psnr_db

    def stands_for(self, method: Method, facts: ModelFacts) -> bool:
        """Whether a run of ``method`` would be this run: on the changes that were measured here, it decides
        every call alike.
        """
        if prediction(method) != prediction(self.method) or type(method).effective is not Method.effective:
            return method == self.method
        walked = walk(
            method.plan(facts), facts.steps, facts.streams, lambda call: self.changes[call.step, call.stream]
        )  # type: ignore[arg-type]
        return schedules_of(walked.trace) == self.schedules


def request(number: int, steps: int) -> RunRequest:
    return RunRequest(model="tiny", prompt=GRID[number], seed=SEED + number, steps=steps)


def settings(steps: int) -> list[Method]:
    facts = facts_of(request(0, steps))
    return [*space.grid("dbcache", space.ranges("dbcache", VARY), facts), *space.fewer_steps_methods(facts)]


def path_of(asked: RunRequest) -> Path:
    """The runs of one request; its baseline's picture and survey lie beside it."""
    return (
        BUILD
        / MODELS["tiny"].revision()
        / f"{hashlib.sha256(asked.model_dump_json().encode()).hexdigest()[:16]}.jsonl"
    )


class Grid:
    """The real runs of one prompt and number of steps, and what its baseline recorded."""

    def __init__(self, number: int, steps: int) -> None:
        self.request = request(number, steps)
        self.facts = facts_of(self.request)
        self._path = path_of(self.request)
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self.runs = [_read(line) for line in _lines(self._path)]
        self.survey, self._baseline = self._recorded()

    def _recorded(self) -> tuple[Survey, Image.Image]:
        """The baseline's survey and picture, from disk or a run."""
        picture, survey = self._path.with_suffix(".png"), self._path.with_suffix(".npz")
        if not picture.is_file():
            found = run(self.request, METHODS["baseline"](), survey=True)
            assert found.survey is not None
            found.survey.save(survey)
            found.image.save(picture)
        return load(survey), Image.open(picture).convert("RGB")

    def of(self, method: Method) -> Ran | None:
        """The setting's own run, or one that stands for it."""
        own = next((one for one in self.runs if one.method == method), None)
        return own or next((one for one in self.runs if one.stands_for(method, self.facts)), None)

    @property
    def twice(self) -> list[Ran]:
        """Those for which an earlier run would have stood."""
        return [
            one
            for place, one in enumerate(self.runs)
            if any(other.stands_for(one.method, self.facts) for other in self.runs[:place])
        ]

    def fill(self, methods: Iterable[Method]) -> None:
        """Make the runs that are missing."""
        twice = len(self.twice)
        for method in methods:
            known = self.of(method)
            if known is not None and (known.method == method or twice >= TWICE):
                continue
            made = self._draw(method)
            if known is not None:
                twice += 1
                if made.digest != known.digest or made.schedules != known.schedules:
                    raise AssertionError(f"{method.to_dict()} is not the run of {known.method.to_dict()}")

    def _draw(self, method: Method) -> Ran:
        image, trace = drawn(self.request, method)
        line = _line(method, measure(self._baseline, image).psnr_db, trace, image)
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self.runs.append(_read(line))
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


def _read(line: dict[str, Any]) -> Ran:
    changes = {(step, stream): change for step, stream, change in line["changes"]}
    return Ran(
        method_from(line["method"]),
        line["psnr_db"],
        line["tflops"],
        line["schedules"],
        changes,
        line["digest"],
    )


def _lines(path: Path) -> Iterable[dict[str, Any]]:
    """A line that a kill cut off does not count."""
    for line in path.read_text(encoding="utf-8").splitlines() if path.is_file() else ():
        try:
            yield json.loads(line)
        except ValueError:
            continue


def gather(part: tuple[int, int], prompts: int, steps: Sequence[int]) -> None:
    """Make what runs are missing of the I-th of N parts."""
    for count in steps:
        for number in range(part[0], prompts, part[1]):
            grid = Grid(number, count)
            grid.fill(settings(count))
            print(
                f"grid: prompt {number + 1} of {prompts}, {count} steps: {len(grid.runs)} runs",
                file=sys.stderr,
                flush=True,
            )


def whole(steps: int) -> list[tuple[Grid, dict[Method, Ran]]]:
    """The grids that are complete, every setting with its run."""
    found = []
    for number in range(len(GRID)):
        if not path_of(request(number, steps)).is_file():
            continue
        grid, runs = Grid(number, steps), dict[Method, Ran]()
        for method in settings(steps):
            if (known := grid.of(method)) is None:
                break
            runs[method] = known
        else:
            found.append((grid, runs))
    return found
