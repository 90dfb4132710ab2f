"""Jobs and rows for tests that draw nothing, and the command lines of tests that draw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from cache_engine.__main__ import main
from cache_engine.benchmark.folder import read_folder
from cache_engine.benchmark.job import BenchmarkJob, baseline_first
from cache_engine.models.catalog import resolve
from cache_engine.recipe import parse_recipe
from cache_engine.records import Engine, RunRequest
from cache_engine.runs.row import Row

PROMPTS = (
    "a small red apple on a blue background",
    "a large red strawberry on a white background",
    "a tiny yellow star on the top of a black background",
)
RECIPES = (
    "F1B0_W2MC2_R0.3_T1O1",
    "F1B0_W1MC3_R1_T1O1",
    "F2B1_W2MC1_R1_T0O0",
)  # the first two cost the same, so they are counted once
STEPS = 5
ENGINE = Engine(model="tiny", revision="r", dtype="float32", device="cpu", threads=1, versions="v")


def job(prompts: int = 3, recipes: tuple[str, ...] = RECIPES, **more: Any) -> BenchmarkJob:
    return BenchmarkJob(
        request=resolve(RunRequest(prompt="-", steps=STEPS)),
        prompts=PROMPTS[:prompts],
        settings=baseline_first(list(map(parse_recipe, recipes))),
        metrics=("psnr", "ssim"),
        **more,
    )


def row(number: int, setting: str, **more: Any) -> Row:
    return {"prompt": number, "setting": setting, "picture": f"images/{setting}/{number:05d}.png", **more}


def files(folder: Path) -> list[str]:
    """Write a file of prompts and a file of methods; return them as arguments."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "prompts.txt").write_text("\n".join(PROMPTS), encoding="utf-8")
    (folder / "methods.txt").write_text("\n".join(RECIPES), encoding="utf-8")
    return ["--prompts", str(folder / "prompts.txt"), "--methods", str(folder / "methods.txt")]


def arguments(inputs: Path, out: Path, *more: str) -> list[str]:
    return [
        "benchmark",
        "--model",
        "tiny",
        "--steps",
        str(STEPS),
        *files(inputs),
        "--metrics",
        "psnr,ssim",
        "--threads",
        "1",
        "--out",
        str(out),
        *more,
    ]


def run(inputs: Path, out: Path, *more: str) -> int:
    return main(arguments(inputs, out, *more))


def untimed(out: Path) -> list[str]:
    """Return the table's rows in the job's order, without times."""
    return [
        json.dumps({name: value for name, value in line.items() if name != "seconds"})
        for line in read_folder(out)[2]
    ]


def pictures(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("*.png"))}
