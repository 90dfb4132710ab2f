"""Tests the intended differences from cache-dit: its behaviour (``traps.py``), and ours."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from cache_engine.methods.dbcache import DBCache
from cache_engine.session import Session
from cache_engine.sites.attach import attached
from cache_engine.strict import EngineError
from tests.engine.runs import footprint
from tests.parity.loop import control_samples, denoise, tiny_flux
from tests.parity.settings import ALWAYS, FLOAT32
from tests.tiny_pipeline import draw, tiny_pipeline

Traps = dict[str, Any]


@pytest.fixture
def traps(reference: dict[str, Any]) -> Traps:
    return reference["traps"]


@pytest.fixture(scope="module")
def model() -> Any:
    return tiny_flux()


def modes(session: Session, stream: str = "cond") -> str:
    return "".join(call.mode for call in session.trace if call.stream == stream)


def refused(model: Any, steps: int, **knobs: Any) -> str:
    """Return the sentence of the refusal, which comes before any run."""
    knobs = {"max_warmup_steps": 0} | knobs
    with (
        pytest.raises(EngineError) as error,
        attached(model, DBCache(**knobs), steps=steps, streams=("cond",)),
    ):
        pytest.fail("was not refused")
    return str(error.value)


def test_overlapping_first_and_last_blocks_would_run_twice(traps: Traps, model: Any) -> None:
    assert traps["overlap"] > 0.01
    assert "keep their sum at 5 or less" in refused(model, 8, Fn_compute_blocks=4, Bn_compute_blocks=4)
    assert "6 blocks" in refused(model, 8, Fn_compute_blocks=6)


def test_a_limit_of_0_would_never_cache(traps: Traps, model: Any) -> None:
    assert traps["no cached steps"] == traps["none in a row"] == "C" * 8
    assert "max_cached_steps: 0" in refused(model, 8, max_cached_steps=0)
    assert "max_continuous_cached_steps: 0" in refused(model, 8, max_continuous_cached_steps=0)


def test_a_warm_up_longer_than_the_run_would_never_cache(traps: Traps, model: Any) -> None:
    assert traps["long warm-up"] == "CCCC"
    assert "max_warmup_steps: 8" in refused(model, 4, max_warmup_steps=8)


def test_a_static_mask_that_starts_with_0_has_nothing_to_reuse(traps: Traps, model: Any) -> None:
    assert traps["static from 0"].startswith("AssertionError")
    assert "start it with 1" in refused(
        model, 4, steps_computation_mask="0110", steps_computation_policy="static"
    )


def test_a_mask_of_another_length_would_be_read_as_zeros(traps: Traps, model: Any) -> None:
    assert traps["short mask"] == "CCCccccc"
    assert "3 digits for 8 steps" in refused(model, 8, steps_computation_mask="111")


def test_an_unknown_knob_would_be_dropped(traps: Traps) -> None:
    assert traps["unknown knob"] == ""
    misspelt: dict[str, Any] = {"max_continous_cached_steps": 3}
    with pytest.raises(EngineError, match="max_continous_cached_steps: unknown field"):
        DBCache(**misspelt)


def test_a_change_of_shape_is_minded_even_if_everything_is_similar(traps: Traps, model: Any) -> None:
    assert traps["other shape"].startswith("RuntimeError")
    method = DBCache(max_warmup_steps=1, residual_diff_threshold=ALWAYS)
    with attached(model, method, steps=4, streams=("cond",)) as session:
        session.begin()
        latents = denoise(model, 4, side=lambda step: 4 if step < 2 else 6)
    assert modes(session) == "CcCc"
    assert session.trace[2].reason == "first"
    assert latents.isfinite().all()


def test_a_run_never_starts_from_the_one_before(traps: Traps, model: Any) -> None:
    assert traps["late refresh"] == ["CCCCcccc", "cCCCCccc", "ccCCCCcc"]
    collected = []
    with attached(model, DBCache(residual_diff_threshold=ALWAYS), steps=8, streams=("cond",)) as session:
        for _ in range(3):
            session.begin()
            collected.append((denoise(model, 8), modes(session)))
    assert [letters for _, letters in collected] == ["CCCCcccc"] * 3
    assert torch.equal(collected[0][0], collected[1][0])
    assert torch.equal(collected[0][0], collected[2][0])


def test_a_run_longer_than_announced_is_an_error(model: Any) -> None:
    with attached(model, DBCache(), steps=6, streams=("cond",)) as session:
        session.begin()
        with pytest.raises(EngineError, match="call 7 does not fit 6 steps"):
            denoise(model, 7)


def test_two_streams_are_found_without_being_told(traps: Traps, model: Any) -> None:
    assert traps["one stream for two"] == "CCCCcccc"  # 4 steps of 2 calls: the warm-up is over after 2 steps
    pipe = tiny_pipeline()
    with attached(pipe, DBCache(max_warmup_steps=3, residual_diff_threshold=ALWAYS)) as session:
        draw(pipe, steps=4, guided=True)
    assert modes(session, "cond") == modes(session, "uncond") == "CCCc"


def test_a_change_that_is_not_a_number_stops_the_run(traps: Traps, model: Any) -> None:
    # cache-dit continues, never caches again, and reports no error
    assert traps["not a number"] == "CCCCcCCC"
    with attached(model, DBCache(residual_diff_threshold=0.9), steps=8, streams=("cond",)) as session:
        session.begin()
        with pytest.raises(EngineError, match="step 5: the change is nan"):
            denoise(model, 8, broken_from=5)


def test_the_change_is_known_in_the_warm_up_too(reference: dict[str, Any], model: Any) -> None:
    setting = next(each for each in FLOAT32 if each.knobs == {"W": 8, "R": 0.24})
    theirs = reference["runs"][str(setting)]["changes"]["cond"]
    with attached(model, DBCache(**setting.method), steps=50, streams=("cond",)) as session:
        session.begin()
        denoise(model, 50)
    assert set(theirs) == {str(step) for step in range(8, 50)}
    assert [call.step for call in session.trace if call.change is not None] == list(range(1, 50))


def test_control_samples_are_refused(traps: Traps, model: Any) -> None:
    wrong, effect = traps["control"]
    assert wrong > effect / 4 > 0.1  # although nothing is cached
    with attached(model, DBCache(residual_diff_threshold=0.0), steps=4, streams=("cond",)) as session:
        session.begin()
        with pytest.raises(EngineError, match="ControlNet"):
            denoise(model, 4, **control_samples())
    assert session.trace == ()


def test_another_pipeline_of_the_class_changes_nothing(traps: Traps) -> None:
    assert traps["sibling"] == ("CCCCcccccccc", "CCCCcccCCCCc")
    pipe, bare = tiny_pipeline(), tiny_pipeline(1)

    def between(pipe: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if step == 6:
            draw(bare, steps=4)
        return {}

    with attached(pipe, DBCache(residual_diff_threshold=ALWAYS)) as session:
        alone = draw(pipe, steps=12)
        disturbed = draw(pipe, steps=12, callback_on_step_end=between)
    assert modes(session) == "CCCCcccccccc"
    assert torch.equal(alone, disturbed)


def test_nothing_is_left_behind(traps: Traps) -> None:
    assert traps["after disable"] is True
    pipe = tiny_pipeline()
    before = footprint(pipe)
    with attached(pipe, DBCache()):
        assert footprint(pipe) != before
    assert footprint(pipe) == before
