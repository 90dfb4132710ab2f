"""The survey: it changes nothing, a sample stands for the whole, and what is saved comes back."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import torch

from cache_engine.method import METHODS
from cache_engine.methods.dbcache import DBCache
from cache_engine.methods.teacache import TeaCache
from cache_engine.plans import Signal
from cache_engine.sites.sampling import SampledPositions
from cache_engine.strict import EngineError
from cache_engine.whatif.survey import BUDGET, Survey, in_half, load, most_positions
from tests.engine.surveys import BLOCKS, GUIDED, STEPS, followed, letters, surveyed
from tests.parity.loop import tiny_flux

FRONT = Signal("front_residual", "computed")
SMALL = 30_000  # bytes: a part of the tiny model's 512 values a tensor


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
    assert all(torch.equal(one[0], other[0]) for one, other in zip(plain, watched))
    assert letters(trace, "cond") == "C" * STEPS
    assert vars(model.get_submodule("transformer_blocks.0")) == before


@pytest.mark.parametrize("front", range(1, BLOCKS))
def test_the_changes_are_those_that_a_run_measures(
    model: torch.nn.Module, survey: Survey, front: int
) -> None:
    """With a threshold of 0 every step is computed, and its change from the step before measured."""
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
        )  # float16 rounds


def test_a_run_says_how_far_its_sample_is_off(model: torch.nn.Module, survey: Survey) -> None:
    assert survey.sampling_error is not None
    assert survey.sampling_error < 1e-3  # everything was kept: float16's rounding is left
    part = surveyed(model, budget=SMALL)
    exact = survey.exact[:, 1:]
    assert np.allclose(part.exact[:, 1:], exact, rtol=1e-4)
    assert np.allclose(part.mean_abs, survey.mean_abs, rtol=1e-4)
    assert part.sampling_error is not None
    assert 1e-3 < part.sampling_error < 0.3


def giants(channels: int, seed: int) -> tuple[torch.Tensor, torch.Generator]:
    """Sizes of channels: four are 300 times the rest."""
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.ones(channels)
    sizes[torch.randperm(channels, generator=generator)[:4]] = 300
    return sizes, generator


def relative_errors(moving: bool) -> tuple[list[float], list[float]]:
    """Of the change, over ten draws: sampled as surveys are, and from 2,048 uniform positions. 1,024 tokens,
    3,072 channels.

    moving: also the giants' own change differs from token to token and from the rest's, as it would in a
    picture.
    """
    ours, uniform = [], []
    for seed in range(10):
        sizes, generator = giants(3072, seed)
        then = torch.randn(1, 1024, 3072, generator=generator) * sizes
        share = torch.rand(1, 1024, 1, generator=generator) * 0.2 if moving else torch.full((1, 1, 1), 0.1)
        share = torch.where(sizes > 1, share * 0.3, share) if moving else share
        now = then + share * torch.randn(1, 1024, 3072, generator=generator) * sizes
        exact = float((now - then).abs().mean() / then.abs().mean())
        nothing = torch.zeros_like(then)
        drawn = SampledPositions(nothing, most_positions(then.numel(), 50 * 59), 1)
        into = then.new_empty(2, drawn.most)
        for place, image in enumerate((nothing, then)):
            drawn.take(place, image, into)
        drawn.close(into)
        sampled = then.new_empty(2, drawn.most)
        drawn.take(1, now, sampled)
        change = float((sampled[1] - into[1]).abs() @ drawn.weights / then.abs().mean())
        ours.append(change / exact - 1)
        places = torch.randint(then.numel(), (2048,), generator=generator)
        plain = (now - then).flatten()[places].abs().mean() / then.flatten()[places].abs().mean()
        uniform.append(float(plain) / exact - 1)
    return ours, uniform


@pytest.mark.parametrize("moving", [False, True])
def test_a_few_giant_channels_do_not_spoil_the_sample(moving: bool) -> None:
    ours, uniform = relative_errors(moving)
    assert np.sqrt(np.mean(np.square(ours))) < 0.025
    assert np.sqrt(np.mean(np.square(uniform))) > 0.05  # what the draw is for


def test_flux_dev_stays_within_its_budget() -> None:
    calls, blocks, elements = 50, 57, 4096 * 3072
    positions = most_positions(elements, calls * (blocks + 2))
    stored = 2 * calls * positions * (blocks + 2)
    assert BUDGET < stored + 1_000_000 < 60_000_000  # a million for norms, times and names
    assert positions > 9_000


def test_half_precision_keeps_any_size() -> None:
    for size in (1e-9, 1.0, 3e6):
        values = np.random.default_rng(0).normal(size=1000).astype(np.float32) * size
        half, scale = in_half(values)
        assert np.allclose(half.astype(np.float32) * scale, values, rtol=1e-3, atol=size * 1e-5)


def test_saved_and_loaded_it_is_the_same(survey: Survey, tmp_path: Path) -> None:
    survey.changes(FRONT, 1)  # what is derived is not saved
    path = tmp_path / "survey.npz"
    survey.save(path)
    for found in (load(path), pickle.loads(pickle.dumps(survey))):
        assert not found.memo
        assert found.facts == survey.facts
        for name, value in vars(survey).items():
            same = (
                np.array_equal(value, vars(found)[name], equal_nan=True)
                if isinstance(value, np.ndarray)
                else value == vars(found)[name]
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
    with pytest.raises(EngineError, match="is not a survey, or damaged"):
        load(path)
