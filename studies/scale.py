"""How the benchmark scales: workers against one, and what who drives spends on a row. ``make scale`` writes
docs/scale.md.

Rates are taken from the first row after all workers are ready. The driver's own cost: ready-made rows with a
picture of 1024 x 1024 are handed to it as fast as it takes them, from this process and through a Ray actor.
"""

from __future__ import annotations

import argparse
import math
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from cache_engine.benchmark.board import Assignment
from cache_engine.benchmark.cluster import Actor, Cluster
from cache_engine.benchmark.crew import Crew, CrewEvent, Free, Produced, Ready
from cache_engine.benchmark.drive import drive
from cache_engine.benchmark.folder import BenchmarkFolder, read
from cache_engine.benchmark.job import BenchmarkJob, baseline_first
from cache_engine.benchmark.processes import Processes
from cache_engine.benchmark.work import DrawnRow
from cache_engine.models.catalog import resolve
from cache_engine.recipe import parse_recipe
from cache_engine.records import Engine, RunRequest
from cache_engine.runs.row import Row, png_of
from cache_engine.runs.setting import Setting

PAGE = Path(__file__).resolve().parents[1] / "docs" / "scale.md"
RECIPES = ("F1B0_W4MC3_R0.3_T1O1", "F1B0_W4MC6_R0.32_T1O1", "F1B0_W8I2MC8_R0.8")
ENGINE = Engine(model="tiny", revision="-", dtype="float32", device="none", versions="-")


def job(prompts: int, steps: int, settings: int | None = None) -> BenchmarkJob:
    texts = tuple(
        f"a {colour} apple on a {ground} background"
        for colour in ("red", "green", "yellow", "blue", "white")
        for ground in ("black", "gray", "pink", "orange", "purple")
    )
    recipes = (
        RECIPES
        if settings is None
        else tuple(f"F1B0_W4MC3_R{0.001 * place:.3f}" for place in range(1, settings))
    )
    return BenchmarkJob(
        request=resolve(RunRequest(prompt="-", steps=steps)),
        prompts=(texts * 8)[:prompts],
        settings=baseline_first(list(map(parse_recipe, recipes))),
        metrics=("psnr", "ssim"),
    )


def rate(wanted: BenchmarkJob, workers: int) -> float:
    """Rows a second of so many processes of one thread."""
    with tempfile.TemporaryDirectory() as place, BenchmarkFolder(Path(place) / "out", wanted) as folder:
        crew, times, add = Processes(wanted, workers, 1), [], folder.add
        ready: set[int] = set()
        events = crew.events

        def heard() -> Iterator[CrewEvent]:
            for event in events():
                if isinstance(event, Ready):
                    ready.add(event.worker)
                yield event

        def timed(row: Row, png: bytes) -> None:
            add(row, png)
            if len(ready) == workers:
                times.append(time.perf_counter())

        crew.events, folder.add = heard, timed
        drive(folder, crew)
    return (len(times) - 1) / (times[-1] - times[0])


def picture(seed: int) -> bytes:
    """1024 x 1024 with as much detail as a photograph: about as many bytes as one."""
    chance = np.random.default_rng(seed)
    smooth = Image.fromarray(chance.integers(0, 256, (64, 64, 3), dtype=np.uint8)).resize(
        (1024, 1024), Image.Resampling.BICUBIC
    )
    noisy = np.asarray(smooth) + chance.integers(-4, 5, (1024, 1024, 3))
    return png_of(Image.fromarray(noisy.clip(0, 255).astype(np.uint8)))


PNG = picture(0)


def ready_made(assignment: Assignment) -> Iterator[DrawnRow]:
    for setting in assignment.settings:
        yield DrawnRow(row(assignment.number, setting), PNG)


def row(number: int, setting: Setting) -> Row:
    """As long as a real one of 50 steps."""
    return {
        "prompt": number,
        "setting": setting.key,
        "text": "a" * 80,
        "seed": 0,
        "steps": 50,
        "computed": 12,
        "schedules": {"cond": "C" * 50},
        "tflops": 944.7512345,
        "peak_bytes": 36 << 30,
        "cache_bytes": 56623104,
        "seconds": {"encode": 0.1234567, "denoise": 10.1234567, "decode": 0.1234567},
        "picture": f"images/{setting.folder}/{number:05d}.png",
        "metrics": {"psnr": 31.123456789},
    }


