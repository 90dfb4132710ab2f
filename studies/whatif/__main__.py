"""What the what-if is worth: real runs on the embedded model against their forecasts. ``make what-if``; table
in docs/what-if.md.

Runs are kept under build/what-if/ as they end, so it can be stopped and gone on with at any time; runs of
other weights do not count. First the likeness is calibrated on prompts and settings of its own, then it is
scored on others. More processes (--part) help.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from cache_engine import METHODS, MODELS, Method, RunRequest, attached, method_from, run
from cache_engine.flops import costs
from cache_engine.loading import load_model
from cache_engine.methods.dbcache import DBCache
from cache_engine.plans import FixedPlan, Signal
from cache_engine.quality import measure
from cache_engine.records import StepTrace, schedules_of
from cache_engine.runner import draw, fresh_scheduler
from cache_engine.tuning.space import FRACTION, USUAL_RANGES, ranges
from cache_engine.whatif.expected_psnr import psnr_expected
from cache_engine.whatif.psnr_calibration import CheckedForecast, PsnrCalibration, calibrate_forecasts
from cache_engine.whatif.replay import replay
from cache_engine.whatif.survey import Survey, load

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "what-if"
# Pairs of thing and background that the model never saw, drawn once (seed 2026); nothing was fitted or looked
# at on them.
SCORED = (
    "on a green background, a small donut on the bottom",
    "top, fox, black background",
    "big cupcake, middle, pink",
    "on a green background, a huge ladybug at the bottom",
    "a medium green cactus at the left, gray background",
    "on a gray background, a medium banana at the bottom left",
    "a tiny pig at the bottom of a pink background",
    "a big heart on a red background, top",
    "huge panda, bottom right, blue",
    "on a white background, a rocket on the bottom left",
)
# The likeness is fitted on these, and every choice in it was made on them.
CALIBRATING = (
    "a banana on a purple background",
    "a small blue whale at the bottom of a yellow background",
    "white background, car, left",
    "a big green tree on an orange background",
    "a little pig in the middle of a black background",
    "a large heart on the right of a green background",
    "a large red strawberry on a white background",
    "a small fox on the left of a green background",
    "blue background, turtle, bottom right",
    "a happy dog in the middle of a purple background",
    "a tiny yellow star on the top of a black background",
    "on a pink background, a big cactus",
    "a rocket on the right of a gray background",
    "a pumpkin on a blue background",
    "orange background, small owl, top left",
    "a huge house on a yellow background",
)


class Case(NamedTuple):
    """One real run. ``kind``: random, static, or wide: as a tune draws it, which may be far from the
    baseline.
    """

    kind: str
    number: int
    prompt: str
    seed: int
    steps: int

    @property
    def request(self) -> RunRequest:
        return RunRequest(model="tiny", prompt=self.prompt, seed=self.seed, steps=self.steps)


def cases(
    prompts: tuple[str, ...], seed: int, steps: tuple[int, ...], settings: int, static: int
) -> Iterator[Case]:
    """Each prompt and step count with its own settings. The prompts take turns, so that a part of the runs
    covers them alike.
    """
    for number in range(settings):
        for place, prompt in enumerate(prompts):
            for count in steps:
                yield Case("random", number, prompt, seed + place, count)
                if number * static % settings < static:
                    yield Case("static", number * static // settings, prompt, seed + place, count)


def setting(case: Case, survey: Survey) -> Method:
    """A DBCache setting drawn from the case's own seed: the threshold from the changes that were recorded,
    or one that is fixed.
    """
    draw = random.Random(repr(case))
    blocks, steps = survey.facts.blocks, survey.facts.steps
    if case.kind == "wide":
        return DBCache(
            **{
                name: draw.choice(found)
                for name, found in ranges("dbcache", USUAL_RANGES).items()
                if name != FRACTION
            }
        )
    front = draw.randint(1, blocks - 1)
    warmup = draw.randint(1, 8)
    knobs: dict[str, Any] = dict(
        Fn_compute_blocks=front,
        Bn_compute_blocks=draw.choice((0, 0, 0, draw.randint(0, blocks - 1 - front))),
        max_warmup_steps=warmup,
        warmup_interval=draw.choice((1, 1, 1, 2, 3)),
        max_cached_steps=draw.choice((-1, -1, -1, draw.randint(3, steps // 2))),
        max_continuous_cached_steps=draw.choice((-1, draw.randint(1, 8))),
        taylorseer_order=draw.choice((0, 1, 1, 2)),
        streak_rule=draw.choice(("1.5.3", "1.5.3", "before")),
    )
    if case.kind == "static":
        limit = draw.randint(1, 4)
        knobs |= {"residual_diff_threshold": 1, "max_continuous_cached_steps": limit}
        return DBCache(**knobs)
    changes = survey.changes(Signal("front_residual", "computed"), front)
    assert changes is not None
    after = [changes[0][step - 1][step] for step in range(warmup, steps)]
    threshold = draw.uniform(min(after), min(max(after), 0.99))
    knobs |= {"residual_diff_threshold": threshold}
    return DBCache(**knobs)


class Store:
    """Runs in a file, one a line, and the baselines' surveys beside it."""

    def __init__(self, name: str) -> None:
        self.revision = MODELS["tiny"].revision()
        self.folder = BUILD / self.revision
        self.folder.mkdir(parents=True, exist_ok=True)
        self.path = self.folder / f"{name}.jsonl"
        self.done: dict[Case, dict[str, Any]] = {}
        if self.path.is_file():
            for line in self.path.read_text(encoding="utf-8").splitlines():
                found = json.loads(line)
                self.done[Case(*found["case"])] = found

    def survey(self, case: Case) -> tuple[Survey, Any]:
        """The baseline's survey and picture, from disk or a run."""
        stem = self.folder / f"{case.seed}-{case.steps}-{abs(hash_of(case.prompt)):08x}"
        picture, survey = stem.with_suffix(".png"), stem.with_suffix(".npz")
        if not picture.is_file() or not survey.is_file():
            found = run(case.request, METHODS["baseline"](), survey=True)
            assert found.survey is not None
            found.survey.save(survey)
            found.image.save(picture)
        return load(survey), Image.open(picture).convert("RGB")

    def surveyed(self) -> Iterator[tuple[Case, dict[str, Any], Survey]]:
        """Every run with its baseline's survey. A baseline's runs follow each other: what was worked out for
        one serves the others, and is let go after them, as it takes some hundred megabytes.
        """
        for _, runs in groupby(sorted(self.done, key=_baseline), key=_baseline):
            survey = None
            for case in runs:
                survey = survey or self.survey(case)[0]
                yield case, self.done[case], survey

    def add(self, case: Case) -> None:
        survey, picture = self.survey(case)
        method = setting(case, survey)
        image, trace = drawn(case.request, method)
        line = {
            "case": list(case),
            "method": method.to_dict(),
            "schedules": schedules_of(trace),
            "psnr_db": measure(picture, image).psnr_db,
            "changes": [call.change for call in trace],
        }
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self.done[case] = line


