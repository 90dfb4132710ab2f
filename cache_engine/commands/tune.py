"""``tune``: finds the best setting for a goal from estimates, and verifies it with real runs."""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path
from typing import Any

from ..strict import EngineError
from .shared import Answer, Command, number, pairs, real, request_arguments, request_from_options, tell_unread

GOALS = {"min_psnr": "close", "min_speedup": "fast", "min_compute_ratio": "cheap"}


def arguments(parser: argparse.ArgumentParser) -> None:
    request_arguments(parser)
    parser.add_argument("--prompt", action="append", default=[], help="prompt to tune on; may be repeated")
    parser.add_argument("--prompts", type=Path, metavar="FILE", help="file of prompts to tune on, one a line")
    parser.add_argument(
        "--accept",
        type=Path,
        metavar="FILE",
        help="file of other prompts, on which the best setting must reach the goal too",
    )
    parser.add_argument("--seed", default="0", help="seed of the starting noise")
    parser.add_argument("--min-psnr", help="goal: least compute with at least this PSNR in dB")
    parser.add_argument(
        "--min-speedup", help="goal: picture closest to the baseline's, at least this many times faster"
    )
    parser.add_argument(
        "--min-compute-ratio",
        help="goal: picture closest to the baseline's, with at least this many times less compute",
    )
    parser.add_argument("--share", default="0.95", help="share of the prompts that must reach the goal")
    parser.add_argument(
        "--most",
        default="6",
        help="number of settings to verify with real runs; as many again if the best ones miss the goal on "
        "--accept",
    )
    parser.add_argument("--minutes", help="verify no further setting after this many minutes")
    parser.add_argument(
        "--vary",
        action="append",
        default=[],
        metavar="[METHOD.]KNOB=RANGE",
        help="values to search, such as residual_diff_threshold='0.04..0.2 /5', fraction=0.5,0.75,1 (of the "
        "steps) or teacache.threshold='0.1..0.5 /5'; may be repeated, also for several methods; "
        "default: DBCache's usual ranges",
    )
    parser.add_argument(
        "--no-fewer-steps", action="store_true", help="leave out the plain model with fewer steps"
    )
    parser.add_argument(
        "--out",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder for the results; the same command resumes an interrupted tune",
    )


def run(options: argparse.Namespace) -> Answer:
    from ..runs.disk import write_whole, writing
    from ..tuning.report import tune_json

    minutes = real(options.minutes)
    if isinstance(minutes, str):
        raise EngineError(f"minutes: {minutes!r} is not valid; give a number.")
    ends = float("inf") if minutes is None else time.monotonic() + 60 * minutes
    data: dict[str, Any] = {}
    task = task_of(options)
    tell_unread(task.request, (*task.prompts, *task.acceptance))
    for data in tune_json(task, options.out, enough=lambda: time.monotonic() > ends):
        print(f"{data['stage']}: {data['doing']}", file=sys.stderr) if sys.stderr.isatty() else None
    with writing(options.out):
        write_whole(options.out / "result.json", json.dumps(data, indent=1, ensure_ascii=False).encode())
    return Answer(data, f"{text(data)}\n{options.out}")


def task_of(options: argparse.Namespace) -> Any:
    """Return the options as a TuneTask. Raises EngineError."""
    from ..benchmark.prompts import prompts_from_file
    from ..tuning.goal import Goal
    from ..tuning.space import USUAL_RANGES
    from ..tuning.tuner import TuneTask

    prompts = (*options.prompt, *(prompts_from_file(options.prompts) if options.prompts else ()))
    if not prompts:
        raise EngineError("prompt: missing; give --prompt or --prompts.")
    given = [name for name in GOALS if getattr(options, name) is not None]
    if len(given) != 1:
        raise EngineError("goal: give one of --min-psnr, --min-speedup and --min-compute-ratio.")
    value, share = real(getattr(options, given[0])), real(options.share)
    goal = Goal(kind=GOALS[given[0]], value=value, share=share)  # pyright: ignore
    return TuneTask(
        request=request_from_options(options, prompt=prompts[0], seed=number(options.seed)),
        prompts=prompts,
        goal=goal,
        acceptance=prompts_from_file(options.accept) if options.accept else (),
        most=number(options.most),  # pyright: ignore
        vary=_ranges(options.vary) or {"dbcache": dict(USUAL_RANGES)},
        fewer_steps=not options.no_fewer_steps,
    )


def _ranges(given: list[str]) -> dict[str, dict[str, str]]:
    """Return the ranges by method. A range without a method's name belongs to DBCache."""
    ranges: dict[str, dict[str, str]] = {}
    for name, values in pairs(given, "vary", "residual_diff_threshold=0.04..0.2 /5"):
        method, _, knob = name.rpartition(".")
        ranges.setdefault(method or "dbcache", {})[knob] = values
    return ranges


def text(data: dict[str, Any]) -> str:
    best = data["best"]
    accepted_on = [row for row in data["verified"] if row.get("acceptance", {}).get("prompts")]
    if best is None and accepted_on:
        closest = max(accepted_on, key=lambda row: row["acceptance"]["share_above"])
        beyond = closest["acceptance"]
        return (
            f"none of {data['settings']} settings reached the goal on the acceptance prompts "
            f"({len(accepted_on)} were run there): {closest['recipe']} comes closest, with "
            f"{beyond['share_above']:.0%} of {beyond['prompts']} prompts above the floor; lower the "
            "goal or the share, or verify more settings with --most."
        )
    if best is None:
        return (
            f"none of {data['settings']} settings reached the goal ({len(data['verified'])} were run); "
            "lower the goal, or verify more settings with --most."
        )
    measured = best["measured"]
    lines = [
        f"{best['recipe']}: {measured['psnr_db']:.1f} dB, {measured['tflops']:.4g} TFLOPs "
        f"({best['expected']['compute_ratio']:.2f}x less), measured on {measured['prompts']} prompts; "
        f"{data['settings']} settings estimated, {len(data['verified'])} verified"
    ]
    if best.get("acceptance", {}).get("prompts"):
        beyond = best["acceptance"]
        share = "" if beyond["share_above"] is None else f"{beyond['share_above']:.0%} above the floor,"
        lines.append(
            f"on {beyond['prompts']} other prompts: {share}5th percentile {beyond['percentile_5_db']:.1f} "
            f"dB, worst {beyond['worst_db']:.1f} dB ({beyond['worst_picture']})"
        )
    if best.get("on_the_edge"):
        worst = min(best["neighbours"], key=lambda row: row["psnr_db"])
        lines.append(
            f"on the edge: in the neighbouring setting {worst['recipe']} the PSNR falls to "
            f"{worst['psnr_db']:.1f} dB"
        )
    return "\n".join(lines)


COMMAND = Command(
    "tune",
    "find the best setting for a goal: estimate all settings, then run the most promising ones",
    arguments,
    run,
)
