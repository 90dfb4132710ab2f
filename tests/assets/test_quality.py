"""Tests the parts of docs/quality.md: prompts on which nothing was chosen, settings near their budgets, and a
page that shows its results.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from assets.train_tiny_flux.domain import held_out_pairs
from assets.train_tiny_flux.evaluate import held_out
from cache_engine import METHODS, MODELS
from cache_engine.methods.fewer_steps import FewerSteps
from cache_engine.session import walk
from studies.quality.mask_search import MaskCost
from studies.quality.settings import (
    BUDGETS,
    SCORED,
    SEARCHED,
    STEPS,
    Contender,
    contenders,
    prompts,
    request,
    searches,
)
from studies.quality.store import Score, Store, looks_at_data, method_key
from studies.quality.table import IDENTICAL, rows, write

FACTS = MODELS["tiny"].facts(MODELS["tiny"].resolve(request(0)))


def test_every_scored_pair_was_held_out_and_comes_once() -> None:
    pairs = [(spec.thing, spec.background) for spec, _ in held_out(SEARCHED + SCORED, seed=29)]
    assert set(pairs) <= set(held_out_pairs())
    assert len(set(pairs)) == len(pairs) == len(set(prompts())) == 58


@pytest.mark.parametrize("budget", BUDGETS)
def test_settings_that_do_not_look_at_the_data_compute_about_their_budget(budget: int) -> None:
    independent = [
        contender
        for contender in contenders()
        if contender.budget == budget and not looks_at_data(contender.method)
    ]
    assert len(independent) > 15
    for contender in independent:
        steps = contender.method.effective(MODELS["tiny"].resolve(request(0))).steps
        assert steps
        session = walk(contender.method.plan(FACTS._replace(steps=steps)), steps, ("cond",), lambda call: 0.0)
        computed = sum(call.decision is not None and call.decision.mode == "C" for call in session.calls)
        assert abs(computed - budget) <= max(3, budget // 3), (
            contender.label
        )  # the searched settings may use the compute that the other methods' first block takes


def test_every_method_is_there_at_every_budget() -> None:
    for budget in BUDGETS:
        assert {contender.method.name for contender in contenders() if contender.budget == budget} >= set(
            METHODS
        ) - {
            "baseline",
            "fixed_mask",
        }


def test_a_cut_line_does_not_count_and_the_rest_is_the_page(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("studies.shared.BUILD", tmp_path)
    store, plain = Store("0"), Contender("Fewer steps", 12, FewerSteps(fraction=0.24))
    for number, psnr in ((0, 10.0), (SEARCHED, 40.0), (SEARCHED + 1, None)):
        store.write(
            "scores", {"key": method_key(plain.method), "prompt": number, "score": Score(psnr, 0.9, 12, 0.24)}
        )
    with (store.folder / "scores-1.jsonl").open("w", encoding="utf-8") as file:
        file.write('{"key": "half')
    (row,) = rows(Store(), [plain])
    assert (row.prompts, list(row.psnr), row.computed, row.ratio) == (2, [40.0, IDENTICAL], 12, None)
    write(tmp_path / "docs", Store(), [plain])
    page = (tmp_path / "docs" / "quality.md").read_text(encoding="utf-8")
    assert "| Fewer steps | 12.0 | 0.240 | not taken | 70.00 | 43.00 | 40.00 | 0.9000 | 2 |" in page
    assert (tmp_path / "docs" / "quality.svg").read_text(encoding="utf-8").count("<circle") == 6


def test_the_searched_recipes_are_compared_by_the_store(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Our winner is compared with each of the four rows that it must beat: dB, TFLOPs and time follow only
    from the stored scores.
    """
    monkeypatch.setattr("studies.shared.BUILD", tmp_path)
    near = [
        contender
        for contender in contenders()
        if contender.budget == 12 and contender.method.name in ("dbcache", "kriging", "fewer_steps")
    ]
    heights = {
        "Ours (search)": 50.0,
        "DBCache's best (search)": 45.0,
        "Fewer steps": 40.0,
        "DBCache F1, even mask, dmd 1": 46.0,
    }
    store = Store("0")
    for neighbour in near:
        psnr = heights.get(neighbour.label, 30.0)
        store.write(
            "scores",
            {
                "key": method_key(neighbour.method),
                "prompt": SEARCHED,
                "score": Score(psnr, 0.9, 12, psnr / 100),
            },
        )
        store.write("times", {"key": method_key(neighbour.method), "ratio": psnr / 80})
    write(tmp_path / "docs", Store(), near)
    page = (tmp_path / "docs" / "quality.md").read_text(encoding="utf-8")
    ours, theirs = (
        f"{searches()[label, 12]['psnr_db']:.2f}" for label in ("Ours (search)", "DBCache's best (search)")
    )
    rows = [
        line for line in page.splitlines() if line.startswith(f"| 12 computed steps | 50.00 dB ({ours}) | ")
    ]
    assert len(rows) == 4
    assert any(
        row.endswith(f"| DBCache's best (search): 45.00 dB ({theirs}) | +5.00 dB | 1.111 | 1.111 | 1 |")
        for row in rows
    )
    for label, gain in (
        ("DBCache F1, even mask, dmd 1", 4),
        ("Fewer steps", 10),
        ("DBCache(Medium) + TaylorSeer(O=1), as published", 20),
    ):
        assert any(f"| {label}: {50 - gain}.00 dB | +{gain}.00 dB |" in row for row in rows)
    assert "<!--" not in page


def test_the_cost_of_a_mask_is_the_error_that_it_leaves() -> None:
    """If values are a straight line in time and are reused, each skipped step misses its distance from the
    computed step.
    """
    import numpy as np

    from cache_engine.predictors import Newton, Reuse

    line = np.arange(STEPS, dtype=float)
    alike, weights = np.outer(line, line), np.ones(STEPS)
    missed = sum(step - max(at for at in (0, 10, 30) if at <= step) for step in range(STEPS))
    assert MaskCost(Reuse(), alike, weights, gaps_too=False).cost((0, 10, 30)) == pytest.approx(missed**2)
    assert MaskCost(Newton(1), alike, weights, gaps_too=True).cost((0, 1, 30)) == pytest.approx(0, abs=1e-6)
    cost, mask = MaskCost(Reuse(), alike, weights, gaps_too=False).climb((0, 1, 2))
    assert mask[0] == 0
    assert cost < missed**2
