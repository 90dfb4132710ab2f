"""The reports on a benchmark's folder: merge, score, summary, plot and worst."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ..strict import EngineError
from .shared import Answer, Command, number, pairs, real


def _merge_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folders", type=Path, nargs="+", metavar="DIR", help="folders of the shards")
    parser.add_argument("--out", type=Path, required=True, metavar="DIR")


def _merge(options: argparse.Namespace) -> Answer:
    from ..benchmark.merge import merge

    merged = merge(options.folders, options.out)
    missing = f", {merged.missing} rows of the job are missing" if merged.missing else ", complete"
    return Answer(
        {"out": str(options.out), **merged._asdict()}, f"{merged.rows} rows{missing}\n{options.out}"
    )


def _score_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--images",
        type=Path,
        required=True,
        metavar="DIR",
        help="folder of pictures, or of folders of pictures",
    )
    parser.add_argument("--baseline", type=Path, metavar="DIR", help="folder of pictures to compare with")
    parser.add_argument(
        "--prompts",
        metavar="FILE|drawbench",
        help="file of prompts, or drawbench; the n-th prompt belongs to the n-th picture",
    )
    parser.add_argument(
        "--metrics", help="metrics to compute, such as psnr,ssim; default: all that are available"
    )
    parser.add_argument(
        "--floor",
        action="append",
        default=[],
        metavar="METRIC=VALUE",
        help="figure that is good enough, such as psnr=30; may be repeated",
    )
    parser.add_argument(
        "--out", type=Path, metavar="FILE", help="JSON-lines file to write, with every picture's figures"
    )


def _score(options: argparse.Namespace) -> Answer:
    from ..benchmark.prompts import prompts
    from ..benchmark.score import score_folders
    from ..benchmark.summary_tables import scored_markdown
    from ..metric import METRICS, available_metrics, load_metrics
    from ..runs.disk import write_whole, writing

    wanted = available_metrics(options.metrics)
    usable = tuple(
        name
        for name in wanted.names
        if options.metrics or (options.baseline if METRICS[name].reference else options.prompts)
    )
    texts = prompts(options.prompts) if options.prompts else ()
    scored = list(score_folders(options.images, options.baseline, texts, load_metrics(usable)))
    floors = _floors(options)
    if options.out:
        rows = [{"folder": folder.name, **row} for folder in scored for row in folder.rows]
        with writing(options.out):
            write_whole(
                options.out, "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in rows).encode()
            )
    data = {
        folder.name: {
            name: statistics and statistics._asdict()
            for name, statistics in folder.statistics(floors).items()
        }
        for folder in scored
    }
    skipped = "".join(f"\nleft out: {name}: {reason}" for name, reason in wanted.skipped.items())
    return Answer({"folders": data, "skipped": wanted.skipped}, scored_markdown(scored, floors) + skipped)


def _folder_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", type=Path, metavar="DIR", help="folder that `benchmark --out` wrote")


def _summary_arguments(parser: argparse.ArgumentParser) -> None:
    _folder_arguments(parser)
    parser.add_argument(
        "--floor",
        action="append",
        default=[],
        metavar="METRIC=VALUE",
        help="figure that is good enough, such as psnr=30; may be repeated",
    )


def _summary(options: argparse.Namespace) -> Answer:
    from ..benchmark.figures import figures_of
    from ..benchmark.folder import read_folder
    from ..benchmark.summary_file import benchmark_summary
    from ..benchmark.summary_tables import as_csv, markdown
    from ..runs.disk import write_whole, writing

    job, engine, rows = read_folder(options.folder)
    lines = figures_of(job, rows, _floors(options))
    page, table = markdown(job, engine, lines), as_csv(job, lines)
    with writing(options.folder):
        write_whole(options.folder / "summary.md", page.encode())
        write_whole(options.folder / "summary.csv", table.encode())
        write_whole(
            options.folder / "summary.json",
            benchmark_summary(job, engine, lines).model_dump_json(indent=1).encode(),
        )
    data = {
        line.setting.key: {
            **line._asdict(),
            "setting": line.setting.method,
            "metrics": {
                name: statistics and statistics._asdict() for name, statistics in line.metrics.items()
            },
        }
        for line in lines
    }
    return Answer(data, page)


def _floors(options: argparse.Namespace) -> dict[str, float]:
    from ..benchmark.figures import FLOORS
    from ..metric import METRICS

    floors = dict(FLOORS)
    for name, text in pairs(options.floor, "floor", "psnr=30"):
        value = real(text)
        if name not in METRICS or not isinstance(value, float):
            raise EngineError(
                f"floor: {name}={text} is not valid; write it like psnr=30, with one of {', '.join(METRICS)}."
            )
        floors[name] = value
    return floors


def _plot(options: argparse.Namespace) -> Answer:
    from ..benchmark.figures import figures_of
    from ..benchmark.folder import read_folder
    from ..benchmark.plot import charts
    from ..runs.disk import write_whole, writing

    job, _, rows = read_folder(options.folder)
    made = charts(figures_of(job, rows), job.metrics)
    with writing(options.folder):
        (options.folder / "plots").mkdir(exist_ok=True)
        for name, svg in made.items():
            write_whole(options.folder / "plots" / name, svg.encode())
    paths = [str(options.folder / "plots" / name) for name in made]
    return Answer({"files": paths}, "\n".join(paths) or "no chart was drawn: no setting has a figure yet")


def _worst_arguments(parser: argparse.ArgumentParser) -> None:
    _folder_arguments(parser)
    parser.add_argument("--metric", default="psnr")
    parser.add_argument("--most", default="20", help="number of pairs to show")


def _worst(options: argparse.Namespace) -> Answer:
    from ..benchmark.worst import write_worst_pairs

    most = number(options.most)
    if not isinstance(most, int) or not 1 <= most <= 1000:
        raise EngineError(f"most: {options.most!r} is not valid; choose a whole number from 1 to 1000.")
    worst_rows = write_worst_pairs(options.folder, options.metric, most)
    page = options.folder / f"worst-{options.metric}.html"
    return Answer(
        {
            "page": str(page),
            "pairs": [{name: row[name] for name in ("prompt", "setting", "metrics")} for row in worst_rows],
        },
        f"{len(worst_rows)} pairs, the worst at {worst_rows[0]['metrics'][options.metric]:.4g}\n{page}",
    )


REPORTS = (
    Command("merge", "join shards of one job into one folder", _merge_arguments, _merge),
    Command("score", "score folders of pictures that were made elsewhere", _score_arguments, _score),
    Command(
        "summary",
        "write a table of all settings, measured beside published figures, as summary.md, .csv and .json",
        _summary_arguments,
        _summary,
    ),
    Command(
        "plot",
        "draw every metric against TFLOPs and seconds, and as bars, as SVG files in plots/",
        _folder_arguments,
        _plot,
    ),
    Command("worst", "write a page with the worst pairs of pictures", _worst_arguments, _worst),
)
