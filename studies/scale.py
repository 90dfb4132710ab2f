"""Measures how the benchmark scales with its workers, and the driver's time for a row.

``make scale`` writes docs/scale.md. Rates are counted from the first row after all workers have loaded the
model. For the driver's own time, it gets prepared rows with pictures of 1024 x 1024 as fast as it takes them:
from this process, and through a Ray actor.
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
from cache_engine.benchmark.folder import BenchmarkFolder, read_folder
from cache_engine.benchmark.job import BenchmarkJob, baseline_first
from cache_engine.benchmark.processes import Processes
from cache_engine.benchmark.work import DrawnRow
from cache_engine.models.catalog import resolve
from cache_engine.recipe import parse_recipe
from cache_engine.records import Engine, RunRequest
from cache_engine.runs.row import Row, png_of
from cache_engine.runs.setting import Setting
from studies.shared import DOCS, write_page

PAGE = DOCS / "scale.md"
TEXT = Path(__file__).with_name("scale_page.md")
SHARDS = "each with its `--shard I/N` and its own folder; `benchmark merge` joins the folders"
RECIPES = ("F1B0_W4MC3_R0.3_T1O1", "F1B0_W4MC6_R0.32_T1O1", "F1B0_W8I2MC8_R0.8")
ENGINE = Engine(model="tiny", revision="-", dtype="float32", device="none", versions="-")


def benchmark_job(prompts: int, steps: int, settings: int | None = None) -> BenchmarkJob:
    """Make a job. settings: the number of settings including the baseline; None: those of RECIPES."""
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


def rows_a_second(job: BenchmarkJob, workers: int) -> float:
    """Measure the rate of ``workers`` processes with one thread each."""
    with tempfile.TemporaryDirectory() as place, BenchmarkFolder(Path(place) / "out", job) as folder:
        crew, times, add = Processes(job, workers, 1), [], folder.add
        ready: set[int] = set()
        events = crew.events

        def noted() -> Iterator[CrewEvent]:
            for event in events():
                if isinstance(event, Ready):
                    ready.add(event.worker)
                yield event

        def timed(row: Row, png: bytes) -> None:
            add(row, png)
            if len(ready) == workers:
                times.append(time.perf_counter())

        crew.events, folder.add = noted, timed
        drive(folder, crew)
    return (len(times) - 1) / (times[-1] - times[0])


def picture(seed: int) -> bytes:
    """Draw a PNG of 1024 x 1024 that has as much detail, and as many bytes, as a photograph."""
    chance = np.random.default_rng(seed)
    smooth = Image.fromarray(chance.integers(0, 256, (64, 64, 3), dtype=np.uint8)).resize(
        (1024, 1024), Image.Resampling.BICUBIC
    )
    noisy = np.asarray(smooth) + chance.integers(-4, 5, (1024, 1024, 3))
    return png_of(Image.fromarray(noisy.clip(0, 255).astype(np.uint8)))


PNG = picture(0)


def prepared_rows(assignment: Assignment) -> Iterator[DrawnRow]:
    for setting in assignment.settings:
        yield DrawnRow(example_row(assignment.number, setting), PNG)


def example_row(number: int, setting: Setting) -> Row:
    """Make a row that is as long as a real row of 50 steps."""
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


class InstantCrew:
    """A crew of workers that need no time for a row."""

    size = 8

    def __init__(self) -> None:
        self._given: list[tuple[int, Assignment]] = []

    def give(self, worker: int, assignment: Assignment, baseline: bytes | None) -> None:
        self._given.append((worker, assignment))

    def events(self) -> Iterator[CrewEvent]:
        yield from (Ready(worker, ENGINE) for worker in range(self.size))
        while self._given:
            worker, assignment = self._given.pop(0)
            yield from (Produced(worker, row) for row in prepared_rows(assignment))
            yield Free(worker)

    def close(self) -> None: ...


class InstantActor(Actor):
    """A worker in a process of the cluster that needs no time for a row."""

    def __init__(self, job: str, threads: int) -> None:
        del job, threads

    def engine(self) -> Any:
        return ENGINE

    def work(self, assignment: Assignment, baseline: bytes | None) -> Iterator[DrawnRow]:
        yield from prepared_rows(assignment)


class Cost(NamedTuple):
    wall: float  # seconds for each row
    processor: float  # processor seconds of the driver alone, for each row


def driver_cost(crew: Crew, job: BenchmarkJob) -> Cost:
    """Measure the driver's time for a row."""
    with tempfile.TemporaryDirectory() as place, BenchmarkFolder(Path(place) / "out", job) as folder:
        times, add = [(time.perf_counter(), time.process_time())], folder.add

        def timed(row: Row, png: bytes) -> None:
            add(row, png)
            times.append((time.perf_counter(), time.process_time()))

        folder.add = timed
        drive(folder, crew)
        assert len(read_folder(folder.path)[2]) == len(job.keys)
    first, last = times[1], times[-1]
    return Cost((last[0] - first[0]) / (len(times) - 2), (last[1] - first[1]) / (len(times) - 2))


def page(one: float, two: float, alone: Cost, ray: Cost, steps: int, rows: int) -> str:
    """Fill in the page's text. one, two: rows a second with one worker and with two workers."""
    gpus = 16.0 / ray.wall
    drivers = math.ceil(1000 / gpus)
    return TEXT.read_text(encoding="utf-8").format(
        cores=os.cpu_count(),
        one=one,
        two=two,
        two_over_one=two / one,
        steps=steps,
        rows=rows,
        megabytes=len(PNG) / 1e6,
        alone_wall=1000 * alone.wall,
        alone_processor=1000 * alone.processor,
        ray_wall=1000 * ray.wall,
        ray_processor=1000 * ray.processor,
        ray_rate=1 / ray.wall,
        ray_megabytes=len(PNG) / 1e6 / ray.wall,
        gpus=gpus,
        drivers="one such driver" if drivers == 1 else f"{drivers} such drivers ({SHARDS})",
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=12)
    parser.add_argument("--steps", type=int, default=28)
    parser.add_argument(
        "--rows", type=int, default=200, help="number of prepared rows for measuring the driver's own time"
    )
    options = parser.parse_args()
    if shutil.disk_usage(tempfile.gettempdir()).free < 3 * options.rows * len(PNG):
        print(
            "scale: the temporary folder has too little room; set TMPDIR to a larger folder.", file=sys.stderr
        )
        return 2
    job = benchmark_job(options.prompts, options.steps)
    one, two = (rows_a_second(job, workers) for workers in (1, 2))
    prepared = benchmark_job(options.rows // 20, 28, settings=20)
    alone = driver_cost(InstantCrew(), prepared)
    ray = driver_cost(Cluster(prepared, "local", 1, 1, InstantActor), prepared)
    text = page(one, two, alone, ray, options.steps, len(job.keys))
    write_page(PAGE, text)
    print(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
