"""What a tune is worth: held against a whole grid of real runs, and against prompts that it never saw. Part
of ``make what-if``.

Writes docs/tune.md. What was run is kept under build/tune/ (see studies/tune/grid.py), so it can be stopped and
gone on with at any time.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from cache_engine import MODELS
from cache_engine.__main__ import main as command
from studies.tune.grid import BUILD, ROOT, STEPS, gather
from studies.tune.prompts import ACCEPTED, GRID, TUNED

FLOORS = (30, 40, 45)  # dB
TUNES = tuple((floor, STEPS[0]) for floor in FLOORS[:2])  # made whole, with their acceptance
SEED = 2700


def folder_of(floor: float, steps: int) -> Path:
    return BUILD / MODELS["tiny"].revision() / f"tune-{floor}-{steps}"


def arguments(floor: float, steps: int) -> list[str]:
    """Of ``python -m cache_engine``; the prompts are written to files beside the folder."""
    out = folder_of(floor, steps)
    for name, prompts in (("tuned", TUNED), ("accepted", ACCEPTED)):
        (out.parent / f"{name}.txt").write_text("\n".join(prompts) + "\n", encoding="utf-8")
    return [
        "tune",
        "--model",
        "tiny",
        "--steps",
        str(steps),
        "--seed",
        str(SEED),
        "--prompts",
        str(out.parent / "tuned.txt"),
        "--accept",
        str(out.parent / "accepted.txt"),
        "--min-psnr",
        str(floor),
        "--out",
        str(out),
    ]


def in_processes(workers: int, more: list[str]) -> None:
    """The grid's runs, by so many processes with one thread each. Raises SystemExit where one fails."""
    environment: dict[str, Any] = os.environ | {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "studies.tune.__main__", "--part", f"{place}/{workers}", *more],
            cwd=ROOT,
            env=environment,
        )
        for place in range(workers)
    ]
    codes = [one.wait() for one in started]  # all of them, whatever the first says
    if any(codes):
        raise SystemExit("tune: a process failed; what was done is kept, so go on with the same command.")


def main() -> None:
    from studies.tune.table import write  # it reads this module

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=len(GRID), help="how many of the grid's prompts")
    parser.add_argument("--steps", default=",".join(map(str, STEPS)))
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes for the grid")
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--part", metavar="I/N", help="only make the I-th of N parts of the grid")
    only.add_argument("--table", action="store_true", help="only write the page, from what there is")
    options = parser.parse_args()
    steps = tuple(map(int, options.steps.split(",")))
    if options.part:
        place, parts = map(int, options.part.split("/"))
        gather((place, parts), options.prompts, steps)
        return
    if not options.table:
        in_processes(options.workers, ["--prompts", str(options.prompts), "--steps", options.steps])
        for floor, count in TUNES:
            if command(arguments(floor, count)):
                raise SystemExit("tune: it failed; what was done is kept, so go on with the same command.")
    write(ROOT / "docs", steps)


if __name__ == "__main__":
    main()
