"""Tests a benchmark's summary.json: the file that `summary` writes is read back completely, and any other
file is refused.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from cache_engine.__main__ import main
from cache_engine.benchmark.figures import figures_of
from cache_engine.benchmark.folder import read_folder
from cache_engine.benchmark.job import BenchmarkJob, baseline_first
from cache_engine.benchmark.summary_file import MOST_BYTES, benchmark_summary, benchmark_summary_from
from cache_engine.method import METHODS, Method
from cache_engine.recipe import parse_recipe
from cache_engine.runs.row import Row
from cache_engine.strict import EngineError
from tests.benchmark.made import PROMPTS, RECIPES, STEPS, job


@pytest.fixture
def folder(plain: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(plain, tmp_path / "out"))


def test_summary_writes_what_reads_back_whole(folder: Path) -> None:
    assert main(["benchmark", "summary", str(folder)]) == 0
    wanted, engine, rows = read_folder(folder)
    data = (folder / "summary.json").read_bytes()
    summary = benchmark_summary_from(data)
    assert summary == benchmark_summary(wanted, engine, figures_of(wanted, rows))
    assert (summary.model, summary.steps, summary.prompts, summary.engine) == (
        "tiny",
        STEPS,
        len(PROMPTS),
        engine,
    )
    assert len(summary.settings) == 1 + len(RECIPES)
    for setting, line in zip(summary.settings, figures_of(wanted, rows), strict=True):
        assert (setting.setting, setting.rows, setting.latency, setting.speedup) == (
            line.setting,
            line.rows,
            line.latency,
            line.speedup,
        )
        assert setting.metrics == {
            name: statistics and statistics.mean for name, statistics in line.metrics.items()
        }
    assert not any(
        text in data.decode() for text in (str(folder), *PROMPTS)
    )  # neither a path nor a drawn prompt


def rows_of(made: BenchmarkJob) -> list[Row]:
    return [
        {
            "prompt": 0,
            "setting": setting.key,
            "computed": 5,
            "tflops": 1.0,
            "metrics": {"psnr": 30.0},
            "seconds": {"encode": 1.0, "denoise": 2.0, "decode": 1.0},
        }
        for setting in made.settings
    ]


def whole() -> dict[str, Any]:
    made = job(1, recipes=("F1B0_W1MC3_R1",))
    return json.loads(benchmark_summary(made, None, figures_of(made, rows_of(made))).model_dump_json())


@pytest.mark.parametrize(
    ("where", "value", "sentence"),
    [
        ((), None, r"\(TypeError\)"),
        (("settings",), [], "settings: "),
        (("settings", 1, "tflops"), -1, "tflops: -1 is not valid"),
        (("settings", 1, "latency"), float("nan"), "latency: nan is not valid"),
        (("settings", 1, "rows"), True, "rows: True is not valid"),
        (("settings", 1, "speedup"), 10**400, r"\("),
        (("settings", 1, "metrics"), {"psnr": "much"}, "metrics: "),
        (("settings", 1, "setting"), {"method": {"name": "magic"}}, "method: 'magic' is not known"),
        (
            ("settings", 1, "setting"),
            {"method": {"name": "dbcache", "Fn_compute_blocks": -3}},
            "Fn_compute_blocks: -3",
        ),
        (("settings", 1), "F1B0", r"\(TypeError\)"),
        (("settings", 0, "setting"), {"method": {"name": "fora"}}, "is not the baseline"),
        (("engine",), {"device": "cpu"}, "model: missing"),
        (("model",), "", "model: '' is not valid"),
        (("request",), {"image": {"file": "elsewhere.png"}}, "request: unknown field"),
    ],
)
def test_anything_else_is_refused_in_a_sentence(where: tuple[Any, ...], value: Any, sentence: str) -> None:
    data: Any = whole()
    if where:
        place = data
        for step in where[:-1]:
            place = place[step]
        place[where[-1]] = value
    else:
        data = value
    with pytest.raises(
        EngineError,
        match=r"^benchmark: this file was not written by `benchmark summary` \(.*\); choose [^\n]*\.$",
    ) as raised:
        benchmark_summary_from(json.dumps(data).encode())
    assert raised.match(sentence)


@pytest.mark.parametrize(
    "data",
    [b"", b"\xff\xfe", b"config,rows\n", b"[" * 100_000, b" " * (MOST_BYTES + 1)],
    ids=["empty", "binary", "csv", "deep", "large"],
)
def test_what_is_no_json_is_refused_too(data: bytes) -> None:
    with pytest.raises(EngineError, match=r"^benchmark: this file was not written by "):
        benchmark_summary_from(data)


@pytest.mark.parametrize(
    ("method", "tflops"),
    [
        (parse_recipe("F1B0_W8I2MC8_R0.8"), 651.9),
        (parse_recipe("F1B0_W4MC2_R0.3"), None),
        (METHODS["foca"](interval=5), 893.54),
        (METHODS["fewer_steps"](fraction=0.22), 818.29),
        (METHODS["foca"](interval=3), None),
    ],
)
def test_published_figures_stand_beside_every_method_that_has_some(
    method: Method, tflops: float | None
) -> None:
    made = job(1).replaced(settings=baseline_first([method]))
    assert figures_of(made, rows_of(made))[1].published.get("tflops") == tflops
