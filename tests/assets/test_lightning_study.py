"""The study of few-step models: its rows can be run, and its answer follows from its figures."""

from __future__ import annotations

import pytest

from cache_engine import MODELS
from studies import lightning
from studies.lightning import PLAIN, Contender, Outcome, answer, contenders, table, verdict

CACHE = next(row.method for row in contenders(4) if row.method != PLAIN)


def row(label: str, method: object, psnr_db: float, tflops: float) -> lightning.Row:
    return Contender(label, "tiny-lightning-4", 4, method), Outcome(psnr_db, 30, 35, 1.0, 1, tflops, tflops)


def rows(cached: float, fewer: float) -> list[lightning.Row]:
    return [
        row("all", PLAIN, 100, 4.0),
        row("far", CACHE, 60, 3.9),
        row("near", CACHE, cached, 3.1),
        row("fewer", PLAIN, fewer, 3.0),
    ]


@pytest.mark.parametrize("steps", [4, 8])
def test_every_row_fits_its_model(steps: int) -> None:
    made = contenders(steps)
    assert made[0].method == PLAIN
    assert len({each.label for each in made}) == len(made) > 5
    for each in made:
        request = MODELS[each.model].resolve(each.request(0))
        each.method.plan(MODELS[each.model].facts(request))


@pytest.mark.parametrize(("cached", "fewer", "told"), [(40, 30, "yes"), (30, 40, "no")])
def test_the_answer_compares_at_about_equal_compute(cached: float, fewer: float, told: str) -> None:
    assert answer(4, rows(cached, fewer)) == f"At 4 steps: **{told}**."
    said = verdict(rows(cached, fewer))
    assert f"setting nearest in compute is near: {cached:.1f} dB" in said
    assert f"10.0 dB {'better' if told == 'yes' else 'worse'}" in said


def test_ratios_are_to_the_first_row() -> None:
    lines = table(rows(40, 30)).splitlines()
    assert len(lines) == 6
    assert lines[2].endswith("| 1.00 | 1.00 |")
    assert lines[5].endswith("| 1.33 | 1.33 |")
