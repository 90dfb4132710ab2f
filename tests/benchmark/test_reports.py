"""Tests the reports on a benchmark's folder: figures against numpy and hand-made figures, and the written
files.
"""

from __future__ import annotations

import csv
import json
import shutil
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from cache_engine.__main__ import main
from cache_engine.benchmark.figures import figures_of, statistics_of
from cache_engine.benchmark.folder import read_folder
from cache_engine.benchmark.plot import bars, charts, scatter, ticks
from tests.benchmark.made import PROMPTS, RECIPES, job


@pytest.fixture
def folder(plain: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(plain, tmp_path / "out"))


def test_a_spread_is_what_numpy_says() -> None:
    values = [*np.random.default_rng(3).normal(33, 4, 199).tolist(), None]
    statistics = statistics_of("psnr", values, 30)
    assert statistics
    figures = np.array(values[:-1], dtype=float)
    assert (statistics.mean, statistics.median, statistics.worst) == pytest.approx(
        (figures.mean(), np.median(figures), figures.min())
    )
    assert statistics.tail == pytest.approx(np.percentile(figures, 5))
    assert statistics.share == pytest.approx(((figures >= 30).sum() + 1) / 200)
    assert (statistics.count, statistics.identical) == (199, 1)
    # the interval that theory gives for this many values
    half = 1.96 * figures.std(ddof=1) / np.sqrt(len(figures))
    assert statistics.low is not None
    assert statistics.high is not None
    assert (statistics.low, statistics.high) == pytest.approx(
        (figures.mean() - half, figures.mean() + half), abs=0.1
    )
    assert statistics_of("psnr", values, 30) == statistics  # the result is the same every time


def test_where_less_is_better_the_tail_is_above() -> None:
    statistics = statistics_of("lpips", [0.1, 0.2, 0.3, 0.4], 0.25)
    assert statistics
    assert (statistics.worst, statistics.share) == (0.4, 0.5)
    assert statistics.tail == pytest.approx(0.385)
    assert statistics_of("psnr", [None, None], 30) is None
    single = statistics_of("psnr", [31.0], 30)
    assert single is not None
    assert (single.low, single.share) == (None, 1)


def test_ratios_are_over_the_baseline_of_the_same_prompts() -> None:
    """A setting with fewer rows, as in an unfinished benchmark, is compared with the baselines of its own
    prompts.
    """
    wanted = job(2, recipes=("F1B0_W1MC3_R1",))
    plain, cached = (setting.key for setting in wanted.settings)
    rows = [
        {
            "prompt": number,
            "setting": key,
            "computed": 5,
            "tflops": tflops,
            "metrics": {},
            "seconds": {"encode": 1.0, "denoise": denoise, "decode": 1.0},
        }
        for number, key, tflops, denoise in (
            (0, plain, 10.0, 8.0),
            (0, cached, 5.0, 2.0),
            (1, plain, 30.0, 80.0),
        )
    ]
    line = figures_of(wanted, rows)[1]
    assert (line.rows, line.speedup, line.compute_ratio, line.latency_ratio) == (1, 4.0, 2.0, 2.5)


def test_the_summary_is_the_tables_figures(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "summary", str(folder), "--floor", "psnr=20"]) == 0
    page = capsys.readouterr().out
    assert page.strip() == (folder / "summary.md").read_text(encoding="utf-8").strip()
    _, engine, rows = read_folder(folder)
    assert engine is not None
    assert engine.versions in page
    with (folder / "summary.csv").open(encoding="utf-8", newline="") as file:
        table = {row["config"]: row for row in csv.DictReader(file)}
    assert len(table) == 1 + len(RECIPES)
    for key, line in table.items():
        mine = [row for row in rows if row["setting"] == key]
        assert int(line["rows"]) == len(PROMPTS) == len(mine)
        assert float(line["tflops"]) == pytest.approx(np.mean([row["tflops"] for row in mine]))
        assert f"| {key} |" in page
        values = [row["metrics"]["psnr"] for row in mine if row["metrics"].get("psnr") is not None]
        if values:
            assert float(line["psnr_mean"]) == pytest.approx(np.mean(values))
            assert float(line["psnr_share"]) == pytest.approx(np.mean([value >= 20 for value in values]))


