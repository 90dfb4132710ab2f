"""``simulate``: what a survey says of one setting, without a run."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .shared import Answer, Command, method_arguments, method_from_options

if TYPE_CHECKING:
    from ..whatif.simulation import Forecast  # numpy


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--survey", type=Path, required=True, metavar="FILE", help="survey.npz that `compare --out` wrote"
    )
    method_arguments(parser, default="dbcache")


def run(options: argparse.Namespace) -> Answer:
    from ..report import forecast_json
    from ..whatif.psnr_calibration import psnr_calibration_of  # numpy
    from ..whatif.simulation import simulate
    from ..whatif.survey import load

    survey = load(options.survey)
    found = simulate(survey, method_from_options(options), psnr_calibration_of(survey))
    return Answer(forecast_json(found), text(found))


def text(found: Forecast) -> str:
    likeness = (
        f"{found.psnr_db:.1f} dB ({_band(found)})"
        if found.psnr_db is not None
        else ("identical" if found.identical else f"no estimate of the likeness: {found.note}")
    )
    compute = f"{found.compute_ratio:.2f}x less compute" if found.compute_ratio else "compute not counted"
    return (
        f"expected from the baseline run: {found.speedup:.2f}x faster, {compute}, {likeness}, "
        f"{found.steps_computed} of {len(found.schedule)} steps computed\n"
        + "\n".join(found.schedules.values())
    )


def _band(found: Forecast) -> str:
    return f"{found.band[0]:.1f} to {found.band[1]:.1f}" if found.band else found.note


COMMAND = Command("simulate", "what a baseline's survey says of one setting, without a run", arguments, run)
