"""Measures every method against the plain 50 steps of the embedded model. ``make quality`` writes
docs/quality.md.

The prompts have pairs of thing and background that training never showed. Results are stored under
build/quality/ as they are made: to resume, run the same command again. Results of other weights are ignored.
Likeness is measured in --workers processes. Time is measured separately, in one process.
"""

from __future__ import annotations

import argparse
import os
import sys

from studies.quality.settings import SCORED, SEARCHED, Contender, contenders
from studies.quality.store import Store, take_times
from studies.quality.table import write
from studies.shared import DOCS, read_part, run_processes

BATCH = 10


def score_missing(store: Store, wanted: list[Contender], numbers: range) -> None:
    """Make the missing scores, BATCH prompts at a time."""
    for start in range(0, len(numbers), BATCH):
        for contender in wanted:
            store.score(contender.method, numbers[start : start + BATCH])
        print(f"{min(start + BATCH, len(numbers))} of {len(numbers)} prompts", file=sys.stderr, flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=SCORED, help="number of scored prompts")
    parser.add_argument(
        "--workers", type=int, default=os.cpu_count() or 1, help="number of processes for the scores"
    )
    only = parser.add_mutually_exclusive_group()
    only.add_argument("--part", metavar="I/N", help="make only the I-th of N parts of the scores")
    only.add_argument("--times", action="store_true", help="measure only the times")
    only.add_argument("--table", action="store_true", help="write only the page, from the results so far")
    options = parser.parse_args()
    wanted = list(contenders())
    if options.part:
        place, parts = read_part(options.part)
        numbers = range(SEARCHED + place, SEARCHED + options.prompts, parts)
        score_missing(Store(options.part.replace("/", "-of-")), wanted, numbers)
    elif options.times:
        take_times(Store(), wanted)
    else:
        if not options.table:
            prompts, workers = str(options.prompts), options.workers
            run_processes(
                "quality",
                [["--prompts", prompts, "--part", f"{place}/{workers}"] for place in range(workers)],
            )
            run_processes("quality", [["--times"]])
        write(DOCS, Store(), wanted)


if __name__ == "__main__":
    main()
