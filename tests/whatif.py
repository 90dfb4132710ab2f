"""What the what-if is worth: real runs on the embedded model against their forecasts. ``make what-if``; table in docs/what-if.md.

Runs are kept under build/what-if/ as they end, so it can be stopped and gone on with at any time; runs of other weights do not
count. First the likeness is calibrated on prompts and settings of its own (--calibrate), then it is scored on others.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from cache_engine import METHODS, MODELS, Method, RunRequest, attached, run
from cache_engine.loading import loaded
from cache_engine.quality import measure
from cache_engine.records import Signal, StepTrace, schedules_of
from cache_engine.runner import draw, fresh_scheduler
from cache_engine.survey import Survey, load

BUILD = ROOT / "build" / "what-if"
# Written for this; the model saw none of them while the forecast was made, and the first ten are looked at in the end only.
SCORED = (
    "a large red strawberry on a white background", "a small fox on the left of a green background",
    "blue background, turtle, bottom right", "a happy dog in the middle of a purple background",
    "a tiny yellow star on the top of a black background", "on a pink background, a big cactus",
    "a rocket on the right of a gray background", "a pumpkin on a blue background",
    "orange background, small owl, top left", "a huge house on a yellow background")
CALIBRATING = (
    "a banana on a purple background", "a small blue whale at the bottom of a yellow background",
    "white background, car, left", "a big green tree on an orange background", "a little pig in the middle of a black background",
    "a large heart on the right of a green background")


class Case(NamedTuple):
    """One real run. ``kind``: random or static."""

    kind: str
    number: int
    prompt: str
    seed: int
    steps: int

    @property
    def request(self) -> RunRequest:
        return RunRequest(model="tiny", prompt=self.prompt, seed=self.seed, steps=self.steps)


def cases(prompts: tuple[str, ...], steps: tuple[int, ...], settings: int, static: int) -> Iterator[Case]:
    """Prompt by prompt and step count by step count, each with its own settings."""
    for seed, prompt in enumerate(prompts, 100):
        for count in steps:
            yield from (Case("random", number, prompt, seed, count) for number in range(settings))
            yield from (Case("static", number, prompt, seed, count) for number in range(static))


def setting(case: Case, survey: Survey) -> Method:
    """A DBCache setting drawn from the case's own seed: the threshold from the changes that were recorded, or one that is fixed."""
    draw = random.Random(repr(case))
    blocks, steps = survey.facts.blocks, survey.facts.steps
    front = draw.randint(1, blocks - 1)
    warmup = draw.randint(1, 8)
    knobs: dict[str, Any] = dict(
        Fn_compute_blocks=front, Bn_compute_blocks=draw.choice((0, 0, 0, draw.randint(0, blocks - 1 - front))),
        max_warmup_steps=warmup, warmup_interval=draw.choice((1, 1, 1, 2, 3)),
        max_cached_steps=draw.choice((-1, -1, -1, draw.randint(3, steps // 2))),
        max_continuous_cached_steps=draw.choice((-1, draw.randint(1, 8))), taylorseer_order=draw.choice((0, 1, 1, 2)),
        streak_rule=draw.choice(("1.5.3", "1.5.3", "before")))
    if case.kind == "static":
        limit = draw.randint(1, 4)
        return METHODS["dbcache"](**knobs | {"residual_diff_threshold": 1, "max_continuous_cached_steps": limit})
    changes = survey.changes(Signal("front_residual", "computed"), front)
    assert changes is not None
    after = [changes[0][step - 1][step] for step in range(warmup, steps)]
    threshold = draw.uniform(min(after), min(max(after), 0.99))
    return METHODS["dbcache"](**knobs | {"residual_diff_threshold": threshold})


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
        from PIL import Image

        stem = self.folder / f"{case.seed}-{case.steps}-{abs(hash_of(case.prompt)):08x}"
        picture, survey = stem.with_suffix(".png"), stem.with_suffix(".npz")
        if not picture.is_file():
            found = run(case.request, METHODS["baseline"](), survey=True)
            found.survey.save(survey)
            found.image.save(picture)
        return load(survey), Image.open(picture).convert("RGB")

    def add(self, case: Case) -> None:
        survey, picture = self.survey(case)
        method = setting(case, survey)
        image, trace = drawn(case.request, method)
        line = {"case": list(case), "method": method.described(), "schedules": schedules_of(trace),
                "psnr_db": measure(picture, image).psnr_db, "changes": [call.change for call in trace]}
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line) + "\n")
        self.done[case] = line


def drawn(request: RunRequest, method: Method) -> tuple[Any, tuple[StepTrace, ...]]:
    """As ``run`` draws it, less what is counted and clocked: thousands of runs are wanted."""
    model = loaded("tiny")
    request = model.spec.resolve(request)
    fresh_scheduler(model)
    with attached(model.pipe, method, plan=lambda facts: method.plan(model.spec.facts(request))) as session:
        return draw(model, request), session.trace


def hash_of(text: str) -> int:
    """The same in every process."""
    return int.from_bytes(text.encode(), "big") % 0xFFFFFFFB


def gather(name: str, wanted: list[Case], part: tuple[int, int]) -> Store:
    store = Store(name)
    mine = [case for case in wanted if (case.seed + case.steps // 4) % part[1] == part[0]]
    for place, case in enumerate(mine):
        if case not in store.done:
            store.add(case)
            print(f"{name}: {place + 1} of {len(mine)}", file=sys.stderr, flush=True)
    return store


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", type=int, default=200, help="random settings a prompt and step count")
    parser.add_argument("--static", type=int, default=20, help="static settings a prompt and step count")
    parser.add_argument("--prompts", type=int, default=10)
    parser.add_argument("--steps", default="28,50")
    parser.add_argument("--calibrate", type=int, default=0, metavar="SETTINGS", help="runs a calibration prompt; fits the likeness")
    parser.add_argument("--part", default="0/1", metavar="I/N", help="only gather, and only the I-th of N parts")
    options = parser.parse_args()
    steps = tuple(map(int, options.steps.split(",")))
    part = tuple(map(int, options.part.split("/")))
    if options.calibrate:
        gather("calibration", list(cases(CALIBRATING, steps, options.calibrate, 0)), part)
    if options.settings:
        gather("scored", list(cases(SCORED[:options.prompts], steps, options.settings, options.static)), part)


if __name__ == "__main__":
    main()
