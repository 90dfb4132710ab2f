"""Tests tunes against a whole grid of real runs, and on prompts that the tunes did not use. ``make what-if``
runs it too.

It writes docs/tune.md. Runs are stored under build/tune/ (see studies/tune/grid.py): to resume, run the same
command again.
"""

from __future__ import annotations

import argparse
import os

from cache_engine.__main__ import main as command
from studies.shared import DOCS, read_part, run_processes
from studies.tune.grid import STEPS, fill_grids
from studies.tune.prompts import GRID
from studies.tune.table import write
from studies.tune.tunes import TUNES, arguments


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=len(GRID), help="number of the grid's prompts")
    parser.add_argument("--steps", default=",".join(map(str, STEPS)))
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="number of processes for the grid"
    )
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--part", metavar="I/N", help="make only the I-th of N parts of the grid")
    only.add_argument("--table", action="store_true", help="write only the page, from the runs so far")
    options = parser.parse_args()
    steps = tuple(map(int, options.steps.split(",")))
    if options.part:
        fill_grids(read_part(options.part), options.prompts, steps)
        return
    if not options.table:
        each = ["--prompts", str(options.prompts), "--steps", options.steps]
        parts = [[*each, "--part", f"{place}/{options.workers}"] for place in range(options.workers)]
        run_processes("tune", parts)
        for floor, count in TUNES:
            if command(arguments(floor, count)):
                raise SystemExit("tune: it failed; its runs are stored: run the same command again.")
    write(DOCS, steps)


if __name__ == "__main__":
    main()
