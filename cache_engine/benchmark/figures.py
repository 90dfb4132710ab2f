"""Figures of each setting over many pictures: mean and interval, median, worst, share above the floor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from ..metric import METRICS
from ..records import Engine
from ..runs.row import Row
from ..runs.setting import Setting
from ..strict import EngineError
from .job import BenchmarkJob
from .settings import PublishedRow, published_rows

FLOORS = {"psnr": 30.0, "ssim": 0.9, "lpips": 0.1}
RESAMPLED = 2000  # draws of the bootstrap
# Published column -> our metric. The published PSNR wraps at 256: only ours that wraps too is comparable.
BESIDE = {
    "clip_score": "clip_score",
    "image_reward": "image_reward",
    "psnr": "psnr_wrapped",
    "ssim": "ssim",
    "lpips": "lpips",
}


class MetricStatistics(NamedTuple):
    """One metric over all prompts.

    low, high: 95 of 100 means of as many prompts lie between them (bootstrap).  tail: 5 of 100 pictures are
    worse. share: of the pictures at least as good as the floor; identical pictures count as good.  count:
    pictures with a figure.  identical: pictures equal to the baseline's; mean, median and worst leave them
    out.
    """

    mean: float
    low: float | None
    high: float | None
    median: float
    tail: float
    worst: float
    share: float | None
    count: int  # pyright: ignore[reportIncompatibleMethodOverride]  (a column of summary.csv)
    identical: int


def statistics_of(
    metric: str, values: Sequence[float | None], floor: float | None
) -> MetricStatistics | None:
    """Summarise a metric's values, one a prompt; None stands for an identical picture.

    Returns None if every picture is identical.
    """
    different = np.array([value for value in values if value is not None])
    if not len(different):
        return None
    good = 1 if METRICS[metric].better == "higher" else -1
    ordered = different * good
    enough = (
        None
        if floor is None
        else float(((ordered >= good * floor).sum() + len(values) - len(different)) / len(values))
    )
    low = high = None
    if len(different) > 1:
        means = different[
            np.random.default_rng(0).integers(0, len(different), (RESAMPLED, len(different)))
        ].mean(axis=1)
        low, high = map(float, np.percentile(means, (2.5, 97.5)))
    return MetricStatistics(
        float(different.mean()),
        low,
        high,
        float(np.median(different)),
        good * float(np.percentile(ordered, 5)),
        good * float(ordered.min()),
        enough,
        len(different),
        len(values) - len(different),
    )


class SettingFigures(NamedTuple):
    """One setting over all prompts that have a row of it.

    Seconds and TFLOPs are means a picture. Ratios are the baseline's mean on the same prompts, divided by the
    setting's.
    """

    setting: Setting
    rows: int
    computed: float
    tflops: float
    latency: float  # seconds of encoding, denoising and decoding
    denoise: float
    latency_ratio: float
    speedup: float  # of the denoise loop
    compute_ratio: float
    metrics: dict[str, MetricStatistics | None]
    published: dict[str, float]  # the published tables' figures of exactly this setting, by their columns


def figures_of(
    job: BenchmarkJob, rows: Sequence[Row], floors: Mapping[str, float] | None = None
) -> list[SettingFigures]:
    """Return the figures of all settings that have rows: the baseline, then from most to least compute.

    Raises EngineError if no setting has a row.
    """
    floors = FLOORS if floors is None else floors
    baseline = {row["prompt"]: row for row in rows if row["setting"] == job.settings[0].key}
    figures = []
    for setting in job.settings:
        mine = [row for row in rows if row["setting"] == setting.key and row["prompt"] in baseline]
        if mine:
            figures.append(_figures(setting, mine, [baseline[row["prompt"]] for row in mine], job, floors))
    if not figures:
        raise EngineError("the table has no rows yet; run the benchmark first.")
    return [figures[0], *sorted(figures[1:], key=lambda each: -each.tflops)]


def _figures(
    setting: Setting, rows: list[Row], plain: list[Row], job: BenchmarkJob, floors: Mapping[str, float]
) -> SettingFigures:
    def mean(of: list[Row], take: Any) -> float:
        return sum(map(take, of)) / len(of)

    def latency(row: Row) -> float:
        return sum(row["seconds"].values())

    def denoise(row: Row) -> float:
        return row["seconds"]["denoise"]

    def tflops(row: Row) -> float:
        return row["tflops"]

    values = {name: [row["metrics"][name] for row in rows if name in row["metrics"]] for name in job.metrics}
    return SettingFigures(
        setting,
        len(rows),
        mean(rows, lambda row: row["computed"]),
        mean(rows, tflops),
        mean(rows, latency),
        mean(rows, denoise),
        mean(plain, latency) / mean(rows, latency),
        mean(plain, denoise) / mean(rows, denoise),
        mean(plain, tflops) / mean(rows, tflops),
        {name: statistics_of(name, each, floors.get(name)) for name, each in values.items() if each},
        _published(setting),
    )


def _published(setting: Setting) -> dict[str, float]:
    """Return the published figures of a setting. The detailed tables, which come last, win.

    The rule for runs of cached steps is ignored, because the tables do not name it. The baseline has no
    figures: the tables have four baselines, which differ.
    """
    if setting.method["name"] == "baseline":
        return {}
    return {
        name: value for row in published_rows() if _same(row, setting) for name, value in row.figures.items()
    }


def _same(row: PublishedRow, setting: Setting) -> bool:
    return {**row.method, "streak_rule": None} == {**setting.method, "streak_rule": None}


def engine_in_words(engine: Engine | None) -> str:
    if engine is None:
        return "unknown engine"
    return (
        f"{engine.model} ({engine.revision}) on {engine.device}, {engine.dtype}, weights "
        f"{engine.quantisation}, {engine.placement}, "
        f"{engine.attention} attention, {'compiled' if engine.compiled else 'eager'}, {engine.versions}"
        f"{f', {engine.threads} threads' if engine.threads else ''}"
    )
