"""``compare``: runs both sides for one prompt, and writes the pictures and result.json into a folder."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ..files import SAFETENSORS, Lora, Picture
from ..records import Event, Progress, SideDone
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


def arguments(parser: argparse.ArgumentParser) -> None:
    request_arguments(parser)
    parser.add_argument("--prompt", required=True)
    parser.add_argument("--negative-prompt", default="")
    parser.add_argument("--seed", default="0", help="seed of the starting noise")
    parser.add_argument("--guidance")
    parser.add_argument(
        "--lora",
        action="append",
        default=[],
        metavar="FILE[:WEIGHT]",
        help="LoRA: a .safetensors file and its weight; may be repeated",
    )
    parser.add_argument(
        "--image",
        metavar="FILE",
        help="the input picture, for models that take one; transparent parts become white",
    )
    method_arguments(parser, default="dbcache")
    parser.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="folder for the pictures and result.json"
    )
    parser.add_argument(
        "--repeats",
        default="1",
        help="number of timed runs of each side, 1 to 20, in turn; the median time counts",
    )
    parser.add_argument(
        "--no-survey", action="store_true", help="do not record survey.npz, which takes a second baseline run"
    )


def run(options: argparse.Namespace) -> Answer:
    from ..comparison import repeats_of, run_comparison, why_no_survey  # these import torch
    from ..quality import difference
    from ..runs.run_folder import save_comparison

    method = method_from_options(options)
    guidance = {} if options.guidance is None else {"guidance": real(options.guidance)}
    request = request_from_options(
        options,
        prompt=options.prompt,
        negative_prompt=options.negative_prompt,
        seed=number(options.seed),
        loras=[lora(text) for text in options.lora],
        image=Picture(file=options.image) if options.image else None,
        **guidance,
    )
    unread = tell_unread(request, [request.prompt])
    folder = writable(options.out)
    result = run_comparison(
        request,
        method,
        emit=_report,
        survey=not options.no_survey,
        repeats=repeats_of(number(options.repeats)),
    )
    why = "" if options.no_survey or result.baseline.survey is not None else why_no_survey(result.baseline)
    data = save_comparison(
        result,
        folder,
        difference=difference(result.baseline.image, result.accelerated.image),
        **({"survey_note": why} if why else {}),
        **({"prompt_note": unread} if unread else {}),
    )
    psnr = "identical" if result.quality.identical else f"{result.quality.psnr_db:.1f} dB"
    note = f"{why}\n" if why else ""
    low, high = result.spread or (0, 0)
    times = (
        f", {low:.2f}x to {high:.2f}x in {len(result.accelerated.timed)} pairs of runs"
        if result.spread
        else ""
    )
    return Answer(
        data,
        f"{result.speedup:.2f}x faster{times} ({result.baseline.seconds.denoise:.2f} s -> "
        f"{result.accelerated.seconds.denoise:.2f} s denoising), {result.compute_ratio:.2f}x less compute, "
        f"{psnr}, SSIM {result.quality.ssim:.3f}\n{result.accelerated.schedule}\n{note}{folder}",
    )


def lora(text: str) -> Lora:
    """Return the LoRA that ``FILE[:WEIGHT]`` names. A colon inside the path (a Windows drive) belongs to the
    path.
    """
    file, colon, weight = text.rpartition(":")
    if colon and file.lower().endswith(SAFETENSORS):
        return Lora(file=file, weight=real(weight))
    return Lora(file=text)


def writable(folder: Path) -> Path:
    """Make the folder before the run, so that an unusable path is reported early. Raises EngineError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise EngineError(f"out: {folder} cannot be made ({reason}); choose another folder.") from None
    return folder


def _report(event: Event) -> None:
    """Print progress to stderr, one line for each stage, if stderr is a terminal. Otherwise stderr holds
    errors alone.
    """
    if not sys.stderr.isatty():
        return
    if isinstance(event, Progress) and event.call is None:
        print(f"{event.side}: {event.message}", file=sys.stderr)
    elif isinstance(event, SideDone):
        print(
            f"{event.side}: {event.result.schedule} in {event.result.seconds.denoise:.2f} s", file=sys.stderr
        )


COMMAND = Command("compare", "draw one prompt with and without a cache, and compare both", arguments, run)
