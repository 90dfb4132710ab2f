"""Tests tunes of a model whose surveys do not tell how close settings come: unknown values are not shown as
figures, and the goal is still reached.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.tune.chart import FrontierChoice, chart
from app.tune.csv_files import tune_csv
from app.tune.views import card, sheet
from cache_engine.methods.dbcache import DBCache
from cache_engine.methods.spectrum import Spectrum
from cache_engine.records import RunRequest
from cache_engine.tuning.candidates import GUESSED, LEAST, MOST, forecast_candidates
from cache_engine.tuning.goal import Goal
from cache_engine.tuning.measurements import IDENTICAL
from cache_engine.tuning.report import status_json
from cache_engine.tuning.tuner import TuneStatus, TuneTask, search_of, tune
from cache_engine.whatif.survey import Survey
from cache_engine.whatif.survey_file import load

PROMPT = "a small red apple on a blue background"
TASK = TuneTask(request=RunRequest(prompt=PROMPT, steps=8), prompts=(PROMPT,), goal=Goal(value=30))
PROPAGATION = ("products", "mixtures", "patterns", "levels")


def unheard(survey: Survey) -> Survey:
    """Return the survey as of a model too large for error propagation."""
    return replace(survey, memo={}, **{name: np.zeros(0, np.float32) for name in PROPAGATION})


@pytest.fixture(scope="module")
def standings(tmp_path_factory: pytest.TempPathFactory) -> list[TuneStatus]:
    """Stop a tune as soon as it has the survey, and continue with the survey of another model."""
    folder = tmp_path_factory.mktemp("tune")
    begun: Generator[TuneStatus] = tune(TASK, folder)
    next(status for status in begun if status.stage == "judging")
    begun.close()
    path = next((folder / "surveys").glob("*.npz"))
    unheard(load(path)).save(path)
    return list(tune(TASK, folder))


@pytest.fixture(scope="module")
def has_estimate(standings: list[TuneStatus]) -> list[dict[str, Any]]:
    return [status_json(TASK, status) for status in standings]


def test_the_goal_is_reached_by_real_runs_within_the_usual_number(
    standings: list[TuneStatus], has_estimate: list[dict[str, Any]]
) -> None:
    last = has_estimate[-1]
    assert not [
        candidate
        for candidate in standings[-1].candidates
        if candidate.has_closeness and not candidate.forecasts[0].identical
    ]
    assert 0 < len(last["verified"]) <= TASK.most
    assert last["best"]["measured"]["psnr_db"] >= 30
    assert last["best"]["measured"]["compute_ratio"] > 2


def test_what_is_not_known_has_no_decibels(
    standings: list[TuneStatus], has_estimate: list[dict[str, Any]]
) -> None:
    for status, snapshot in zip(standings, has_estimate, strict=True):
        told_of = {place for place in range(len(status.candidates)) if status.has_estimate(place)}
        assert [row[2] is not None for row in snapshot["cloud"]] == [
            place in told_of for place in range(len(snapshot["cloud"]))
        ]
        listed = [*snapshot["frontier"], *snapshot["fewer_steps"], *snapshot["verified"]]
        assert all(
            each["expected"]["psnr_db"] is not None for each in [*snapshot["frontier"], *snapshot["verified"]]
        )
        for each in listed:
            assert (each["expected"]["psnr_db"] is None) == (each["expected"]["spread_db"] is None)
            assert each["expected"]["psnr_db"] is None or "measured" in each or "c" not in each["schedule"]


def test_the_page_draws_it_without_a_figure(has_estimate: list[dict[str, Any]]) -> None:
    for status in has_estimate:
        view = chart(status, FrontierChoice())
        verified = {each["key"] for each in status["verified"]}
        assert {point["id"] for point in view["points"]} <= verified
        assert view["points"] or view["empty"]
        rows = {row["id"]: row["cells"][4] for row in sheet(status)["rows"]}
        for each in status["fewer_steps"]:
            if each["key"] not in verified:
                assert rows[each["key"]] == {"text": "no estimate", "sort": None}
                facts = card(status, each)
                assert facts["facts"] == [{"name": "PSNR", "text": "no estimate"}]
                assert "run it to measure the quality" in " ".join(facts["notes"])
        assert "no estimate" not in tune_csv(status)


def test_a_guess_falls_with_the_compute_that_is_saved_and_what_is_known_stays(
    standings: list[TuneStatus],
) -> None:
    candidates = standings[-1].candidates
    survey = surveyed(standings)
    search = search_of(TASK.goal, candidates, [survey])
    share = search.costs.tflops / search.costs.full_tflops
    for place, candidate in enumerate(candidates):
        mean, spread = search.posterior.mean[place], search.posterior.deviation[place]
        if candidate.forecasts[0].identical:
            assert mean == IDENTICAL
        else:
            assert mean == pytest.approx(LEAST + (MOST - LEAST) * share[place])
            assert spread == GUESSED
    *_, (_, several) = forecast_candidates([DBCache(residual_diff_threshold=0), Spectrum()], [survey])
    assert [other.has_closeness for other in several] == [True, False]
    assert several[0].closeness == (IDENTICAL,)


def test_a_method_within_blocks_is_run_too(tmp_path: Path) -> None:
    """A survey neither forecasts this method nor counts its skipped parts."""
    task = TASK.replaced(
        request=TASK.request.replaced(steps=8),
        goal=Goal(value=25),
        fewer_steps=False,
        vary={"fora": {"interval": "2..5"}},
    )
    *_, last = tune(task, tmp_path)
    assert not any(candidate.has_closeness for candidate in last.candidates)
    assert last.verified
    assert last.best is not None
    assert status_json(task, last)["best"]["measured"]["psnr_db"] >= 25


def surveyed(standings: list[TuneStatus]) -> Survey:
    picture = standings[-1].verified[0].runs[0].picture
    return load(
        next(
            next(parent for parent in picture.parents if (parent / "surveys").is_dir()).glob("surveys/*.npz")
        )
    )
