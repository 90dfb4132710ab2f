"""Tests the survey: a sample fits its budget, and a saved survey comes back."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from cache_engine.plans import Signal
from cache_engine.strict import EngineError
from cache_engine.whatif.survey import BUDGET, Survey, in_half, load, most_positions
from tests.engine.random_survey import random_survey

FRONT = Signal("front_residual", "computed")


@pytest.fixture(scope="module")
def survey() -> Survey:
    return random_survey()


def test_flux_dev_stays_within_its_budget() -> None:
    calls, blocks, elements = 50, 57, 4096 * 3072
    positions = most_positions(elements, calls * (blocks + 2))
    stored = 2 * calls * positions * (blocks + 2)
    assert BUDGET < stored + 1_000_000 < 60_000_000  # a million bytes for norms, times and names
    assert positions > 9_000


def test_half_precision_keeps_any_size() -> None:
    for size in (1e-9, 1.0, 3e6):
        values = np.random.default_rng(0).normal(size=1000).astype(np.float32) * size
        half, scale = in_half(values)
        assert np.allclose(half.astype(np.float32) * scale, values, rtol=1e-3, atol=size * 1e-5)


def test_saved_and_loaded_it_is_the_same(survey: Survey, tmp_path: Path) -> None:
    survey.changes(FRONT, 1)  # derived results are not saved
    path = tmp_path / "survey.npz"
    survey.save(path)
    for copy in (load(path), pickle.loads(pickle.dumps(survey))):
        assert not copy.memo
        assert copy.facts == survey.facts
        for name, value in vars(survey).items():
            same = (
                np.array_equal(value, vars(copy)[name], equal_nan=True)
                if isinstance(value, np.ndarray)
                else value == vars(copy)[name]
            )
            assert same or name == "memo", name


def test_what_is_no_survey_is_refused_in_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="does not exist"):
        load(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("hello", encoding="utf-8")
    np.savez(tmp_path / "other.npz", values=np.ones(3))
    (tmp_path / "damaged.npz").write_bytes((tmp_path / "other.npz").read_bytes()[:40])
    for name in ("text", "other", "damaged"):
        with pytest.raises(EngineError, match="is not a survey"):
            load(tmp_path / f"{name}.npz")


@pytest.mark.parametrize("share", [0.0, 0.0001, 0.3, 0.999])
def test_a_survey_cut_short_is_refused_in_one_sentence(survey: Survey, tmp_path: Path, share: float) -> None:
    path = tmp_path / "survey.npz"
    survey.save(path)
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(EngineError, match="is not a survey, or is damaged"):
        load(path)
