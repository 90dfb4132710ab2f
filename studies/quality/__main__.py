"""Every method against the plain 50 steps of the embedded model, on prompts whose pairs training never
showed. ``make quality``.

Runs are kept under build/quality/ as they end, so it can be stopped and gone on with; runs of other weights
do not count. Likeness is measured by as many processes as --workers says; time apart from it, by one process
alone. The tables are docs/quality.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from PIL import Image

from cache_engine import METHODS, MODELS, Method, RunRequest, run
from cache_engine.flops import costs
from cache_engine.loading import load_model
from cache_engine.plans import FixedPlan
from cache_engine.quality import measure
from cache_engine.runner import draw, fresh_scheduler
from cache_engine.schedules import Drift
from cache_engine.sites.attach import attached, device_of
from cache_engine.sites.clock import Clock
from studies.quality.settings import SCORED, SEARCHED, Contender, contenders, request

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "build" / "quality"
REPEATS = 5  # timed runs
IN_TURN = 6  # contenders timed in the same minutes; the search's winners come first, so among themselves
BATCH = 10


class Score(NamedTuple):
    """One picture against the baseline's. psnr_db: None where they are identical. computed: of the first
    stream's steps.
    """

    psnr_db: float | None
    ssim: float
    computed: int
    tflops: float


def key(method: Method) -> str:
    """What a run is remembered by: the method and all its knobs."""
    return json.dumps(method.to_dict(), sort_keys=True, ensure_ascii=False)


class Store:
    """Scores and times as json lines, and the baselines' pictures. ``part``: the file that this process
    writes to.
    """

    def __init__(self, part: str = "all") -> None:
        self.revision = MODELS["tiny"].revision()
        self.folder = BUILD / self.revision
        self.folder.mkdir(parents=True, exist_ok=True)
        self.part = part
        self.scores: dict[tuple[str, int], Score] = {}
        self.times: dict[str, float] = {}
        for line in _lines(self.folder, "scores"):
            self.scores[line["key"], line["prompt"]] = Score(*line["score"])
        for line in _lines(self.folder, "times"):
            self.times[line["key"]] = line["ratio"]

    def write(self, kind: str, line: dict[str, Any]) -> None:
        with (self.folder / f"{kind}-{self.part}.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line, ensure_ascii=False) + "\n")

    def baseline(self, number: int) -> Image.Image:
        """The prompt's plain picture, from disk or a run."""
        asked = request(number)
        path = self.folder / f"{hashlib.sha256(asked.model_dump_json().encode()).hexdigest()[:16]}.png"
        if not path.is_file():
            made = path.with_suffix(f".{os.getpid()}")  # whole, or not at all
            run(asked, METHODS["baseline"]()).image.save(made, "PNG")
            made.replace(path)
        return Image.open(path).convert("RGB")

    def score(self, method: Method, numbers: Sequence[int]) -> list[Score]:
        """Of these prompts' pictures under the method, from disk or from runs."""
        name = key(method)
        missing = [number for number in numbers if (name, number) not in self.scores]
        for some in (
            [[number] for number in missing] if looks_at_data(method) else [missing] if missing else []
        ):
            pictures, computed, tflops = drawn([request(number) for number in some], method)
            for number, picture in zip(some, pictures, strict=True):
                likeness = measure(self.baseline(number), picture)
                self.scores[name, number] = score = Score(likeness.psnr_db, likeness.ssim, computed, tflops)
                self.write("scores", {"key": name, "prompt": number, "score": score})
        return [self.scores[name, number] for number in numbers]


def _lines(folder: Path, kind: str) -> Iterable[dict[str, Any]]:
    """What every process wrote; a line that a kill cut off does not count."""
    for path in sorted(folder.glob(f"{kind}-*.jsonl")):
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                yield json.loads(line)
            except ValueError:
                continue


def looks_at_data(method: Method) -> bool:
    """Whether what a picture shows decides how it is drawn: then it is drawn alone."""
    plan = method.plan(MODELS["tiny"].facts(method.effective(MODELS["tiny"].resolve(request(0)))))
    static = plan.signal is None or (isinstance(plan.schedule, Drift) and plan.schedule.static)
    return plan.predictor.needs_inner_products or not static