def _baseline(case: Case) -> tuple[str, int, int]:
    return case.prompt, case.seed, case.steps


def drawn(request: RunRequest, method: Method) -> tuple[Any, tuple[StepTrace, ...]]:
    """As ``run`` draws it, less what is clocked: thousands of runs are wanted."""
    model = load_model("tiny")
    request = model.spec.resolve(method.effective(model.spec.resolve(request)))
    plan = method.plan(model.spec.facts(request))
    fresh_scheduler(model)
    with attached(model.pipe, FixedPlan(plan)) as session:
        session.costs = costs(request, plan, model.pipe.transformer)
        return draw(model, request), session.trace


def hash_of(text: str) -> int:
    """The same in every process."""
    return int.from_bytes(text.encode(), "big") % 0xFFFFFFFB


def gather(name: str, wanted: list[Case], part: tuple[int, int]) -> Store:
    """Make what runs are missing of the I-th of N parts; a baseline's runs are all in one."""
    store = Store(name)
    mine = [case for case in wanted if (case.seed + case.steps // 4) % part[1] == part[0]]
    for place, case in enumerate(mine):
        if case not in store.done:
            store.add(case)
            print(f"{name}: {place + 1} of {len(mine)}", file=sys.stderr, flush=True)
    return store


def calibrate(store: Store) -> PsnrCalibration | None:
    """The likeness of the runs so far, kept beside the weights."""
    runs: list[CheckedForecast] = []
    for case, line, survey in store.surveyed():
        expected = psnr_expected(
            survey, replay(survey, method_from(line["method"]).plan(survey.facts), survey.facts)
        )
        if line["psnr_db"] is not None and expected is not None:
            runs.append(CheckedForecast(case.prompt, expected, line["psnr_db"]))
    calibration = calibrate_forecasts("tiny", store.revision, runs)
    path = MODELS["tiny"].psnr_calibration
    if calibration is not None and path is not None:
        calibration.save(path)
    return calibration


def main() -> None:
    from .table import write  # it reads this module

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", type=int, default=200, help="random settings a prompt and step count")
    parser.add_argument("--static", type=int, default=20, help="static settings a prompt and step count")
    parser.add_argument("--prompts", type=int, default=len(SCORED))
    parser.add_argument("--steps", default="28,50")
    parser.add_argument(
        "--calibrating", type=int, default=15, help="random settings a calibration prompt and step count"
    )
    parser.add_argument(
        "--wide", type=int, default=9, help="settings of a tune's space a calibration prompt and step count"
    )
    parser.add_argument(
        "--part",
        metavar="I/N",
        help="only make the runs, and only the I-th of N parts: for several processes",
    )
    options = parser.parse_args()
    steps = tuple(map(int, options.steps.split(",")))
    place, parts = map(int, (options.part or "0/1").split("/"))
    fitting = [
        case
        for seed, prompts in ((500, CALIBRATING[:6]), (600, CALIBRATING[6:]))
        for case in cases(prompts, seed, steps, options.calibrating, 0)
    ]
    fitting += [case._replace(kind="wide") for case in fitting if case.number < options.wide]
    first = gather("calibration", fitting, (place, parts))
    wanted = list(cases(SCORED[: options.prompts], 700, steps, options.settings, options.static))
    store = gather("scored", wanted, (place, parts))
    if not options.part:
        calibrate(first)
        write(ROOT / "docs" / "what-if.md", store, first)


if __name__ == "__main__":
    main()
