"""``check``: tells whether one setting is close enough to the baseline on many prompts. The exit code is 3 if
it is not.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np

from ..strict import EngineError
from .shared import (
    Answer,
    Command,
    method_arguments,
    method_from_options,
    number,
    real,
    request_arguments,
    request_from_options,
    tell_unread,
)

FALLS_SHORT = 3  # exit code of a setting that is not close enough


def arguments(parser: argparse.ArgumentParser) -> None:
    request_arguments(parser)
    method_arguments(parser, default="dbcache")
    parser.add_argument(
        "--prompts",
        type=Path,
        required=True,
        metavar="FILE",
        help="file with one prompt a line, or a JSON list",
    )
    parser.add_argument("--seed", default="0", help="seed of the starting noise")
    parser.add_argument("--min-psnr", required=True, help="lowest PSNR that is close enough, in dB")
    parser.add_argument(
        "--percentile",
        default="5",
        help="percentile of the prompts' PSNR that must reach --min-psnr; 0 takes the worst prompt",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder that keeps the pictures and their table; the same command resumes",
    )


def run(options: argparse.Namespace) -> Answer:
    from ..benchmark.prompts import prompts_from_file
    from ..models.catalog import resolve
    from ..tuning.measurements import Measurements

    prompts, method = prompts_from_file(options.prompts), method_from_options(options)
    floor, percentile = real(options.min_psnr), real(options.percentile)
    if not isinstance(floor, float) or not isinstance(percentile, float) or not 0 <= percentile <= 100:
        raise EngineError("min-psnr, percentile: not valid; give dB, and a number from 0 to 100.")
    if not prompts:
        raise EngineError(f"prompts: {options.prompts} holds no prompt; write one prompt per line.")
    request = resolve(request_from_options(options, prompt=prompts[0], seed=number(options.seed)))
    tell_unread(request, prompts)
    closeness = []
    with (
        tempfile.TemporaryDirectory() as temporary,
        Measurements(options.out or Path(temporary), request, prompts) as runs,
    ):
        for place in range(len(prompts)):
            runs.measure_baseline(place)
            closeness.append(runs.measure(place, method).closeness)
    reached, worst = float(np.percentile(closeness, percentile)), int(np.argmin(closeness))
    data = {
        "method": method.to_dict(),
        "prompts": len(prompts),
        "min_psnr": floor,
        "percentile": percentile,
        "reached_db": reached,
        "holds": reached >= floor,
        "share_above": float(np.mean(np.array(closeness) >= floor)),
        "mean_db": float(np.mean(closeness)),
        "worst_db": closeness[worst],
        "worst_prompt": prompts[worst],
    }
    verdict = "holds" if data["holds"] else "falls short"
    return Answer(
        data,
        f"{verdict}: percentile {percentile:g} of {len(prompts)} prompts is {reached:.1f} dB, wanted "
        f"{floor:g}; {data['share_above']:.0%} of them reach the goal, the worst has "
        f"{closeness[worst]:.1f} dB ({prompts[worst]})",
        0 if data["holds"] else FALLS_SHORT,
    )


COMMAND = Command(
    "check",
    "tell whether one setting is close enough on many prompts (exit code 3 if it is not)",
    arguments,
    run,
)
