"""``benchmark``: runs prompts x settings into a folder and reports on such folders. A run can be resumed."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from ..benchmark.settings import SETS
from ..models.catalog import spec_of
from ..strict import EngineError
from .benchmark_reports import REPORTS
from .shared import Answer, Command, number, real, request_arguments, request_from_options, tell_unread


def arguments(parser: argparse.ArgumentParser) -> None:
    request_arguments(parser)
    parser.add_argument("--guidance")
    parser.add_argument("--seed", default="0", help="seed of the noise, the same for every prompt")
    parser.add_argument(
        "--prompts", metavar="FILE|drawbench", help="file with one prompt a line or a JSON list, or drawbench"
    )
    parser.add_argument(
        "--methods",
        metavar="FILE|SET",
        help=f"file of recipes or presets, one a line, or of JSON; or a named set: {', '.join(SETS)}",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="folder for the results; the same command resumes an interrupted run",
    )
    parser.add_argument("--limit", help="use only this many prompts, from the first on")
    parser.add_argument(
        "--metrics", help="metrics to compute, such as psnr,ssim; default: all that are available"
    )
    parser.add_argument(
        "--workers",
        help="number of processes, or of Ray workers; default: one process, or the whole cluster",
    )
    parser.add_argument(
        "--threads",
        help="threads of each worker on a CPU; runs with equal threads draw pictures that are equal, bit "
        "for bit",
    )
    parser.add_argument(
        "--ray",
        metavar="ADDRESS|local",
        help="use the Ray cluster at this address; local starts a cluster on this machine",
    )
    parser.add_argument(
        "--shard",
        metavar="I/N",
        help="draw every N-th prompt from the I-th (1 to N), for job arrays; `merge` joins the shards",
    )
    reports = parser.add_subparsers(
        dest="report", metavar="merge|score|summary|plot|worst", parser_class=type(parser)
    )
    for report in REPORTS:
        subparser = reports.add_parser(
            report.name, help=report.help, description=report.help, allow_abbrev=False
        )
        report.arguments(subparser)
        subparser.add_argument(
            "--json",
            action="store_true",
            default=argparse.SUPPRESS,
            help="print the result as one JSON object, in the last line of stdout",
        )


def run(options: argparse.Namespace) -> Answer:
    if options.report:
        return next(report for report in REPORTS if report.name == options.report).run(options)
    from ..benchmark.drive import drive
    from ..benchmark.folder import BenchmarkFolder

    for name in ("prompts", "methods", "out"):
        if getattr(options, name) is None:
            raise EngineError(f"{name}: missing; a benchmark needs --prompts, --methods and --out.")
    workers, threads = _count(options, "workers", 4096), _count(options, "threads", 1024)
    job, skipped = _job(options)
    for name, reason in skipped.items():
        print(f"left out: {name}: {reason}", file=sys.stderr)
    tell_unread(job.request, job.prompts)
    with BenchmarkFolder(options.out, job) as folder:
        outcome = drive(folder, _crew(options.ray, job, workers, threads))
    data = {
        "out": str(options.out),
        "rows": outcome.made + outcome.kept,
        "made": outcome.made,
        "kept": outcome.kept,
        "prompts": len(job.numbers),
        "settings": len(job.settings),
        "metrics": list(job.metrics),
        "skipped": skipped,
    }
    return Answer(
        data,
        f"{data['rows']} rows ({outcome.kept} from an earlier run): {len(job.numbers)} prompts x "
        f"{len(job.settings)} settings with the baseline\n{options.out}",
    )


def _job(options: argparse.Namespace) -> tuple[Any, dict[str, str]]:
    """Return the job, and the settings and metrics that it leaves out, each with the reason."""
    from ..benchmark.job import BenchmarkJob, baseline_first
    from ..benchmark.prompts import prompts
    from ..benchmark.settings import choose_settings
    from ..metric import available_metrics

    spec = spec_of(options.model)
    guidance = {} if options.guidance is None else {"guidance": real(options.guidance)}
    request = spec.resolve(request_from_options(options, prompt="-", seed=number(options.seed), **guidance))
    texts = prompts(options.prompts, _count(options, "limit", 1_000_000))
    methods = choose_settings(options.methods, spec, request)
    metrics = available_metrics(options.metrics)
    job = BenchmarkJob(
        request=request,
        prompts=texts,
        settings=baseline_first(methods.methods),
        metrics=metrics.names,
        shard=_shard(options.shard, len(texts)),
    )
    for place in job.numbers:
        job.request_for(place)  # refuses a prompt that is too long
    return job, methods.skipped | metrics.skipped


def _crew(ray: str | None, job: Any, workers: int | None, threads: int | None) -> Any:
    if ray is not None:
        from ..benchmark.cluster import Cluster

        return Cluster(job, ray, workers, threads)
    if workers is not None and workers > 1:
        from ..benchmark.processes import Processes

        return Processes(job, workers, threads)
    from ..benchmark.crew import SingleProcess

    return SingleProcess(job, threads)


def _shard(text: str | None, prompts: int) -> tuple[int, int]:
    if text is None:
        return 1, 1
    place, by, shards = text.partition("/")
    if not (by and place.isdecimal() and shards.isdecimal() and 1 <= int(place) <= int(shards) <= prompts):
        raise EngineError(
            f"shard: {text!r} is not valid; write I/N with I from 1 to N, and N at most the {prompts} "
            "prompts."
        )
    return int(place), int(shards)


def _count(options: argparse.Namespace, name: str, high: int) -> int | None:
    text = getattr(options, name)
    value = number(text)
    if text is not None and not (isinstance(value, int) and 1 <= value <= high):
        raise EngineError(f"{name}: {text!r} is not valid; choose a whole number from 1 to {high}.")
    return value if isinstance(value, int) else None


COMMAND = Command(
    "benchmark", "run prompts x settings into a folder of pictures and figures, resumably", arguments, run
)
