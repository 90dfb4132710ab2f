"""``calibrate``: fits a model's coefficients for TeaCache, MagCache and Kriging, and
writes them to a file.
"""

from __future__ import annotations

import argparse
import json
from functools import partial
from pathlib import Path

from ..models.catalog import spec_of
from ..runs.disk import write_whole
from ..strict import EngineError
from .shared import Answer, Command, number, request_arguments, request_from_options, tell_unread


def arguments(parser: argparse.ArgumentParser) -> None:
    request_arguments(parser)
    parser.add_argument(
        "--prompts",
        type=Path,
        metavar="FILE",
        help="file with one prompt a line; default: the model's example prompts",
    )
    parser.add_argument("--runs", default="8", help="number of pictures to draw, over all prompts")
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="FILE",
        help="JSON file to write; the embedded model reads assets/tiny_flux/calibration.json",
    )


def run(options: argparse.Namespace) -> Answer:
    from ..benchmark.prompts import prompts_from_file
    from ..calibration import calibrate
    from ..failures import OutOfMemoryGuard
    from ..loading import load_model
    from ..runner import draw

    runs = number(options.runs)
    if not isinstance(runs, int) or not 1 <= runs <= 100:
        raise EngineError(f"runs: {options.runs!r} is not valid; choose a whole number from 1 to 100.")
    spec = spec_of(options.model)
    prompts = prompts_from_file(options.prompts) if options.prompts else spec.examples
    if not prompts:
        empty = (
            f"{options.prompts} holds no prompt"
            if options.prompts
            else f"{spec.title} has no example prompts"
        )
        raise EngineError(f"prompts: {empty}; give --prompts FILE, one prompt per line.")
    model = load_model(options.model)
    requests = [
        model.spec.resolve(request_from_options(options, prompt=prompts[n % len(prompts)], seed=n))
        for n in range(runs)
    ]
    tell_unread(requests[0], prompts)
    with OutOfMemoryGuard(model.spec):
        coefficients = calibrate(model.pipe, [partial(draw, model, request) for request in requests])
    data = {
        "model": options.model,
        "revision": model.spec.revision(),
        "steps": requests[0].steps,
        "runs": runs,
        **coefficients._asdict(),
    }
    try:
        write_whole(options.out, (json.dumps(data) + "\n").encode())
    except OSError as error:
        raise EngineError(
            f"out: {options.out} cannot be written ({error.strerror or type(error).__name__}); choose "
            "another file."
        ) from None
    curve = (
        "a polynomial"
        if coefficients.polynomial
        else "no polynomial (TeaCache's signal is not described for this model)"
    )
    return Answer(
        data, f"{len(coefficients.ratios or ())} ratios and {curve} from {runs} runs\n{options.out}"
    )


COMMAND = Command(
    "calibrate", "fit a model's coefficients for TeaCache, MagCache and Kriging", arguments, run
)
