"""The real runs of the what-if study: which runs it has, and how they are stored on disk."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import groupby
from typing import Any, NamedTuple

from PIL import Image

from cache_engine import METHODS, MODELS, Method, RunRequest, run
from cache_engine.methods.dbcache import DBCache
from cache_engine.plans import Signal
from cache_engine.quality import measure
from cache_engine.records import schedules_of
from cache_engine.tuning.space import FRACTION, USUAL_RANGES, parse_ranges
from cache_engine.whatif.survey import Survey
from cache_engine.whatif.survey_file import load
from studies.shared import append_json_line, draw_unclocked, read_json_lines, results_folder

# Pairs of thing and background that training never showed, drawn once (seed 2026). Nothing was fitted or
# chosen on them.
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
# The PSNR calibration is fitted on these prompts, and all its rules were chosen on them.
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
    """One real run.

    kind: random or static knobs; or wide: knobs as a tune draws them, with pictures that may be far from the
    baseline's.
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
    """Yield the cases: every prompt and step count has its own settings.

    The prompts take turns, so that any part of the runs covers all prompts equally.
    """
    for number in range(settings):
        for place, prompt in enumerate(prompts):
            for count in steps:
                yield Case("random", number, prompt, seed + place, count)
                if number * static % settings < static:
                    yield Case("static", number * static // settings, prompt, seed + place, count)


def setting(case: Case, survey: Survey) -> Method:
    """Draw a DBCache setting from the case's own seed. The threshold lies among the recorded changes."""
    draw = random.Random(repr(case))
    blocks, steps = survey.facts.blocks, survey.facts.steps
    if case.kind == "wide":
        return DBCache(
            **{
                name: draw.choice(values)
                for name, values in parse_ranges("dbcache", USUAL_RANGES).items()
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


class RunStore:
    """Runs in a file, one run a line. The surveys and pictures of the baselines are stored beside it."""

    def __init__(self, name: str) -> None:
        self.revision = MODELS["tiny"].revision()
        self.folder = results_folder("what-if")
        self.path = self.folder / f"{name}.jsonl"
        self.done: dict[Case, dict[str, Any]] = {}
        for line in read_json_lines(self.path):
            self.done[Case(*line["case"])] = line

    def survey(self, case: Case) -> tuple[Survey, Image.Image]:
        """Return the survey and the picture of a case's baseline, from disk or from a run."""
        stem = self.folder / f"{case.seed}-{case.steps}-{_hash(case.prompt):08x}"
        picture, survey = stem.with_suffix(".png"), stem.with_suffix(".npz")
        if not picture.is_file() or not survey.is_file():
            baseline = run(case.request, METHODS["baseline"](), survey=True)
            assert baseline.survey is not None
            baseline.survey.save(survey)
            baseline.image.save(picture)
        return load(survey), Image.open(picture).convert("RGB")

    def with_surveys(self) -> Iterator[tuple[Case, dict[str, Any], Survey]]:
        """Yield every run with its baseline's survey.

        All runs of one baseline come together, because they share results that the survey computes once (some
        hundred megabytes). These results are freed afterwards.
        """
        for _, runs in groupby(sorted(self.done, key=_baseline), key=_baseline):
            survey = None
            for case in runs:
                survey = survey or self.survey(case)[0]
                yield case, self.done[case], survey

    def add(self, case: Case) -> None:
        """Draw a case and store its run."""
        survey, picture = self.survey(case)
        method = setting(case, survey)
        image, trace = draw_unclocked(case.request, method)
        line = {
            "case": list(case),
            "method": method.to_dict(),
            "schedules": schedules_of(trace),
            "psnr_db": measure(picture, image).psnr_db,
            "changes": [call.change for call in trace],
        }
        append_json_line(self.path, line)
        self.done[case] = line


def _baseline(case: Case) -> tuple[str, int, int]:
    return case.prompt, case.seed, case.steps


def _hash(text: str) -> int:
    """Return a hash that is the same in every process."""
    return int.from_bytes(text.encode(), "big") % 0xFFFFFFFB
