"""Tests numbers and reasons as texts."""

from __future__ import annotations

import math

import pytest

from app import words
from cache_engine import StepTrace

CACHED = StepTrace(
    step=5,
    call=5,
    stream="cond",
    mode="c",
    reason="change 0.0464 < 0.12",
    change=0.0464,
    limit=0.12,
    blocks_run=4,
    blocks=57,
    tflops=5.2,
    seconds=0.02,
)


@pytest.mark.parametrize(
    ("psnr", "word"),
    [
        (None, "identical"),
        (math.inf, "identical"),
        (60.0, "nearly identical"),
        (38.0, "nearly identical"),
        (37.99, "very close"),
        (32.0, "very close"),
        (31.9, "visible"),
        (27.0, "visible"),
        (26.9, "different"),
        (3.0, "different"),
    ],
)
def test_a_word_holds_from_its_psnr_up_to_the_next(psnr: float | None, word: str) -> None:
    assert words.likeness(psnr) == word


@pytest.mark.parametrize(
    ("value", "text"),
    [(2087.05, "2087"), (74.5375, "74.5"), (5.2234, "5.22"), (0.01234, "0.0123"), (0, "0"), (999.6, "1000")],
)
def test_three_significant_digits_and_whole_numbers_whole(value: float, text: str) -> None:
    assert words.significant(value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.0234, "23 ms"),
        (0.0012, "1.2 ms"),
        (0.32, "0.32 s"),
        (8.184, "8.18 s"),
        (29.23, "29.2 s"),
        (312.4, "312 s"),
        (0.0997, "0.10 s"),
    ],
)
def test_seconds_in_the_unit_that_reads_best(value: float, text: str) -> None:
    assert words.seconds(value) == text


@pytest.mark.parametrize(
    ("value", "text"), [(0.04, "0.0 s"), (1.62, "1.6 s"), (20.4, "20 s"), (119.6, "2 min"), (3600, "60 min")]
)
def test_estimates_are_rounded(value: float, text: str) -> None:
    assert words.rough(value) == text


@pytest.mark.parametrize(
    ("count", "text"),
    [(36_200_000_000, "36 GB"), (210_000_000, "210 MB"), (1_500_000, "1.5 MB"), (900, "900 B")],
)
def test_memory_in_decimal_units(count: int, text: str) -> None:
    assert words.memory(count) == text


@pytest.mark.parametrize(
    ("ratio", "sentence"),
    [
        (2.1, ("2.10×", "faster")),
        (0.5, ("2.00×", "slower")),
        (1.002, ("1.00×", "the same")),
        (0.998, ("1.00×", "the same")),
    ],
)
def test_slower_is_called_slower(ratio: float, sentence: tuple[str, str]) -> None:
    assert words.times_faster(ratio) == sentence


def test_ssim_of_pictures_that_differ_is_never_shown_as_one() -> None:
    assert words.structural(0.99996) == ">0.999"
    assert words.structural(1.0) == "1.000"
    assert words.structural(0.9621) == "0.962"


def test_something_is_never_no_per_cent() -> None:
    assert [words.share(part) for part in (0, 0.0004, 0.034, 1)] == ["0 %", "under 0.1 %", "3.4 %", "100 %"]


@pytest.mark.parametrize(
    ("change", "limit"), [(0.11996, 0.12), (0.12, 0.12), (0.1200004, 0.12), (0.0001, 0.12), (0.4, None)]
)
def test_a_change_reads_on_the_right_side_of_its_limit(change: float, limit: float | None) -> None:
    shown = float(words.change_text(change, limit))
    assert limit is None or (shown < limit) == (change < limit)
    assert shown != 0


@pytest.mark.parametrize(
    ("changes", "streak", "knobs", "sentence"),
    [
        ({}, 2, {}, "cached: change 0.046 is below 0.12, second in a row"),
        (
            {"change": 0.1543, "mode": "C", "reason": "change 0.1543 >= 0.12"},
            3,
            {},
            "computed: change 0.154 is not below 0.12",
        ),
        (
            {"mode": "C", "reason": "max in a row"},
            3,
            {"max_continuous_cached_steps": 3},
            "computed: 3 in a row is the limit (change 0.046)",
        ),
        (
            {"mode": "C", "reason": "warm-up", "limit": None},
            0,
            {},
            "computed: warm-up, whatever the change (0.046)",
        ),
        ({"mode": "C", "reason": "warm-up", "change": None, "limit": None}, 0, {}, "computed: warm-up"),
        ({"mode": "C", "reason": "always", "change": None}, 0, {}, "computed: this side computes every step"),
        ({"reason": "mask", "change": None}, 12, {}, "cached: decided by the mask, 12th in a row"),
        (
            {"mode": "C", "reason": "max in all", "change": None},
            0,
            {"max_cached_steps": 9},
            "computed: 9 cached in all is the limit",
        ),
        (
            {"reason": "of a method to come", "change": None},
            1,
            {},
            "cached: of a method to come, first in a row",
        ),
        (
            {"mode": "p", "reason": "of a method to come", "change": None},
            0,
            {},
            "partly computed: of a method to come",
        ),
    ],
)
def test_every_reason_becomes_a_sentence(changes: dict, streak: int, knobs: dict, sentence: str) -> None:
    assert words.sentence(CACHED._replace(**changes), streak, knobs) == sentence


def test_forced_is_what_no_change_decided() -> None:
    assert words.is_forced(CACHED._replace(mode="C", reason="warm-up"))
    assert not words.is_forced(CACHED._replace(mode="C", reason="change 0.2 >= 0.12"))
    assert not words.is_forced(CACHED._replace(reason="mask"))
