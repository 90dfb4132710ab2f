"""Writes a benchmark's tables as Markdown and CSV, with published figures beside measured ones."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from ..metric import METRICS
from ..records import Engine
from .figures import BESIDE, MetricStatistics, SettingFigures, engine_in_words
from .job import BenchmarkJob
from .score import ScoredFolder

SPREAD_HEADS = (
    "mean",
    "95 % interval",
    "median",
    "worst 5 %",
    "worst",
    "good enough",
    "pictures",
    "identical",
)
ARROW = {"higher": "↑", "lower": "↓"}


def markdown(job: BenchmarkJob, engine: Engine | None, figures: Sequence[SettingFigures]) -> str:
    """Return a page with three kinds of tables: means, each metric's statistics, and published figures."""
    return "\n".join(_page(job, engine, figures)) + "\n"


def _page(job: BenchmarkJob, engine: Engine | None, figures: Sequence[SettingFigures]) -> Iterator[str]:
    request = job.request
    yield "# Benchmark"
    yield ""
    yield f"Measured: {engine_in_words(engine)}."
    yield (
        f"{request.steps} steps, {request.width} x {request.height}, seed {request.seed}, "
        f"{max(line.rows for line in figures)} of {len(job.prompts)} prompts."
    )
    yield ""
    yield (
        "Latency is the time of the whole picture. Faster: the plain model's denoising time, divided "
        "by the setting's. Less compute: the plain model's TFLOPs, divided by the setting's."
    )
    for name in job.metrics:
        if METRICS[name].note:
            yield f"{METRICS[name].title}: {METRICS[name].note}."
    yield ""
    heads = [
        "Config",
        *(_head(name) for name in job.metrics),
        "Steps computed",
        "Latency(s)",
        "SpeedUp(↑)",
        "Faster(↑)",
        "TFLOPs(↓)",
        "Less compute(↑)",
    ]
    yield from _table(
        heads,
        (
            [
                line.setting.key,
                *(_mean(line, name) for name in job.metrics),
                f"{line.computed:.2f}",
                f"{line.latency:.3f}",
                f"{line.latency_ratio:.2f}x",
                f"{line.speedup:.2f}x",
                _tflops(line.tflops),
                f"{line.compute_ratio:.2f}x",
            ]
            for line in figures
        ),
    )
    for name in job.metrics:
        rows = [(line, line.metrics[name]) for line in figures if line.metrics.get(name)]
        if rows:
            yield ""
            yield f"## {_head(name)}"
            yield ""
            yield from _table(
                ["Config", *SPREAD_HEADS],
                ([line.setting.key, *_spread_cells(statistics)] for line, statistics in rows if statistics),
            )
    published = [line for line in figures if line.published]
    if published:
        yield ""
        yield "## Measured beside published"
        yield ""
        yield (
            "Published: cache-dit's tables (FLUX.1-dev at 50 steps, Qwen-Image-Lightning at 4; 1024 x "
            "1024, DrawBench, one NVIDIA L20 for FLUX.1-dev, two for Lightning; other methods' rows as "
            "the FoCa paper quotes them). They compute PSNR from 8-bit differences, which overflow at "
            "256. For a fair comparison, our PSNR with the same overflow stands beside it."
        )
        yield ""
        yield from _table(
            [
                "Config",
                *(f"{title} {side}" for title in _comparable(job) for side in ("measured", "published")),
            ],
            ([line.setting.key, *_beside(job, line)] for line in published),
        )


def _head(name: str) -> str:
    return f"{METRICS[name].title}({ARROW[METRICS[name].better]})"


def _mean(line: SettingFigures, name: str) -> str:
    statistics = line.metrics.get(name)
    return f"{statistics.mean:.4f}" if statistics else "identical" if name in line.metrics else "-"


def _tflops(value: float) -> str:
    return f"{value:.2f}" if value >= 1 else f"{value:.6f}"


def _spread_cells(statistics: MetricStatistics) -> list[str]:
    interval = (
        "-"
        if statistics.low is None or statistics.high is None
        else f"{statistics.low:.4f} to {statistics.high:.4f}"
    )
    share = "-" if statistics.share is None else f"{100 * statistics.share:.1f} %"
    return [
        f"{statistics.mean:.4f}",
        interval,
        f"{statistics.median:.4f}",
        f"{statistics.tail:.4f}",
        f"{statistics.worst:.4f}",
        share,
        str(statistics.count + statistics.identical),
        str(statistics.identical),
    ]


def _comparable(job: BenchmarkJob) -> dict[str, str]:
    """Return the published columns that can be compared, by title."""
    metrics = {METRICS[ours].title: theirs for theirs, ours in BESIDE.items() if ours in job.metrics}
    return metrics | {
        "Latency(s)": "latency_s",
        "SpeedUp": "speedup_latency",
        "TFLOPs": "tflops",
        "Less compute": "speedup_tflops",
    }


def _measured(line: SettingFigures, column: str) -> float | None:
    if column in BESIDE:
        statistics = line.metrics.get(BESIDE[column])
        return statistics.mean if statistics else None
    return {
        "latency_s": line.latency,
        "speedup_latency": line.latency_ratio,
        "tflops": line.tflops,
        "speedup_tflops": line.compute_ratio,
    }[column]


def _beside(job: BenchmarkJob, line: SettingFigures) -> Iterator[str]:
    for column in _comparable(job).values():
        for value in (_measured(line, column), line.published.get(column)):
            yield (
                "-"
                if value is None
                else _tflops(value)
                if column == "tflops"
                else f"{value:.4f}".rstrip("0").rstrip(".")
            )


def _table(heads: Sequence[str], rows: Any) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{' --- |' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"


def scored_markdown(folders: Sequence[ScoredFolder], floors: Mapping[str, float]) -> str:
    """Return a table of scored folders, with one row for each folder and metric."""
    rows = [
        (folder.name, name, statistics)
        for folder in folders
        for name, statistics in folder.statistics(floors).items()
    ]
    return "\n".join(
        _table(
            ["Folder", "metric", *SPREAD_HEADS],
            (
                [
                    folder,
                    _head(name),
                    *(
                        _spread_cells(statistics)
                        if statistics
                        else ["identical", *["-"] * (len(SPREAD_HEADS) - 1)]
                    ),
                ]
                for folder, name, statistics in rows
            ),
        )
    )


def as_csv(job: BenchmarkJob, figures: Sequence[SettingFigures]) -> str:
    """Return all figures as CSV, with one line for each setting. Columns of published figures begin with
    ``published_``.
    """
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(
        [
            "config",
            "rows",
            "steps_computed",
            "latency_s",
            "denoise_s",
            "speedup_latency",
            "speedup_denoise",
            "tflops",
            "speedup_tflops",
            *(f"{name}_{part}" for name in job.metrics for part in MetricStatistics._fields),
            *(f"published_{column}" for column in _comparable(job).values()),
        ]
    )
    for line in figures:
        every = [line.metrics.get(name) or (None,) * len(MetricStatistics._fields) for name in job.metrics]
        writer.writerow(
            [
                line.setting.key,
                line.rows,
                line.computed,
                line.latency,
                line.denoise,
                line.latency_ratio,
                line.speedup,
                line.tflops,
                line.compute_ratio,
                *(value for cells in every for value in cells),
                *(line.published.get(column) for column in _comparable(job).values()),
            ]
        )
    return file.getvalue()
