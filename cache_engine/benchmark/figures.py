"""Computes each setting's figures over many pictures: mean and interval, median, worst, share above the
floor.
"""

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
RESAMPLED = 2000  # number of resamples that the bootstrap draws
# Maps a published column to our metric. The published PSNR comes from 8-bit differences, which overflow at
# 256. It is compared only with our PSNR that has the same overflow.
BESIDE = {
    "clip_score": "clip_score",
    "image_reward": "image_reward",
    "psnr": "psnr_wrapped",
    "ssim": "ssim",
    "lpips": "lpips",
}


class MetricStatistics(NamedTuple):
    """One metric's statistics over all prompts.

    low, high: the mean's 95 % interval, from a bootstrap.
    tail: 5 of 100 pictures are worse than this figure.
    share: the share of pictures that are at least as good as the floor; identical pictures count as good.
    count: number of pictures with a figure.
    identical: number of pictures equal to the baseline's; mean, median and worst leave these out.
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
    """Summarise a metric's values, one for each prompt. None stands for an identical picture.

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
    """The figures of one setting over all prompts for which it has a row.

    Seconds and TFLOPs are means for one picture. A ratio divides the baseline's mean by the setting's mean,
    both over the same prompts.
    """

    setting: Setting
    rows: int
    computed: float
    tflops: float
    latency: float  # seconds that encoding, denoising and decoding take together
    denoise: float
    latency_ratio: float
    speedup: float  # speedup of the denoising loop alone
    compute_ratio: float
    metrics: dict[str, MetricStatistics | None]
    # by column: the figures that the published tables have for exactly this setting
    published: dict[str, float]


def figures_of(
    job: BenchmarkJob, rows: Sequence[Row], floors: Mapping[str, float] | None = None
) -> list[SettingFigures]:
    """Return the figures of every setting that has rows: the baseline first, the others from most to least
    compute.

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
    """Return the published figures of a setting. Where several tables have the setting, the detailed tables,
    which come last, win.

    The rule for runs of cached steps is ignored, because the tables do not name it. The baseline gets no
    published figures: the tables have four baselines with different figures.
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
        f"{engine.quantisation}, {engine.placement}, {engine.attention} attention, "
        f"{'compiled' if engine.compiled else 'eager'}, "
        f"{engine.versions}{f', {engine.threads} threads' if engine.threads else ''}"
    )
