"""``simulate``: estimates one setting from a baseline's survey, without running it."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from .shared import Answer, Command, method_arguments, method_from_options

if TYPE_CHECKING:
    from ..whatif.simulation import Forecast  # imports numpy


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--survey",
        type=Path,
        required=True,
        metavar="FILE",
        help="survey.npz file that `compare --out` wrote",
    )
    method_arguments(parser, default="dbcache")


def run(options: argparse.Namespace) -> Answer:
    from ..report import forecast_json
    from ..whatif.psnr_calibration import psnr_calibration_of  # imports numpy
    from ..whatif.simulation import simulate
    from ..whatif.survey_file import load

    survey = load(options.survey)
    forecast = simulate(survey, method_from_options(options), psnr_calibration_of(survey))
    return Answer(forecast_json(forecast), text(forecast))


def text(forecast: Forecast) -> str:
    likeness = (
        f"{forecast.psnr_db:.1f} dB ({_band(forecast)})"
        if forecast.psnr_db is not None
        else ("identical" if forecast.identical else forecast.note)
    )
    compute = (
        f"{forecast.compute_ratio:.2f}x less compute" if forecast.compute_ratio else "compute is not counted"
    )
    return (
        f"estimated from the baseline run: {forecast.speedup:.2f}x faster, {compute}, {likeness}, "
        f"{forecast.steps_computed} of {len(forecast.schedule)} steps computed\n"
        + "\n".join(forecast.schedules.values())
    )


def _band(forecast: Forecast) -> str:
    return f"{forecast.band[0]:.1f} to {forecast.band[1]:.1f}" if forecast.band else forecast.note


COMMAND = Command(
    "simulate", "estimate one setting from a baseline's survey, without running it", arguments, run
)
