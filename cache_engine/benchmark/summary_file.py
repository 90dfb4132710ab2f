"""What a benchmark came to, as one file to hand on: ``summary.json``. It is read as strictly as anything that
comes from outside.

No request and no path is in it: who reads somebody's file opens nothing else because of it.
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
    """One setting: means over the prompts that it has rows for; ratios over the baseline of the same prompts.

    latency: seconds of a whole picture.  metrics: ours by name; None where every picture is the baseline's
    own.
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
    """``settings`` begin with the baseline. ``prompts``: how many the job has; a setting may have rows for
    fewer so far.
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
    """The inverse of ``model_dump_json``. Raises EngineError: one sentence."""
    if len(data) > MOST_BYTES:
        raise _refused(f"it is larger than {MOST_BYTES // 10**6} MB")
    try:
        found = json.loads(data)
        settings = tuple(
            SettingSummary(**one | {"setting": setting_of(method_from(one["setting"]["method"]))})
            for one in found["settings"]
        )
        engine = None if found["engine"] is None else Engine(**found["engine"])
        read = BenchmarkSummary(**found | {"settings": settings, "engine": engine})
    except EngineError as error:
        raise _refused(str(error).rstrip(".")) from None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise _refused(type(error).__name__) from None
    if read.settings[0].setting.method["name"] != "baseline":
        raise _refused("its first setting is not the baseline")
    return read


def _refused(reason: str) -> EngineError:
    return EngineError(
        f"benchmark: this is not what `benchmark summary` writes ({reason}); choose the summary.json of such "
        f"a folder."
    )
