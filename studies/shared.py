"""Parts that several studies share: their folders, files of JSON lines, processes, and
runs without clocks.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from PIL import Image

from cache_engine import MODELS, Method, RunRequest, attached, lines_of
from cache_engine.flops import costs
from cache_engine.loading import load_model
from cache_engine.plans import FixedPlan
from cache_engine.records import StepTrace
from cache_engine.runner import draw, fresh_scheduler

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
BUILD = ROOT / "build"


def results_folder(study: str) -> Path:
    """Make the folder for a study's results on the embedded model's present weights,
    and return the folder.
    """
    folder = BUILD / study / MODELS["tiny"].revision()
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def read_json_lines(path: Path) -> Iterator[Any]:
    """Yield the values of a file with one JSON value a line. Lines that a killed process left unfinished are
    skipped.
    """
    for line in lines_of(path.read_text(encoding="utf-8")) if path.is_file() else ():
        try:
            yield json.loads(line)
        except ValueError:
            continue


def append_json_line(path: Path, value: Any) -> None:
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(value, ensure_ascii=False) + "\n")


def read_part(text: str) -> tuple[int, int]:
    """Read ``I/N``: the I-th of N parts, counted from 0."""
    place, parts = map(int, text.split("/"))
    return place, parts


def run_processes(study: str, arguments: Sequence[Sequence[str]]) -> None:
    """Run ``python -m studies.STUDY`` once for each list of arguments, all at the same time, with one thread
    each.

    Raises SystemExit if a process fails.
    """
    environment = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    processes = [
        subprocess.Popen([sys.executable, "-m", f"studies.{study}", *each], cwd=ROOT, env=environment)
        for each in arguments
    ]
    # wait for all processes, whatever the first one returns
    codes = [process.wait() for process in processes]
    if any(codes):
        raise SystemExit(f"{study}: a process failed; its results are stored: run the same command again.")


def draw_unclocked(request: RunRequest, method: Method) -> tuple[Image.Image, tuple[StepTrace, ...]]:
    """Draw a picture as ``run`` does, but without warm-up and clocks, because studies
    make thousands of runs.
    """
    model = load_model(request.model)
    request = model.spec.resolve(method.effective(model.spec.resolve(request)))
    plan = method.plan(model.spec.facts(request))
    fresh_scheduler(model)
    with attached(model.pipe, FixedPlan(plan)) as session:
        session.costs = costs(request, plan, model.pipe.transformer)
        return draw(model, request), session.trace


def write_page(path: Path, text: str) -> None:
    """Write a page of docs/ with the same line ends on every system."""
    path.parent.mkdir(exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