def test_charts_hold_every_setting(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["benchmark", "plot", str(folder), "--json"]) == 0
    files = json.loads(capsys.readouterr().out.splitlines()[-1])["files"]
    assert len(files) == 6
    for path in files:
        tree = ElementTree.parse(path)
        titles = [title.text or "" for title in tree.iter("{http://www.w3.org/2000/svg}title")]
        assert len(titles) == len(RECIPES), path


def test_a_points_place_is_its_figures(plain: Path) -> None:
    wanted, _, rows = read_folder(plain)
    collected = [line for line in figures_of(wanted, rows) if line.metrics.get("psnr")]
    tree = ElementTree.fromstring(scatter("psnr", collected, "TFLOPs", lambda line: line.tflops))
    places = [
        (float(point.attrib["cx"]), float(point.attrib["cy"]))
        for point in tree.iter("{http://www.w3.org/2000/svg}circle")
    ]
    figures = [(line.tflops, -line.metrics["psnr"].mean) for line in collected if line.metrics["psnr"]]
    for axis in (0, 1):
        assert (
            np.argsort([place[axis] for place in places]).tolist()
            == np.argsort([figure[axis] for figure in figures]).tolist()
        )
    assert bars("psnr", collected).count("<rect") == 1 + len(collected)
    assert charts(collected, ("lpips",)) == {}


@pytest.mark.parametrize("values", [[1.0], [0.0], [31.4, 42.5], [-1.78, -0.5], [1e-6, 2e-6], [0.0, 3726.87]])
def test_ticks_enclose(values: list[float]) -> None:
    places = ticks(values)
    assert places[0] <= min(values)
    assert places[-1] >= max(values)
    assert 2 <= len(places) <= 8


class Pictures(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.sources += [value or "" for name, value in attrs if tag == "img" and name == "src"]


def test_the_worst_come_first_and_their_pictures_are_there(folder: Path) -> None:
    assert main(["benchmark", "worst", str(folder), "--most", "4"]) == 0
    page = (folder / "worst-psnr.html").read_text(encoding="utf-8")
    values = sorted(
        row["metrics"]["psnr"] for row in read_folder(folder)[2] if row["metrics"].get("psnr") is not None
    )[:4]
    places = [page.index(f"PSNR {value:.4g}") for value in values]
    assert places == sorted(places)
    pictures = Pictures()
    pictures.feed(page)
    assert len(pictures.sources) == 12
    assert all((folder / source).is_file() for source in pictures.sources)


def test_scores_of_folders_are_the_tables(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "scores.jsonl"
    assert (
        main(
            [
                "benchmark",
                "score",
                "--images",
                str(folder / "images"),
                "--baseline",
                str(folder / "images" / "C0_Q0_NONE"),
                "--metrics",
                "psnr,ssim",
                "--out",
                str(out),
                "--json",
            ]
        )
        == 0
    )
    data = json.loads(capsys.readouterr().out.splitlines()[-1])["folders"]
    scored = [json.loads(line) for line in out.read_text(encoding="utf-8").splitlines()]
    for row in read_folder(folder)[2]:
        match = next(
            score for score in scored if f"images/{score['folder']}/{score['picture']}" == row["picture"]
        )
        if row["metrics"]:
            assert {"psnr": match["psnr"], "ssim": match["ssim"]} == row["metrics"]
    assert data["C0_Q0_NONE"]["psnr"] is None  # the baseline against itself
    assert (
        main(["benchmark", "score", "--images", str(folder / "images" / "C0_Q0_NONE"), "--metrics", "psnr"])
        == 2
    )
    assert capsys.readouterr().err.startswith("baseline: missing, but needed by psnr; ")


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["summary", "nowhere"], "nowhere is not a benchmark's folder, "),
        (["worst", "{out}", "--most", "0"], "most: '0' is not valid; "),
        (["worst", "{out}", "--metric", "lpips"], "metric: 'lpips' does not compare "),
        (["summary", "{out}", "--floor", "psnr"], "floor: 'psnr' is not valid; "),
        (["summary", "{out}", "--floor", "psnr=much"], "floor: psnr=much is not valid; "),
        (["score", "--images", "nowhere"], "images: nowhere cannot "),
    ],
)
def test_what_is_wrong_is_one_sentence(
    arguments: list[str], sentence: str, plain: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["benchmark", *(argument.format(out=plain) for argument in arguments)]) == 2
    heard = capsys.readouterr().err.strip()
    assert heard.startswith(sentence)
    assert "\n" not in heard
