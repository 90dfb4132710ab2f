"""Tests the second contender: as many plain steps as the compute allows, and one baseline for every PSNR."""

from __future__ import annotations

import pytest

from app import form
from app.compare import contender
from cache_engine import METHODS, Comparison, Quality, resolve
from tests.app.made import QUALITY, dbcache, pair

ONE = pair(dbcache())


def note(name: str) -> str:
    method, request = METHODS[name](), form.usual_request("flux-dev", 50)
    return form.method_note(method, form.plan_of(method, request), request)


def plain(fraction: float = 13 / 28) -> Comparison:
    other = pair(METHODS["fewer_steps"](fraction=fraction), quality=Quality(26.1, 0.9, 1.0, 99, 0.1))
    request = METHODS["fewer_steps"](fraction=fraction).effective(other.baseline.request)
    return other._replace(accelerated=other.accelerated._replace(effective=request))


def test_the_plain_model_gets_the_steps_that_the_compute_pays_for() -> None:
    paid = ONE.accelerated.tflops / ONE.baseline.tflops * 28
    steps = contender.same_compute(ONE).effective(ONE.baseline.request).steps
    assert steps == round(paid) == 13
    assert contender.equal(ONE, None) == "Same compute, no cache: 13 plain steps."
    assert contender.equal(ONE, plain()).startswith("Same compute, no cache: 13 plain steps give ")
    assert (
        contender.equal(ONE, plain(0.25)) == "Same compute, no cache: 13 plain steps."
    )  # a run with another share of steps


@pytest.mark.parametrize("steps", range(1, 60))
def test_a_share_of_the_steps_is_that_many_steps(steps: int) -> None:
    request = ONE.baseline.request.replaced(steps=60)
    changed = ONE._replace(
        baseline=ONE.baseline._replace(request=request, tflops=60.0),
        accelerated=ONE.accelerated._replace(tflops=float(steps)),
    )
    assert contender.same_compute(changed).effective(request).steps == steps


def test_both_are_told_against_the_same_baseline() -> None:
    sentence = contender.sentence(ONE, plain())
    assert sentence.startswith("To the same baseline: 13 plain steps ")
    assert "26.1 dB" in sentence
    assert f"{ONE.speedup:.2f}×, {QUALITY.psnr_db:.1f} dB" in sentence
    assert contender.sentence(ONE, None) == ""


def test_what_a_contender_holds_is_said_before_it_runs() -> None:
    changed = ONE._replace(baseline=ONE.baseline._replace(request=resolve(ONE.baseline.request)))
    assert "stack grain, at most" in contender.planned(changed, dbcache(Fn_compute_blocks=1))
    assert "no cache" in contender.planned(changed, contender.same_compute(changed))
    assert ", 13 steps:" in contender.planned(changed, contender.same_compute(changed))


@pytest.mark.parametrize(
    "method",
    [
        "dbcache",
        "taylorseer",
        "teacache",
        "fora",
        "fewer_steps",
        "foca",
        "hicache",
        "magcache",
        "spectrum",
        "fixed_mask",
        "delta_dit",
    ],
)
def test_every_method_tells_its_grain_and_its_memory(method: str) -> None:
    sentence = note(method)
    assert sentence.lower().startswith(form.GRAINS[METHODS[method].grain].lower())
    assert ("at most" in sentence) == (METHODS[method].grain != "none")


def test_module_grain_holds_far_more_than_one_sum() -> None:
    stack = note("dbcache")
    module = note("taylorseer")
    assert "MB" in stack
    assert "GB" in module


def test_five_methods_stand_in_front_and_more_leads_to_the_rest() -> None:
    front, every = form.method_choices(False), form.method_choices(True)
    assert [name for _, name in front] == [*form.FRONT, form.MORE]
    assert {name for _, name in every} == set(METHODS) - {"baseline"} | {form.MORE}
    assert every[:6] == front
