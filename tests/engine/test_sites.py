"""Tests the effect of the sites on a real model: which modules run, which results are reused, and the memory
they hold.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
import torch
from diffusers.models.transformers.transformer_flux import FluxIPAdapterAttnProcessor, FluxTransformer2DModel
from torch import Tensor

from cache_engine.cache_size import cache_bytes, marks, numbers
from cache_engine.method import method_from
from cache_engine.models.catalog import MODELS
from cache_engine.models.flux import SECTIONS
from cache_engine.plans import FixedPlan, ModelFacts, Modules, Plan, Predictor, Signal, Site, Stack
from cache_engine.predictors import DMD, Chebyshev, FoCa, Reuse, Taylor
from cache_engine.records import RunRequest
from cache_engine.schedules import Accumulated, Interval, Mask
from cache_engine.session import Session
from cache_engine.sites.attach import attached
from tests.engine.tiny_models import Calls, sample, tiny
from tests.parity.loop import denoise, tiny_flux

IMAGE, TEXT, CHANNELS = 16, 6, 32


@pytest.fixture(scope="module")
def model() -> FluxTransformer2DModel:
    return tiny_flux()


def run(model: FluxTransformer2DModel, plan: Plan, steps: int, **more: Any) -> tuple[Tensor, Session, int]:
    with attached(model, FixedPlan(plan), steps=steps, **more) as session:
        session.begin()
        outputs = denoise(model, steps)
        return outputs, session, sum(memory.bytes for memory in session.memory.values())


def test_a_call_with_served_modules_runs_none_of_what_they_replace(model: FluxTransformer2DModel) -> None:
    ran: list[str] = []
    hooks = [
        module.register_forward_hook(lambda *_, name=name: ran.append(name))
        for name, module in model.named_modules()
        if name.endswith(("to_q", "net.2", "to_out.0", "to_add_out", "norm1"))
    ]
    run(model, Plan(Mask("10"), Reuse(), (Modules(),)), 2)
    norms, rest = (
        [name for name in ran if name.endswith("norm1")],
        [name for name in ran if not name.endswith("norm1")],
    )
    assert len(norms) == 2 * len(set(norms)) == 4  # the gates belong to the step itself
    assert len(rest) == len(set(rest)) == 6 + 4 + 4  # once each, in the computed call
    ran.clear()
    run(model, Plan(Mask("10"), Reuse(), (Modules(before_projection=True),)), 2)
    projections = [name for name in ran if name.endswith(("to_out.0", "to_add_out"))]
    assert len(projections) == 2 * len(set(projections)) == 8
    for hook in hooks:
        hook.remove()


@torch.inference_mode()
def test_what_an_ip_adapter_adds_is_served_too() -> None:
    """Reuse before and behind the last projections adds the same, also for the adapter's third result."""
    model: Any = tiny("FluxTransformer2DModel")
    calls, picture = (
        Calls("FluxTransformer2DModel"),
        torch.randn(1, 1, 4, 32, generator=torch.Generator().manual_seed(0)),
    )

    def answers(before_projection: bool) -> list[Tensor]:
        plan = Plan(Mask("100"), Reuse(), (Modules(before_projection=before_projection),))
        with attached(model, FixedPlan(plan), steps=3) as session:
            session.begin()
            return [
                sample(model(**calls.at(step), joint_attention_kwargs=dict(adapted))) for step in range(3)
            ]

    adapted: dict[str, Any] = {}
    plain = answers(False)
    assert all(map(torch.equal, plain, answers(True)))
    for block in model.transformer_blocks:
        block.attn.set_processor(
            FluxIPAdapterAttnProcessor(hidden_size=32, cross_attention_dim=32, num_tokens=(4,), scale=[5.0])
        )
    adapted["ip_hidden_states"] = [picture]
    outputs = answers(False)
    assert not any(map(torch.equal, outputs, plain))
    assert all(map(torch.equal, outputs, answers(True)))


def test_modules_are_left_alone_by_plans_that_do_not_serve_them(model: FluxTransformer2DModel) -> None:
    with attached(model, FixedPlan(Plan(Mask("10"), Reuse(), (Stack(0, 6),))), steps=2) as session:
        session.begin()
        denoise(model, 2)
        patched = [name for name, module in model.named_modules() if "forward" in vars(module)]
    assert patched == [
        *(f"transformer_blocks.{n}" for n in range(2)),
        *(f"single_transformer_blocks.{n}" for n in range(4)),
    ]


def test_a_stage_begins_with_a_computed_step_and_forgets_the_stage_before(
    model: FluxTransformer2DModel,
) -> None:
    plan = Plan(Interval(4), Reuse(), (Stack(2, 6, steps=(0, 6)), Stack(0, 3, steps=(6, 12))))
    _, session, held = run(model, plan, 12)
    assert "".join(call.mode for call in session.trace) == "CcccCcCcccCc"
    assert session.trace[6].reason == "first"
    assert {call.blocks_run for call in session.trace if call.mode == "c" and call.step < 6} == {2}
    assert {call.blocks_run for call in session.trace if call.mode == "c" and call.step > 6} == {3}
    assert held == (IMAGE + TEXT) * CHANNELS * 4  # one residual, not two


