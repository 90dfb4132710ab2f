"""Measures the scores and times of the quality study, and stores them on disk as they are measured."""

from __future__ import annotations

import hashlib
import json
import os
import statistics
import sys
import time
from collections.abc import Iterator, Sequence
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
from studies.quality.settings import SEARCHED, Contender, request
from studies.shared import append_json_line, read_json_lines, results_folder

REPEATS = 5  # number of timed runs of each side
# number of contenders timed in the same minutes; the search's winners come first, so they are timed together
IN_TURN = 6


class Score(NamedTuple):
    """One picture compared with the baseline's.

    psnr_db: None for an identical picture. computed: number of steps that the first stream computed.
    """

    psnr_db: float | None
    ssim: float
    computed: int
    tflops: float


def method_key(method: Method) -> str:
    """Return the name under which results are stored: the method with all its knobs."""
    return json.dumps(method.to_dict(), sort_keys=True, ensure_ascii=False)


class Store:
    """Scores and times in files of JSON lines, and the baselines' pictures.

    ``part`` names the file that this process writes to; the files of all processes are read.
    """

    def __init__(self, part: str = "all") -> None:
        self.revision = MODELS["tiny"].revision()
        self.folder = results_folder("quality")
        self.part = part
        self.scores: dict[tuple[str, int], Score] = {}
        self.times: dict[str, float] = {}
        for line in self._read("scores"):
            self.scores[line["key"], line["prompt"]] = Score(*line["score"])
        for line in self._read("times"):
            self.times[line["key"]] = line["ratio"]

    def _read(self, kind: str) -> Iterator[dict[str, Any]]:
        for path in sorted(self.folder.glob(f"{kind}-*.jsonl")):
            yield from read_json_lines(path)

    def write(self, kind: str, line: dict[str, Any]) -> None:
        append_json_line(self.folder / f"{kind}-{self.part}.jsonl", line)

    def baseline(self, number: int) -> Image.Image:
        """Return the plain picture of a prompt, from disk or from a run."""
        asked = request(number)
        path = self.folder / f"{hashlib.sha256(asked.model_dump_json().encode()).hexdigest()[:16]}.png"
        if not path.is_file():
            # so that other processes see either the whole file or none
            part = path.with_suffix(f".{os.getpid()}")
            run(asked, METHODS["baseline"]()).image.save(part, "PNG")
            part.replace(path)
        return Image.open(path).convert("RGB")

    def score(self, method: Method, numbers: Sequence[int]) -> list[Score]:
        """Return the scores of these prompts under a method, from disk or from new runs."""
        name = method_key(method)
        missing = [number for number in numbers if (name, number) not in self.scores]
        batches = [[number] for number in missing] if looks_at_data(method) else [missing] if missing else []
        for batch in batches:
            pictures, computed, tflops = draw_batch([request(number) for number in batch], method)
            for number, picture in zip(batch, pictures, strict=True):
                quality = measure(self.baseline(number), picture)
                self.scores[name, number] = score = Score(quality.psnr_db, quality.ssim, computed, tflops)
                self.write("scores", {"key": name, "prompt": number, "score": score})
        return [self.scores[name, number] for number in numbers]


def looks_at_data(method: Method) -> bool:
    """Return whether the picture's data decide in this method. Such a picture must not share a batch with
    others.
    """
    plan = method.plan(MODELS["tiny"].facts(method.effective(MODELS["tiny"].resolve(request(0)))))
    static = plan.signal is None or (isinstance(plan.schedule, Drift) and plan.schedule.static)
    return plan.predictor.needs_inner_products or not static


def draw_batch(requests: list[RunRequest], method: Method) -> tuple[list[Image.Image], int, float]:
    """Draw pictures in one batch as ``run`` draws them (up to rounding), 1.7 times as fast.

    Returns the pictures, the computed steps of the first stream, and the TFLOPs of one picture.
    """
    model = load_model("tiny")
    effective = [model.spec.resolve(method.effective(model.spec.resolve(each))) for each in requests]
    first = effective[0]
    plan = method.plan(model.spec.facts(first))
    fresh_scheduler(model)
    generators = [torch.Generator("cpu").manual_seed(each.seed) for each in effective]
    call = model.spec.call(first) | {
        "negative_prompt": [each.negative_prompt for each in effective],
        "generator": generators,
    }
    with attached(model.pipe, FixedPlan(plan)) as session:
        session.costs = costs(first, plan, model.pipe.transformer)
        pictures = model.pipe(
            prompt=[each.prompt for each in effective],
            num_inference_steps=first.steps,
            width=first.width,
            height=first.height,
            **call,
        ).images
    trace = session.trace
    computed = sum(call.mode == "C" for call in trace if call.stream == trace[0].stream)
    return pictures, computed, sum(call.tflops for call in trace) / len(pictures)


class ProcessorClock(Clock):
    """Measures seconds of this process's own work, which other processes do not
    lengthen (with one thread).
    """

    def synchronise(self) -> float:
        super().synchronise()
        return time.process_time()


def denoise_seconds(asked: RunRequest, method: Method) -> float:
    """Return the processor seconds of one denoising loop."""
    model = load_model(asked.model)
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
    """Time contenders: the median of REPEATS runs, divided by the median of as many baseline runs.

    The baseline and IN_TURN contenders alternate, so that a slow minute slows all of them.
    """
    missing = [contender for contender in wanted if method_key(contender.method) not in store.times]
    for start in range(0, len(missing), IN_TURN):
        some = missing[start : start + IN_TURN]
        methods = [METHODS["baseline"](), *(contender.method for contender in some)]
        rounds = [[denoise_seconds(request(SEARCHED), method) for method in methods] for _ in range(REPEATS)]
        plain, *own = map(statistics.median, zip(*rounds, strict=True))
        for contender, seconds in zip(some, own, strict=True):
            ratio = store.times[method_key(contender.method)] = seconds / plain
            store.write("times", {"key": method_key(contender.method), "ratio": ratio})
            print(f"time: {contender.label}: {ratio:.3f} of the baseline's", file=sys.stderr, flush=True)
