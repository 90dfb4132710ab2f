"""Tests the user's own benchmark among the published rows: its own baseline, its own marks, and measured
figures only.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest

from app.published import own_benchmark
from app.published.chart import ANOTHER_MODEL, chart
from app.published.csv_file import HEADS, as_csv
from app.published.figures import NOT_PRINTED, FigureChoice
from app.published.notes import FLUX, LIGHTNING
from app.published.tables import FAMILIES, OWN_FAMILY, ListedSetting, find_setting, select_settings
from app.published.views import sheet
from cache_engine import (
    BenchmarkSummary,
    Engine,
    EngineError,
    SettingSummary,
    benchmark_summary_from,
    parse_recipe,
)
from cache_engine.benchmark.job import baseline_first
from tests.app.gallery import HOSTILE

# the first is a row of the published tables
MEDIUM, FREE = "F1B0_W4I1M0MC6_R0.24_T1O1", "F1B0_W2I1M0MC2_R0.3_T1O1"
ENGINE = Engine(
    model="tiny",
    revision="r",
    dtype="bfloat16",
    device="NVIDIA L4",
    placement="offloaded",
    versions="torch 2",
)
ALL = [*FAMILIES, OWN_FAMILY]


def outcome(model: str = "tiny", **metrics: float | None) -> BenchmarkSummary:
    """Return a baseline and two settings; the second setting has rows for one of two prompts. Metrics: those
    of the cached settings.
    """
    scores = {"image_reward": 1.0, "clip_score": 32.0} if "image_reward" in metrics else {}

    def measured(
        setting: Any, rows: int, ratio: float, measured_metrics: dict[str, float | None]
    ) -> SettingSummary:
        return SettingSummary(
            setting=setting,
            rows=rows,
            computed=6.0,
            tflops=1000 / ratio,
            latency=8 / ratio,
            latency_ratio=ratio,
            speedup=ratio + 0.5,
            compute_ratio=ratio,
            metrics=measured_metrics,
        )

    plain, medium, free = baseline_first([parse_recipe(MEDIUM), parse_recipe(FREE)])
    return BenchmarkSummary(
        model=model,
        steps=12,
        width=128,
        height=96,
        seed=0,
        prompts=2,
        engine=ENGINE,
        settings=(
            measured(plain, 2, 1, dict(scores)),
            measured(medium, 2, 2, metrics),
            measured(free, 1, 4, metrics),
        ),
    )


def laid(folder: Path, model: str = "tiny", **metrics: float | None) -> tuple[ListedSetting, ...]:
    path = folder / "summary.json"
    path.write_text(outcome(model, **metrics).model_dump_json(), encoding="utf-8")
    return own_benchmark.read_summary(path)


def test_every_setting_is_relative_to_its_own_baseline(tmp_path: Path) -> None:
    plain, medium, free = laid(
        tmp_path, image_reward=0.9, clip_score=31.0, psnr=34.0, psnr_wrapped=35.0, ssim=0.95, lpips=0.1
    )
    assert [setting.relative("tflops") for setting in (plain, medium, free)] == [1, 2, 4]
    assert [setting.relative("latency_s") for setting in (plain, medium, free)] == [1, 2, 4]
    assert [medium.relative(figure) for figure in ("image_reward", "clip_score")] == pytest.approx(
        [90, 100 * 31 / 32]
    )
    assert free.relative("image_reward") is None  # the baseline's mean is over other prompts
    assert (medium.value("psnr"), medium.value("ssim"), medium.value("lpips")) == (35.0, 0.95, 0.1)
    assert (medium.name, medium.preset) == (MEDIUM, "")


def test_a_score_of_0_or_less_has_no_percentage(tmp_path: Path) -> None:
    whole = outcome(image_reward=-0.5)
    first = whole.settings[0].replaced(metrics={"image_reward": -1.0})
    path = tmp_path / "summary.json"
    path.write_text(
        whole.replaced(settings=(first, *whole.settings[1:]), engine=None).model_dump_json(), encoding="utf-8"
    )
    _, medium, _ = own_benchmark.read_summary(path)
    assert (medium.value("image_reward"), medium.relative("image_reward")) == (-0.5, None)


def test_own_settings_are_drawn_as_dots_over_any_models_rows(tmp_path: Path) -> None:
    own = laid(tmp_path, ssim=0.95)
    for model in (FLUX, LIGHTNING):
        drawn = chart(select_settings(model, ALL, own_settings=own), FigureChoice("ssim"))
        dots = [point for point in drawn["points"] if point["mark"] == "dot"]
        assert [dot["id"] for dot in dots] == [
            setting.key for setting in own[1:]
        ]  # the baseline has no PSNR or SSIM against itself
        assert drawn["points"][-2:] == dots  # drawn over the others
        assert dots[0]["lines"][:2] == ["yours, measured", "tiny FLUX (embedded), 12 steps, 128 × 96"]
        assert {entry["mark"] for entry in drawn["legend"]} >= {"dot"}
    without = chart(select_settings(FLUX, FAMILIES, own_settings=own), FigureChoice("ssim"))
    assert [point for point in without["points"] if point["mark"] == "dot"] == []
    narrowed = select_settings(FLUX, ALL, {"MC": [6]}, "r0.24 t1", own)
    assert [setting.family for setting in narrowed] == ["forecast", OWN_FAMILY]


def test_metrics_without_scores_are_left_out(tmp_path: Path) -> None:
    own = laid(tmp_path, ssim=0.95, psnr=34.0)
    for quality in ("image_reward", "clip_score", "psnr", "lpips"):
        assert [
            point
            for point in chart(select_settings(FLUX, ALL, own_settings=own), FigureChoice(quality))["points"]
            if point["mark"] == "dot"
        ] == []
    card = own_benchmark.card(own[1])
    facts = {fact["name"]: fact["text"] for fact in card["facts"]}
    assert facts["PSNR"] == "34.00 dB"
    assert not {"ImageReward", "CLIP score", "LPIPS", "PSNR, wrapped"} & set(facts)
    assert NOT_PRINTED not in facts.values()
    assert any("psnr_wrapped" in note for note in card["notes"])


def test_figures_of_two_models_share_no_axis(tmp_path: Path) -> None:
    printed = FigureChoice("ssim", relative=False)
    for model, dots in (("tiny", 0), ("flux-dev", 2)):
        drawn = chart(select_settings(FLUX, ALL, own_settings=laid(tmp_path, model, ssim=0.95)), printed)
        assert len([point for point in drawn["points"] if point["mark"] == "dot"]) == dots
        assert (ANOTHER_MODEL in drawn["note"]) == (not dots)
    alone = chart(select_settings(FLUX, [OWN_FAMILY], own_settings=laid(tmp_path, ssim=0.95)), printed)
    assert len(alone["points"]) == 2
    assert alone["lines"][0]["points"] == []
    assert alone["note"] == ""


def test_the_dotted_line_is_of_published_rows_alone(tmp_path: Path) -> None:
    rows = select_settings(FLUX, ALL, own_settings=laid(tmp_path, ssim=0.9999))
    drawn = chart(rows, FigureChoice("ssim"))
    best = max(drawn["points"], key=lambda item: item["y"])
    assert best["mark"] == "dot"
    assert [best["x"], best["y"]] not in drawn["lines"][0]["points"]


def test_the_card_shows_measured_figures_engine_and_published_figures(tmp_path: Path) -> None:
    own = laid(tmp_path, image_reward=0.9, clip_score=31.0, ssim=0.95, psnr=None, psnr_wrapped=None)
    card = own_benchmark.card(own[1])
    facts = {fact["name"]: fact["text"] for fact in card["facts"]}
    assert (card["title"], card["kind"], card["code"]) == ("Your run", "measured", MEDIUM)
    assert [bar["text"] for bar in card["bars"]] == ["2.00×", "2.00×"]
    assert facts["SSIM"] == "0.9500 · published 0.7718"
    assert facts["ImageReward"].startswith("0.9000 · 90.0 % · published ")
    assert facts["TFLOPs"] == "500.00 of 1000.00"
    assert facts["Latency"] == "4.00 s of 8.00 s"
    assert (facts["Less compute, published"], facts["Less time, published"]) == ("3.94×", "2.75×")
    assert (facts["Denoise loop"], facts["Prompts"], facts["PSNR"]) == (
        "2.50× faster",
        "2 prompts",
        "identical",
    )
    assert facts["Engine"] == "NVIDIA L4, bfloat16, offloaded, torch 2"
    assert card["notes"] == ["Published: FLUX.1-dev at 50 steps on one NVIDIA L20."]
    other = own_benchmark.card(own[2])
    assert {fact["name"]: fact["text"] for fact in other["facts"]}["Prompts"] == "1 of 2 prompts"
    assert "published" not in str(other["facts"])
    plain = own_benchmark.card(own[0])
    assert (plain["title"], plain["bars"], own[0].why_not_openable) == (
        "Your baseline",
        [],
        plain["notes"][-1],
    )


def test_rows_and_csv_mark_the_users_own_runs(tmp_path: Path) -> None:
    own = laid(tmp_path, ssim=0.95)
    rows = select_settings(FLUX, ALL, own_settings=own)
    assert [row["tag"] for row in sheet(rows, FigureChoice())["rows"][-3:]] == ["yours"] * 3
    read = list(csv.DictReader(io.StringIO(as_csv(rows))))
    assert tuple(read[0]) == HEADS
    assert [row["setting"] for row in read] == [row.name for row in rows]
    assert [row["kind"] for row in read] == ["published"] * 97 + ["measured"] * 3
    assert (read[-1]["times_less_compute"], read[-1]["ssim"], read[-1]["psnr"]) == ("4.0000", "0.9500", "")
    slow = next(row for row in read if row["preset"] == "Slow + TaylorSeer")
    assert (slow["tflops"], slow["times_less_compute"], slow["baseline"]) == (
        "1153.05",
        "3.2322",
        "cache-dit's first run",
    )


def test_a_setting_is_found_by_its_key_and_knows_its_model(tmp_path: Path) -> None:
    own = laid(tmp_path, "flux-dev", ssim=0.95)
    assert find_setting(own[1].key, own) == own[1]
    assert find_setting(own[1].key) is None
    assert (own[1].baseline.model, own_benchmark.model_name(own[1])) == (FLUX, "flux-dev")
    assert own_benchmark.model_name(laid(tmp_path, ssim=0.9)[1]) == "tiny"
    assert [
        own_benchmark.model_title(name) for name in ("C:\\models\\mine\\", "/models/mine", "someone/mine")
    ] == ["mine"] * 3
    assert own_benchmark.summary_line(own) == "3 settings of FLUX.1-dev, 12 steps, 128 × 96, 2 prompts."


def test_names_from_a_file_are_text_alone(tmp_path: Path) -> None:
    own = laid(tmp_path, HOSTILE[:300], ssim=0.9)
    assert any(HOSTILE.split("/")[-1] in fact["text"] for fact in own_benchmark.card(own[1])["facts"])


def test_an_unreadable_file_is_an_error_of_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match=r"^benchmark: the file cannot be read \(.*\); choose it again\.$"):
        own_benchmark.read_summary(tmp_path / "gone.json")
    assert benchmark_summary_from(outcome(ssim=0.9).model_dump_json().encode()) == outcome(ssim=0.9)
