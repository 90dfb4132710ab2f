"""What many pictures' figures come to: mean with its interval, median, the worst, the share that is good
enough.
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
RESAMPLED = 2000
# Published column -> ours. Their PSNR wraps: only ours that wraps too may stand beside it.
BESIDE = {
    "clip_score": "clip_score",
    "image_reward": "image_reward",
    "psnr": "psnr_wrapped",
    "ssim": "ssim",
    "lpips": "lpips",
}


class MetricStatistics(NamedTuple):
    """One metric over all prompts. ``low``, ``high``: where 95 of 100 means of as many prompts lie
    (bootstrap).

    tail: 5 of 100 pictures are worse.  share: at least as good as the floor, identical ones among them.
    identical: how many pictures are the baseline's own, where the metric has no figure for that; the others
    make up the rest.
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
    """None where every picture is identical. ``values``: one a prompt; None for an identical picture."""
    known = np.array([value for value in values if value is not None])
    if not len(known):
        return None
    good = 1 if METRICS[metric].better == "higher" else -1
    ordered = known * good
    enough = (
        None
        if floor is None
        else float(((ordered >= good * floor).sum() + len(values) - len(known)) / len(values))
    )
    low = high = None
    if len(known) > 1:
        means = known[np.random.default_rng(0).integers(0, len(known), (RESAMPLED, len(known)))].mean(axis=1)
        low, high = map(float, np.percentile(means, (2.5, 97.5)))
    return MetricStatistics(
        float(known.mean()),
        low,
        high,
        float(np.median(known)),
        good * float(np.percentile(ordered, 5)),
        good * float(ordered.min()),
        enough,
        len(known),
        len(values) - len(known),
    )


class SettingFigures(NamedTuple):
    """One setting over all prompts that it has rows for. Seconds and TFLOPs a picture; ratios over the
    baseline of the same prompts.
    """

    setting: Setting
    rows: int
    computed: float
    tflops: float
    latency: float  # encoding, denoising, decoding
    denoise: float
    latency_ratio: float
    speedup: float  # of the denoise loop
    compute_ratio: float
    metrics: dict[str, MetricStatistics | None]
    published: dict[
        str, float
    ]  # figures that the seed's tables print for this very setting, under their columns


def figures_of(
    job: BenchmarkJob, rows: Sequence[Row], floors: Mapping[str, float] | None = None
) -> list[SettingFigures]:
    """The settings that have rows, from most to least compute. Raises EngineError where there are none."""
    floors = FLOORS if floors is None else floors
    baseline = {row["prompt"]: row for row in rows if row["setting"] == job.settings[0].key}
    found = []
    for setting in job.settings:
        mine = [row for row in rows if row["setting"] == setting.key and row["prompt"] in baseline]
        if mine:
            found.append(_line(setting, mine, [baseline[row["prompt"]] for row in mine], job, floors))
    if not found:
        raise EngineError("the table has no rows yet; run the benchmark first.")
    return [found[0], *sorted(found[1:], key=lambda line: -line.tflops)]


def _line(
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

    judged = {name: [row["metrics"][name] for row in rows if name in row["metrics"]] for name in job.metrics}
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
        {name: statistics_of(name, values, floors.get(name)) for name, values in judged.items() if values},
        _published(setting),
    )


def _published(setting: Setting) -> dict[str, float]:
    """What the tables print of it; the rule for runs aside, as they do not name it. The detailed tables,
    which come last, win.

    Nothing for the baseline: the tables have four of it, which differ.
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
