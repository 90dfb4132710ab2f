"""Tests that the same setting makes the same decisions and the same latents here and in cache-dit 1.5.3."""

from __future__ import annotations

from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from cache_engine.methods.dbcache import DBCache
from cache_engine.plans import Decide, Decision, ModelFacts, Plan, Probe, Schedule
from cache_engine.records import StepTrace
from cache_engine.sites.attach import attached
from tests.parity.loop import denoise, tiny_flux, tiny_qwen_image
from tests.parity.settings import BFLOAT16, FLOAT32, Setting

# share of the largest latent: a row of weights rounds differently from a ladder of differences
FORECAST = 1e-6
# bfloat16 rounds four values by 1/256 at most: the difference, its mean, the mean by which it is divided, and
# the quotient.
EIGHT_BITS = 4 / 256

Model = Any


@pytest.fixture(scope="module")
def models() -> dict[str, Model]:
    """Return one model for all settings: if a run changes it, the next run fails."""
    return {"flux": tiny_flux(), "qwen-image": tiny_qwen_image(), "bfloat16": tiny_flux(torch.bfloat16)}


def ours(model: Model, setting: Setting, plan: Any = None) -> tuple[str, tuple[StepTrace, ...], Tensor]:
    maker = SimpleNamespace(plan=plan) if plan else DBCache(**setting.method)
    with attached(model, maker, steps=setting.steps, streams=setting.streams) as session:
        session.begin()
        latents = denoise(model, setting.steps, setting.streams, setting.side, getattr(torch, setting.dtype))
        return "".join(call.mode for call in session.trace), session.trace, latents


def test_it_is_version_1_5_3(reference: dict[str, Any]) -> None:
    assert reference["version"] == "1.5.3"


@pytest.mark.parametrize("setting", FLOAT32, ids=str)
def test_same_decisions_and_latents(
    setting: Setting, reference: dict[str, Any], models: dict[str, Model]
) -> None:
    theirs = reference["runs"][str(setting)]
    calls, trace, latents = ours(models[setting.model], setting)
    assert calls == theirs["calls"]
    forecast = setting.method["taylorseer_order"] > 0
    if forecast:
        assert (latents - theirs["latents"]).abs().max() <= FORECAST * theirs["latents"].abs().max()
    else:
        assert torch.equal(latents, theirs["latents"])
    for call, change in known_to_both(trace, theirs):
        assert call.change == (pytest.approx(change, rel=1e-5) if forecast else change), call


def known_to_both(trace: tuple[StepTrace, ...], theirs: dict[str, Any]) -> list[tuple[StepTrace, float]]:
    """Return the calls whose change cache-dit recorded too (it writes -1 if it did not measure)."""
    collected = [(call, theirs["changes"][call.stream].get(str(call.step), -1.0)) for call in trace]
    return [(call, change) for call, change in collected if change >= 0]


@dataclass(frozen=True)
class Following:
    """Takes the decisions of another schedule, and compares them with those that the rule would make in the
    same state.
    """

    rule: Schedule
    letters: str

    def begin(self) -> Decide:
        own = self.rule.begin()

        def decide(probe: Probe) -> Decision:
            wanted = own(probe)
            mode, reason = self.letters[probe.number], f"{wanted.mode}: {wanted.reason}"  # type: ignore
            return Decision(mode, reason, wanted.limit)  # type: ignore[arg-type]

        return decide


@pytest.mark.parametrize("setting", BFLOAT16, ids=str)
def test_bfloat16_differs_only_by_the_rounding_of_its_change(
    setting: Setting, reference: dict[str, Any], models: dict[str, Model], capsys: pytest.CaptureFixture[str]
) -> None:
    """Along cache-dit's decisions, every step starts from cache-dit's state. So the latents are equal bit for
    bit, and our decision may differ only if cache-dit's 8-bit change is on the other side of the threshold.
    """
    theirs = reference["runs"][str(setting)]

    def led(facts: ModelFacts) -> Plan:
        plan = DBCache(**setting.method).plan(facts)
        return plan._replace(schedule=Following(plan.schedule, theirs["calls"]))

    _, trace, latents = ours(models["bfloat16"], setting, led)
    assert torch.equal(latents, theirs["latents"])
    for call, change in known_to_both(trace, theirs):
        assert call.change == pytest.approx(change, rel=EIGHT_BITS), call

    differing = [
        (call, theirs["changes"][call.stream].get(str(call.step)))
        for call in trace
        if call.reason[0] != call.mode
    ]
    threshold = setting.knobs["R"]
    for call, change in differing:
        with capsys.disabled():  # the differences are printed, not hidden
            print(
                f"\n{setting}: step {call.step} {call.stream}: float32 change {call.change:.6f} -> "
                f"{call.reason[0]}, 8-bit change {change:.6f} -> {call.mode}"
            )
        assert call.change is not None
        assert abs(call.change - threshold) <= EIGHT_BITS * threshold
        assert (change < threshold) == (call.mode == "c")
        assert (call.change < threshold) == (call.reason[0] == "c")

    calls, _, _ = ours(models["bfloat16"], setting)
    first = min((call.call for call, _ in differing), default=len(calls))
    assert calls[:first] == theirs["calls"][:first]
    assert calls[first : first + 1] != theirs["calls"][first : first + 1] or first == len(calls)


def test_some_bfloat16_decisions_do_differ(reference: dict[str, Any], models: dict[str, Model]) -> None:
    """Otherwise the list above would be empty and prove nothing."""
    assert any(
        ours(models["bfloat16"], setting)[0] != reference["runs"][str(setting)]["calls"]
        for setting in BFLOAT16
    )
