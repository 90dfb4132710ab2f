"""Tests a survey of a real run: it changes nothing, and holds the changes that a cached run measures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cache_engine.method import METHODS
from cache_engine.methods.dbcache import DBCache
from cache_engine.methods.teacache import TeaCache
from cache_engine.plans import Signal
from cache_engine.whatif.survey import Survey
from tests.engine.facts import BLOCKS, GUIDED, STEPS
from tests.engine.surveys import followed, letters, surveyed
from tests.parity.loop import tiny_flux

FRONT = Signal("front_residual", "computed")
SMALL = 30_000  # bytes, enough for a part of the tiny model's 512 values in a tensor


@pytest.fixture(scope="module")
def model() -> torch.nn.Module:
    return tiny_flux()


@pytest.fixture(scope="module")
def survey(model: torch.nn.Module) -> Survey:
    return surveyed(model)


@pytest.mark.parametrize("budget", [10**9, SMALL])
@pytest.mark.parametrize("streams", [("cond",), GUIDED])
def test_it_changes_nothing(model: torch.nn.Module, streams: tuple[str, ...], budget: int) -> None:
    before = dict(vars(model.get_submodule("transformer_blocks.0")))
    plain, _, _ = followed(model, METHODS["baseline"](), streams)
    watched, trace, _ = followed(model, METHODS["baseline"](), streams, budget)
    assert all(torch.equal(method[0], other[0]) for method, other in zip(plain, watched))
    assert letters(trace, "cond") == "C" * STEPS
    assert vars(model.get_submodule("transformer_blocks.0")) == before


@pytest.mark.parametrize("front", range(1, BLOCKS))
def test_the_changes_are_those_that_a_run_measures(
    model: torch.nn.Module, survey: Survey, front: int
) -> None:
    """With a threshold of 0 every step is computed, and its change since the step before is measured."""
    _, trace, _ = followed(
        model, DBCache(Fn_compute_blocks=front, residual_diff_threshold=0, max_warmup_steps=1)
    )
    changes = survey.changes(FRONT, front)
    assert changes is not None
    measured = {(call.stream, call.step): call.change for call in trace if call.change is not None}
    assert len(measured) == (STEPS - 1) * len(GUIDED)
    for (stream, step), change in measured.items():
        assert changes[GUIDED.index(stream)][step - 1][step] == pytest.approx(change, rel=1e-3)


def test_teacaches_signal_is_there_too(model: torch.nn.Module, survey: Survey) -> None:
    _, trace, _ = followed(model, TeaCache(threshold=0.0))
    changes = survey.changes(Signal("modulated_input", "previous"), 0)
    assert changes is not None
    for call in trace[2:]:
        assert changes[GUIDED.index(call.stream)][call.step - 1][call.step] == pytest.approx(
            call.change, rel=3e-3
        )  # float16 rounds the values


def test_a_run_says_how_far_its_sample_is_off(model: torch.nn.Module, survey: Survey) -> None:
    assert survey.sampling_error is not None
    assert survey.sampling_error < 1e-3  # every value was kept, so only the rounding to float16 remains
    part = surveyed(model, budget=SMALL)
    exact = survey.exact[:, 1:]
    assert np.allclose(part.exact[:, 1:], exact, rtol=1e-4)
    assert np.allclose(part.mean_abs, survey.mean_abs, rtol=1e-4)
    assert part.sampling_error is not None
    assert 1e-3 < part.sampling_error < 0.3