def test_a_staged_run_is_two_runs_joined(model: FluxTransformer2DModel) -> None:
    """Nothing of the first stage reaches the second: with the first stage's cache off, the second stage gives
    the same answers.
    """
    both = Plan(Mask("1010101010"), Reuse(), (Stack(2, 6, steps=(0, 6)), Stack(0, 3, steps=(6, 10))))
    expected, _, _ = run(model, both, 10)
    early = Plan(Mask("1010101111"), Reuse(), (Stack(2, 6),))
    assert not torch.equal(run(model, early, 10)[0], expected)
    whole = Plan(
        Mask("1010101010"),
        Reuse(),
        (Stack(2, 6, steps=(0, 6)), Stack(0, 3, steps=(6, 8)), Stack(0, 3, steps=(8, 10))),
    )
    assert torch.equal(run(model, whole, 10)[0], expected)


def test_another_shape_starts_every_module_afresh(model: FluxTransformer2DModel) -> None:
    plan = Plan(Interval(3), Taylor(1), (Modules(),))
    with attached(model, FixedPlan(plan), steps=8) as session:
        session.begin()
        denoise(model, 4, side=4)
        denoise(model, 4, side=6)
    assert "".join(call.mode for call in session.trace) == "CccCCccC"
    assert torch.equal(denoise(model, 4, side=6), denoise(tiny_flux(), 4, side=6))


def test_teacache_measures_the_modulated_input_from_step_to_step(model: FluxTransformer2DModel) -> None:
    seen: list[Tensor] = []
    block = model.transformer_blocks[0]
    hook = block.register_forward_pre_hook(
        lambda _, args, given: seen.append(block.norm1(given["hidden_states"], emb=given["temb"])[0]),
        with_kwargs=True,
    )
    plan = Plan(Accumulated(1e9, (1.0, 0.0)), Reuse(), (Stack(0, 6),), Signal("modulated_input", "previous"))
    _, session, _ = run(model, plan, 5)
    hook.remove()
    expected = [float((now - before).abs().mean() / before.abs().mean()) for before, now in pairwise(seen)]
    assert [call.mode for call in session.trace] == list("CcccC")
    assert [call.change for call in session.trace[1:]] == pytest.approx(expected, rel=1e-5)


def test_foca_remembers_what_was_served_before_a_computed_step(model: FluxTransformer2DModel) -> None:
    rows: list[tuple[tuple[int, ...], int, int | None]] = []

    class Watched(FoCa):
        def row(
            self,
            steps: tuple[int, ...],
            step: int,
            total: int = 0,
            last_prediction: int | None = None,
            gram: Any = None,
        ) -> tuple[float, ...]:
            rows.append((steps, step, last_prediction))
            return super().row(steps, step, total, last_prediction)

    run(model, Plan(Mask("11100101"), Watched(), (Stack(0, 6),)), 8)
    assert list(dict.fromkeys(rows)) == [((2, 1), 3, None), ((2, 1), 4, None), ((5, 2), 6, 4)]


@pytest.mark.parametrize("predictor", [Reuse(), Taylor(2), FoCa(), Chebyshev(), DMD()])
@pytest.mark.parametrize(
    ("site", "signal"),
    [
        (Modules(), None),
        (Modules(before_projection=True), None),
        (Stack(0, 6), None),
        (Stack(1, 6), Signal("front_residual", "computed")),
    ],
)
def test_the_memory_foretold_is_the_memory_held(
    model: FluxTransformer2DModel, predictor: Predictor, site: Site, signal: Signal | None
) -> None:
    digits = "1110101010010100"  # ends when the cache holds most: the prediction in use, and one from before
    plan = Plan(Mask(digits), predictor, (site,), signal)
    _, _, held = run(model, plan, len(digits))
    assert held == numbers(plan, SECTIONS, (2, 4), (IMAGE, TEXT), digits.count("1")) * CHANNELS * 4


@pytest.mark.parametrize("described", [{"name": "toca"}, {"name": "duca"}, {"name": "chipmunk"}])
def test_the_memory_foretold_of_a_finer_grain_is_the_memory_held(
    model: FluxTransformer2DModel, described: dict[str, Any]
) -> None:
    plan = method_from({"interval": 3} | described).plan(
        ModelFacts(6, 8, sections=(2, 4), modules=True, attention=True)
    )
    _, _, held = run(model, plan, 8)
    assert held == numbers(plan, SECTIONS, (2, 4), (IMAGE, TEXT), 4) * CHANNELS * 4 + marks(
        plan, (2, 4), (IMAGE, TEXT), 2
    )


@pytest.mark.parametrize(
    ("described", "gigabytes"),
    [
        ({"name": "taylorseer", "order": 2}, 6.46),  # three times 76 tensors of 28.3 MB
        ({"name": "taylorseer", "order": 2, "site": "stack"}, 0.085),
        ({"name": "fora"}, 2.15),
        ({"name": "toca"}, 3.23),
        ({"name": "duca"}, 3.26),
        ({"name": "chipmunk"}, 10.29),
        ({"name": "dbcache", "taylorseer_order": 0}, 0.0535),
        ({"name": "fewer_steps"}, 0),
    ],
)
def test_what_a_cache_takes_on_flux(described: dict[str, Any], gigabytes: float) -> None:
    row = MODELS["flux-dev"]
    request = row.resolve(RunRequest(model="flux-dev", prompt="-", steps=50))
    assert cache_bytes(request, method_from(described).plan(row.facts(request))) / 1e9 == pytest.approx(
        gigabytes, rel=0.01
    )
