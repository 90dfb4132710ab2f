"""summary.json holds a benchmark's figures in one file that can be passed on to others.

A summary is checked as strictly as any other input from outside. A summary holds no request and no path, so
reading somebody's summary opens no other file.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

from pydantic import Field

from ..method import method_from
from ..records import Engine
from ..runs.setting import Setting, setting_of
from ..strict import EngineError, Strict, Whole
from .job import BenchmarkJob

if TYPE_CHECKING:
    from .figures import SettingFigures

MOST_BYTES = 2_000_000
Count = Annotated[Whole, Field(ge=1, le=10**6)]
Positive = Annotated[float, Field(gt=0, le=1e12)]


class SettingSummary(Strict):
    """One setting's means over the prompts that have a row of it, and its ratios to the baseline on the same
    prompts.

    latency: seconds of a whole picture.
    metrics: our metrics by name; None if every picture equals the baseline's.
    """

    setting: Setting
    rows: Count
    computed: float = Field(ge=0, le=1000)
    tflops: Positive
    latency: Positive
    latency_ratio: Positive
    speedup: Positive
    compute_ratio: Positive
    metrics: dict[str, float | None]


class BenchmarkSummary(Strict):
    """A benchmark's figures.

    settings: the figures of each setting, the baseline first.
    prompts: the number of the job's prompts; a setting may have fewer rows.
    """

    model: str = Field(min_length=1, max_length=300)
    steps: Count
    width: Count
    height: Count
    seed: Whole
    prompts: Count
    engine: Engine | None
    settings: tuple[SettingSummary, ...] = Field(min_length=1, max_length=2000)


def benchmark_summary(
    job: BenchmarkJob, engine: Engine | None, figures: Sequence[SettingFigures]
) -> BenchmarkSummary:
    """Make the summary of a job from the figures of its settings."""
    settings = tuple(
        SettingSummary(
            setting=line.setting,
            rows=line.rows,
            computed=line.computed,
            tflops=line.tflops,
            latency=line.latency,
            latency_ratio=line.latency_ratio,
            speedup=line.speedup,
            compute_ratio=line.compute_ratio,
            metrics={name: statistics and statistics.mean for name, statistics in line.metrics.items()},
        )
        for line in figures
    )
    asked = job.request.model_dump(include={"model", "steps", "width", "height", "seed"})
    return BenchmarkSummary(**asked, prompts=len(job.prompts), engine=engine, settings=settings)


def benchmark_summary_from(data: bytes) -> BenchmarkSummary:
    """Read a summary from a file's bytes. Raises EngineError if the file is not a summary."""
    if len(data) > MOST_BYTES:
        raise _refused(f"the file is larger than {MOST_BYTES // 10**6} MB")
    try:
        values = json.loads(data)
        settings = tuple(
            SettingSummary(**each | {"setting": setting_of(method_from(each["setting"]["method"]))})
            for each in values["settings"]
        )
        engine = None if values["engine"] is None else Engine(**values["engine"])
        read = BenchmarkSummary(**values | {"settings": settings, "engine": engine})
    except EngineError as error:
        raise _refused(str(error).rstrip(".")) from None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise _refused(type(error).__name__) from None
    if read.settings[0].setting.method["name"] != "baseline":
        raise _refused("the first setting is not the baseline")
    return read


def _refused(reason: str) -> EngineError:
    return EngineError(
        f"benchmark: this file was not written by `benchmark summary` ({reason}); choose the "
        "summary.json of a benchmark's folder."
    )