def drawn(requests: list[RunRequest], method: Method) -> tuple[list[Image.Image], int, float]:
    """Pictures, computed steps of the first stream and TFLOPs of each, all in one batch: as ``run`` draws
    them, 1.7 times as fast.
    """
    model = load_model("tiny")
    effective = [model.spec.resolve(method.effective(model.spec.resolve(one))) for one in requests]
    first = effective[0]
    plan = method.plan(model.spec.facts(first))
    fresh_scheduler(model)
    generators = [torch.Generator("cpu").manual_seed(one.seed) for one in effective]
    call = model.spec.call(first) | {
        "negative_prompt": [one.negative_prompt for one in effective],
        "generator": generators,
    }
    with attached(model.pipe, FixedPlan(plan)) as session:
        session.costs = costs(first, plan, model.pipe.transformer)
        pictures = model.pipe(
            prompt=[one.prompt for one in effective],
            num_inference_steps=first.steps,
            width=first.width,
            height=first.height,
            **call,
        ).images
    trace = session.trace
    computed = sum(one.mode == "C" for one in trace if one.stream == trace[0].stream)
    return pictures, computed, sum(one.tflops for one in trace) / len(pictures)


class ProcessorClock(Clock):
    """Seconds of this process's own work: with one thread, what a run takes where nothing else runs."""

    def synchronise(self) -> float:
        super().synchronise()
        return time.process_time()


def denoise_seconds(asked: RunRequest, method: Method) -> float:
    """Processor seconds of the denoise loop."""
    model = load_model("tiny")
    asked = model.spec.resolve(asked)
    effective = model.spec.resolve(method.effective(asked))
    plan = method.plan(model.spec.facts(effective))
    clock = ProcessorClock(device_of(model.pipe))
    fresh_scheduler(model)
    with attached(model.pipe, FixedPlan(plan), clock=clock):
        draw(model, effective)
    assert clock.loop_begins is not None
    assert clock.loop_ends is not None
    return clock.loop_ends - clock.loop_begins


def take_times(store: Store, wanted: list[Contender]) -> None:
    """The median of REPEATS runs over that of as many baselines; some contenders and the baseline take
    turns.
    """
    missing = [one for one in wanted if key(one.method) not in store.times]
    for start in range(0, len(missing), IN_TURN):
        some = missing[start : start + IN_TURN]
        methods = [METHODS["baseline"](), *(one.method for one in some)]
        rounds = [[denoise_seconds(request(SEARCHED), method) for method in methods] for _ in range(REPEATS)]
        plain, *own = map(statistics.median, zip(*rounds, strict=True))
        for contender, seconds in zip(some, own, strict=True):
            ratio = store.times[key(contender.method)] = seconds / plain
            store.write("times", {"key": key(contender.method), "ratio": ratio})
            print(f"time: {contender.label}: {ratio:.3f} of the baseline's", file=sys.stderr, flush=True)


def gather(store: Store, wanted: list[Contender], numbers: range) -> None:
    """Make what scores are missing, some prompts at a time."""
    for start in range(0, len(numbers), BATCH):
        for contender in wanted:
            store.score(contender.method, numbers[start : start + BATCH])
        print(f"{min(start + BATCH, len(numbers))} of {len(numbers)} prompts", file=sys.stderr, flush=True)


def in_processes(each: list[list[str]]) -> None:
    """This module again, once for each list of arguments, with one thread each. Raises SystemExit where one
    fails.
    """
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "studies.quality.__main__", *arguments], cwd=ROOT, env=environment
        )
        for arguments in each
    ]
    codes = [one.wait() for one in started]  # all of them, whatever the first says
    if any(codes):
        raise SystemExit("quality: a process failed; what was done is kept, so go on with the same command.")


def main() -> None:
    from studies.quality.table import write  # it reads this module

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=SCORED, help="how many of the scored prompts")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes for the scores")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--part", metavar="I/N", help="only make the I-th of N parts of the scores")
    only.add_argument("--times", action="store_true", help="only take the times")
    only.add_argument("--table", action="store_true", help="only write the page, from what there is")
    options = parser.parse_args()
    wanted = list(contenders())
    if options.part:
        place, parts = map(int, options.part.split("/"))
        gather(
            Store(options.part.replace("/", "-of-")),
            wanted,
            range(SEARCHED + place, SEARCHED + options.prompts, parts),
        )
    elif options.times:
        take_times(Store(), wanted)
    else:
        if not options.table:
            parts = range(options.workers)
            in_processes(
                [
                    ["--prompts", str(options.prompts), "--part", f"{place}/{options.workers}"]
                    for place in parts
                ]
            )
            in_processes([["--times"]])
        write(ROOT / "docs", Store(), wanted)


if __name__ == "__main__":
    main()
