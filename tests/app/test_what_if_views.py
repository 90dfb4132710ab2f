"""Tests how a forecast is drawn: an expected figure never looks measured, and an unknown figure has no
number.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from app import views
from app.compare import what_if_views
from cache_engine import Forecast, Method
from tests.app.made import dbcache, pair, run

LAST = pair(dbcache())


def forecast(
    method: Method, psnr_db: float | None = 33.0, *, counted: bool = True, error: float = 0.1
) -> Forecast:
    """Return the forecast of ``method``, with the decisions of a run that has the same changes."""
    made, whole = run(method), LAST.baseline
    identical = all(call.mode == "C" for call in made.trace)
    has_psnr = psnr_db is not None and not identical
    return Forecast(
        method=method.to_dict(),
        calls=made.trace,
        seconds=made.seconds.denoise,
        baseline_seconds=whole.seconds.denoise,
        tflops=made.tflops if counted else None,
        baseline_tflops=whole.tflops,
        psnr_db=psnr_db if has_psnr else None,
        band=(psnr_db - 2, psnr_db + 2) if psnr_db is not None and has_psnr else None,
        identical=identical,
        error=0.0 if identical else error,
        note="" if has_psnr else "run this setting",
    )


def cards(expected: Forecast) -> dict[str, dict[str, Any]]:
    return {card["name"]: card for card in what_if_views.headline(expected, LAST, cache=210_000_000)["cards"]}


def test_a_likeness_too_far_off_for_a_band_has_none_and_says_why() -> None:
    expected = forecast(dbcache(residual_diff_threshold=0.2, max_continuous_cached_steps=4), psnr_db=24.0)
    shown = cards(expected._replace(band=None, note="so far off"))["psnr"]
    assert shown["num"] == "24 dB"  # the card itself marks expected figures with a sign
    assert "so far off" in shown["notes"]
    assert "band" not in shown["scale"]
    assert what_if_views.banded(expected._replace(band=None)) == "≈ 24 dB"


def test_expected_figures_stand_beside_the_last_runs() -> None:
    shown = cards(forecast(dbcache(residual_diff_threshold=0.2, max_continuous_cached_steps=4)))
    assert (shown["speed"]["kind"], shown["psnr"]["kind"], shown["flops"]["kind"]) == (
        "expected",
        "expected",
        "counted",
    )
    assert shown["speed"]["notes"] == [f"last run {LAST.speedup:.2f}×"]
    assert shown["psnr"]["num"] == "33 ± 2 dB"
    assert shown["psnr"]["scale"]["band"] == [views.place(31), views.place(35)]
    assert shown["psnr"]["notes"] == ["last run 33.6 dB"]
    assert shown["ssim"]["num"] == "no estimate"
    assert "memory for the cache 210 MB" in shown["ssim"]["notes"]
    assert shown["flops"]["notes"][-1] == "last run 978"


def test_what_cannot_be_judged_has_no_number() -> None:
    shown = cards(forecast(dbcache(), None, counted=False))
    assert {card["num"] for card in shown.values()} == {"no estimate"}
    assert {card["kind"] for card in shown.values()} == {"unknown"}
    assert "run this setting" in shown["psnr"]["notes"]
    cells = what_if_views.timeline(forecast(dbcache(), None, counted=False), LAST)["rows"][0]["cells"]
    assert {
        (cell["cost"], "counted once the setting runs" in cell["facts"])
        for cell in cells
        if cell["mode"] == "cached"
    } == {(0, True)}


def test_all_computed_is_identical_and_no_estimate_is_needed() -> None:
    card = cards(forecast(dbcache(residual_diff_threshold=0.0)))["psnr"]
    assert (card["num"], card["kind"], card["scale"]["on"]) == ("identical", "counted", -1)


def test_the_timeline_says_what_it_is_expected_from_and_what_was_painted() -> None:
    view = what_if_views.timeline(forecast(dbcache()), LAST, top=0.5, painted=[3, 9])
    assert view["expected"] == f"expected from the baseline run of {LAST.baseline.clock}"
    assert (view["top"], view["limit"]["place"]) == (0.5, 0.24)
    assert [step for step, cell in enumerate(view["rows"][0]["cells"]) if cell.get("painted")] == [3, 9]
    assert view["drag"] == {"value": 0.12, "low": 0, "high": 1, "step": 0.01}
    assert json.loads(json.dumps(view)) == view


def test_a_static_mask_leaves_no_line_to_drag() -> None:
    masked = dbcache(steps_computation_mask="10" * 14, steps_computation_policy="static")
    view = what_if_views.timeline(forecast(masked), LAST)
    assert (view["limit"], view["drag"], view["masked"], view["paint"]) == (None, None, True, True)
    assert all(cell["change"] is not None for cell in view["rows"][0]["cells"][1:])


def test_the_banners_button_turns_the_knob_that_helps() -> None:
    view = what_if_views.timeline(forecast(dbcache(residual_diff_threshold=0.02)), LAST)
    assert view["fix"] == {"knob": "residual_diff_threshold", "value": 0.03, "text": "Set 0.03"}
    assert view["banner"].startswith("0 of 28 steps cached")
    shorter = what_if_views.timeline(forecast(dbcache(max_warmup_steps=28)), LAST, warm_up=27)
    assert shorter["fix"] == {"knob": "max_warmup_steps", "value": 27, "text": "Set 27"}
    assert what_if_views.timeline(forecast(dbcache()), LAST)["fix"] is None


def test_pictures_are_called_stale_only_while_they_are() -> None:
    assert what_if_views.stale(LAST) == {"text": f"Pictures show the last run: {LAST.speedup:.2f}×, 33.6 dB"}
    assert what_if_views.stale(None) == {"text": ""}


def frontier(calibrated: bool = True) -> list[Forecast]:
    """Return forecasts from slow and close to fast and far."""
    levels = {0.0: 60.0, 0.08: 45.0, 0.12: 33.0, 0.3: 24.0}
    settings = [dbcache(residual_diff_threshold=limit, max_continuous_cached_steps=-1) for limit in levels]
    return [
        forecast(method, level if calibrated else None, error=10 ** (-level / 20))
        for method, level in zip(settings, levels.values(), strict=True)
    ]


@pytest.mark.parametrize(
    ("goal", "value", "place"),
    [
        ("speed", 1.0, 0),
        ("speed", 1.01, 1),
        ("speed", 99.0, 3),
        ("likeness", 99.0, 0),
        ("likeness", 45.0, 1),
        ("likeness", 33.1, 1),
        ("likeness", 30.0, 2),
        ("likeness", 0.0, 3),
    ],
)
def test_the_dial_is_solved_by_the_forecasts(goal: str, value: float, place: int) -> None:
    forecasts = frontier()
    assert [of_frontier.speedup for of_frontier in forecasts] == sorted(
        of_frontier.speedup for of_frontier in forecasts
    )
    assert what_if_views.best(forecasts, goal, value) is forecasts[place]
    assert what_if_views.best([], goal, value) is None


def test_the_dial_draws_a_curve_the_runs_and_where_the_knobs_stand() -> None:
    forecasts = frontier()
    view = what_if_views.dial(forecasts, [LAST], forecasts[2])
    assert view["db"] == [20.0, 45.0]
    assert [point["y"] for point in view["points"]] == [
        1.0,
        1.0,
        pytest.approx(13 / 25),
        pytest.approx(4 / 25),
    ]
    assert view["points"][2]["band"] == [pytest.approx(11 / 25), pytest.approx(15 / 25)]
    assert view["runs"] == [{"x": what_if_views.across(LAST.speedup), "y": pytest.approx(13.6123 / 25)}]
    assert (view["at"]["speed_text"], view["at"]["likeness_text"]) == (
        f"{forecasts[2].speedup:.2f}×",
        "33 ± 2 dB",
    )
    assert [mark["text"] for mark in view["speeds"]] == ["1×", "1.5×", "2×", "3×", "4×"]
    assert (
        what_if_views.across(0.5),
        what_if_views.across(1),
        what_if_views.across(2),
        what_if_views.across(8),
    ) == (
        0,
        0,
        0.5,
        1,
    )
    assert json.loads(json.dumps(view)) == view


def test_without_decibels_the_dial_keeps_the_order_and_says_so() -> None:
    view = what_if_views.dial(frontier(calibrated=False), [LAST], None)
    heights = [point["y"] for point in view["points"]]
    assert heights == sorted(heights, reverse=True)
    assert (view["db"], view["levels"], view["runs"], view["at"]) == (None, [], [], None)
    assert view["note"].startswith("This model has no PSNR estimates yet")


def test_freeze_takes_the_most_common_decisions_and_tells_their_share() -> None:
    runs = [{"cond": "CCcC"}, {"cond": "CCcC"}, {"cond": "CCCc"}]
    assert what_if_views.frozen_mask(runs, measured=True) == (
        "1101",
        "Frozen: the mask equals 2 of the last 3 runs of this setting.",
    )
    assert (
        what_if_views.frozen_mask(runs[:1], measured=True)[1]
        == "Frozen: the mask equals 1 of 1 run of this setting."
    )
    apart = [{"cond": "CCcc", "uncond": "CcCc"}]
    mask, sentence = what_if_views.frozen_mask(apart, measured=True)
    assert mask == "1110"
    assert sentence.startswith("Frozen: the mask equals 0 of 1 run")
    assert sentence.endswith("a step that any stream computed is now computed in all streams.")
    assert "which has not run" in what_if_views.frozen_mask(runs[:1], measured=False)[1]
