"""Tests the survey: a sample fits its budget, a saved survey comes back, and a damaged file is refused."""

from __future__ import annotations

import json
import pickle
import random
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cache_engine import METHODS
from cache_engine.plans import Signal
from cache_engine.strict import EngineError
from cache_engine.whatif.simulation import simulate
from cache_engine.whatif.survey import ARRAYS, BUDGET, Survey, in_half, most_positions
from cache_engine.whatif.survey_file import AXES, GROUPS, load
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


def rewritten(path: Path, header: dict[str, Any], arrays: dict[str, Any]) -> None:
    with path.open("wb") as file:
        np.savez(file, facts=json.dumps(header), **arrays)


def test_every_array_has_its_axes() -> None:
    named = [*AXES, *(name for group in GROUPS for name in group)]
    assert sorted(named) == sorted(ARRAYS)


def test_a_survey_without_the_parts_that_may_be_missing_comes_back(survey: Survey, tmp_path: Path) -> None:
    none = {name: np.zeros(0, np.float32) for group in GROUPS for name in group}
    path = tmp_path / "survey.npz"
    replace(survey, **none).save(path)
    assert not load(path).last.size
    path.unlink()
    replace(survey, last=none["last"]).save(path)  # its modulation is still there
    with pytest.raises(EngineError, match="is damaged"):
        load(path)


@pytest.mark.parametrize("seed", range(400))
def test_a_changed_survey_is_refused_or_replayed(survey: Survey, tmp_path: Path, seed: int) -> None:
    """One field or one array has another shape, type or content; or bytes of the file are changed."""
    draw, path = random.Random(seed), tmp_path / "survey.npz"
    survey.save(path)
    if seed % 4 == 0:
        data = bytearray(path.read_bytes())
        for _ in range(draw.choice((1, 20, 1000))):
            data[draw.randrange(len(data))] = draw.randrange(256)
        path.write_bytes(data)
    else:
        with np.load(path) as file:
            header: dict[str, Any] = json.loads(str(file["facts"]))
            arrays: dict[str, Any] = {name: file[name] for name in ARRAYS}
        if seed % 4 == 1:
            inside: dict[str, Any] = draw.choice(
                (header, header["facts"], header["engine"], header["request"])
            )
            inside[draw.choice([*inside, "unknown"])] = draw.choice(VALUES)
        else:
            name = draw.choice(ARRAYS)
            arrays[name] = draw.choice(CHANGES)(arrays[name])
        rewritten(path, header, arrays)
    with suppress(EngineError):
        again = load(path)
        for method in (METHODS["dbcache"](), METHODS["teacache"](), METHODS["baseline"]()):
            with suppress(EngineError):
                simulate(again, method, None)


VALUES: tuple[Any, ...] = (
    None,
    "",
    "a",
    -1,
    0,
    1,
    2,
    10**30,
    0.5,
    True,
    [],
    [1],
    [[1]],
    ["cond"] * 2,
    {},
    [2, 4],
)
CHANGES: tuple[Callable[[np.ndarray], np.ndarray], ...] = (
    lambda array: array[..., :1],
    lambda array: array[:-1],
    lambda array: array[None],
    lambda array: array.T,
    lambda array: np.repeat(array, 2, axis=0),
    lambda array: np.zeros(0, np.float32),
    lambda array: np.float32(1.0) * np.ones(()),
    lambda array: array.astype(str),
    lambda array: array.astype(np.int64),
    lambda array: array.astype(np.complex64),
    lambda array: np.full_like(array, np.nan),
    lambda array: np.full_like(array, np.inf),
    lambda array: -array,
    np.zeros_like,
)
