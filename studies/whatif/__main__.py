"""Tests the what-if against real runs of the embedded model. ``make what-if`` writes docs/what-if.md.

First the PSNR calibration is fitted, on its own prompts and settings. Then forecasts of other prompts are
compared with real runs. Runs are stored under build/what-if/ as they are made: to resume, run the same
command again. Runs of other weights are ignored. Several processes can share the work (--part).
"""

from __future__ import annotations

import argparse
import json
import sys

from cache_engine import MODELS, method_from, write_whole
from cache_engine.whatif.expected_psnr import psnr_expected
from cache_engine.whatif.psnr_calibration import CheckedForecast, PsnrCalibration, calibrate_forecasts
from cache_engine.whatif.replay import replay
from studies.shared import DOCS, read_part
from studies.whatif.store import CALIBRATING, SCORED, Case, RunStore, cases
from studies.whatif.table import write


def make_missing(name: str, wanted: list[Case], part: tuple[int, int]) -> RunStore:
    """Make the missing runs of the I-th of N parts. All runs of one baseline are in the same part."""
    store = RunStore(name)
    mine = [case for case in wanted if (case.seed + case.steps // 4) % part[1] == part[0]]
    for place, case in enumerate(mine):
        if case not in store.done:
            store.add(case)
            print(f"{name}: {place + 1} of {len(mine)}", file=sys.stderr, flush=True)
    return store


def calibrate(store: RunStore) -> PsnrCalibration | None:
    """Fit the PSNR calibration to the runs so far, and store it beside the weights."""
    runs: list[CheckedForecast] = []
    for case, line, survey in store.with_surveys():
        expected = psnr_expected(
            survey, replay(survey, method_from(line["method"]).plan(survey.facts), survey.facts)
        )
        if line["psnr_db"] is not None and expected is not None:
            runs.append(CheckedForecast(case.prompt, expected, line["psnr_db"]))
    calibration = calibrate_forecasts("tiny", store.revision, runs)
    path = MODELS["tiny"].psnr_calibration
    if calibration is not None and path is not None:
        write_whole(path, (json.dumps(calibration._asdict(), indent=1) + "\n").encode())
    return calibration


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--settings", type=int, default=200, help="number of random settings for each prompt and step count"
    )
    parser.add_argument(
        "--static", type=int, default=20, help="number of static settings for each prompt and step count"
    )
    parser.add_argument("--prompts", type=int, default=len(SCORED))
    parser.add_argument("--steps", default="28,50")
    parser.add_argument(
        "--calibrating",
        type=int,
        default=15,
        help="number of random settings for each calibration prompt and step count",
    )
    parser.add_argument(
        "--wide",
        type=int,
        default=9,
        help="number of settings from a tune's space for each calibration prompt and step count",
    )
    parser.add_argument(
        "--part",
        metavar="I/N",
        help="make only the runs, and only the I-th of N parts: for several processes",
    )
    options = parser.parse_args()
    steps = tuple(map(int, options.steps.split(",")))
    part = read_part(options.part or "0/1")
    fitting = [
        case
        for seed, prompts in ((500, CALIBRATING[:6]), (600, CALIBRATING[6:]))
        for case in cases(prompts, seed, steps, options.calibrating, 0)
    ]
    fitting += [case._replace(kind="wide") for case in fitting if case.number < options.wide]
    calibrating = make_missing("calibration", fitting, part)
    wanted = list(cases(SCORED[: options.prompts], 700, steps, options.settings, options.static))
    scored = make_missing("scored", wanted, part)
    if not options.part:
        calibrate(calibrating)
        write(DOCS / "what-if.md", scored)


if __name__ == "__main__":
    main()