class Instant:
    """Workers that need no time."""

    size = 8

    def __init__(self) -> None:
        self._given: list[tuple[int, Assignment]] = []

    def give(self, worker: int, assignment: Assignment, baseline: bytes | None) -> None:
        self._given.append((worker, assignment))

    def events(self) -> Iterator[CrewEvent]:
        yield from (Ready(worker, ENGINE) for worker in range(self.size))
        while self._given:
            worker, assignment = self._given.pop(0)
            yield from (Produced(worker, made) for made in ready_made(assignment))
            yield Free(worker)

    def close(self) -> None: ...


class InstantActor(Actor):
    """The same in a process of the cluster."""

    def __init__(self, job: str, threads: int) -> None:
        del job, threads

    def engine(self) -> Any:
        return ENGINE

    def work(self, assignment: Assignment, baseline: bytes | None) -> Iterator[DrawnRow]:
        yield from ready_made(assignment)


class Cost(NamedTuple):
    wall: float  # seconds a row
    processor: float  # of who drives alone


def cost(crew: Crew, wanted: BenchmarkJob) -> Cost:
    with tempfile.TemporaryDirectory() as place, BenchmarkFolder(Path(place) / "out", wanted) as folder:
        times, add = [(time.perf_counter(), time.process_time())], folder.add

        def timed(row: Row, png: bytes) -> None:
            add(row, png)
            times.append((time.perf_counter(), time.process_time()))

        folder.add = timed
        drive(folder, crew)
        assert len(read(folder.path)[2]) == len(wanted.keys)
    first, last = times[1], times[-1]
    return Cost((last[0] - first[0]) / (len(times) - 2), (last[1] - first[1]) / (len(times) - 2))


def page(one: float, two: float, alone: Cost, ray: Cost, steps: int, rows: int) -> str:
    gpus = 16.0 / ray.wall
    drivers = math.ceil(1000 / gpus)
    apart = (
        ""
        if drivers == 1
        else "s, each with its `--shard I/N` and its own folder; `benchmark merge` joins them"
    )
    return f"""# How far the benchmark scales

Written by `make scale` on {os.cpu_count()} cores; rerun it to see your machine's.

| workers (processes, one thread each) | rows a second | ratio |
| --- | --- | --- |
| 1 | {one:.2f} | 1.00 |
| 2 | {two:.2f} | {two / one:.2f} |

The embedded model, {steps} steps, {rows} rows; counted from the first row after all workers have their model. A worker shares nothing with
the others but who drives: prompts are independent, and shares of a prompt get smaller towards the end, so that all end together.

| what who drives spends on a row (picture of {len(PNG) / 1e6:.1f} MB, both synced to disk) | ms, wall clock | ms, processor |
| --- | --- | --- |
| from this process: hand out, write picture and row | {1000 * alone.wall:.1f} | {1000 * alone.processor:.1f} |
| through Ray: the same, and the picture's way from an actor | {1000 * ray.wall:.1f} | {1000 * ray.processor:.1f} |

## A thousand GPUs on paper

One driver on Ray takes {1 / ray.wall:.0f} rows a second here, {len(PNG) / 1e6 / ray.wall:.0f} MB/s of pictures. A row of FLUX.1-dev at 50
steps, 1024 x 1024, takes an L20 between 10 s (`F1B0_W8I4MC10_R0.8`, published) and 43 s (the baseline): at a mean of 16 s one
driver keeps {gpus:.0f} GPUs busy. A thousand make 63 rows a second, the work of {drivers}
such driver{apart}. All of DrawBench under the 72 settings of `bench-default`
are 14,600 rows: 65 GPU-hours at 16 s, four minutes on a thousand.

What a worker's loss costs: the picture in the making, and loading the model again. What the driver's loss costs: one picture a worker.
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=12)
    parser.add_argument("--steps", type=int, default=28)
    parser.add_argument("--rows", type=int, default=200, help="ready-made ones")
    options = parser.parse_args()
    if shutil.disk_usage(tempfile.gettempdir()).free < 3 * options.rows * len(PNG):
        print("scale: the temporary folder has too little room; set TMPDIR to a larger one.", file=sys.stderr)
        return 2
    wanted = job(options.prompts, options.steps)
    one, two = (rate(wanted, workers) for workers in (1, 2))
    made = job(options.rows // 20, 28, settings=20)
    alone = cost(Instant(), made)
    ray = cost(Cluster(made, "local", 1, 1, InstantActor), made)
    text = page(one, two, alone, ray, options.steps, len(wanted.keys))
    PAGE.write_text(text, encoding="utf-8")
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
