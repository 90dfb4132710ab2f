"""Tests TFLOPs: FLUX.1-dev's published figures, agreement with torch's own counter, and that nothing stays
patched.
"""

from __future__ import annotations

import threading
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from cache_engine import flops
from cache_engine.method import METHODS
from cache_engine.models.catalog import MODELS, facts_of, resolve
from cache_engine.records import RunRequest
from cache_engine.schedules import Always
from cache_engine.session import walk
from cache_engine.strict import EngineError
from tests.parity.loop import tiny_flux

REQUEST = resolve(RunRequest(model="flux-dev", prompt="-", steps=50, width=1024, height=1024))
ALWAYS = dict(residual_diff_threshold=1, taylorseer_order=0)
PUBLISHED = [  # knobs, TFLOPs and computed steps
    (
        dict(Fn_compute_blocks=1, max_warmup_steps=8, warmup_interval=2, max_continuous_cached_steps=8),
        651.90,
        (0, 2, 4, 6, 15, 24, 33, 42),
    ),
    (
        dict(Fn_compute_blocks=1, max_warmup_steps=8, warmup_interval=2, max_continuous_cached_steps=10),
        578.69,
        (0, 2, 4, 6, 17, 28, 39),
    ),
    (
        dict(Fn_compute_blocks=1, max_warmup_steps=8, warmup_interval=4, max_continuous_cached_steps=10),
        505.47,
        (0, 4, 15, 26, 37, 48),
    ),
    (
        dict(
            Fn_compute_blocks=1,
            max_warmup_steps=8,
            warmup_interval=4,
            max_continuous_cached_steps=10,
            streak_rule="before",
        ),
        505.47,
        (0, 4, 13, 24, 35, 46),
    ),
    (
        dict(Fn_compute_blocks=1, max_warmup_steps=4, max_continuous_cached_steps=2),
        1457.25,
        (0, 1, 2, *range(3, 50, 3)),
    ),
    (
        dict(Fn_compute_blocks=8, max_warmup_steps=8, max_continuous_cached_steps=2),
        1933.17,
        (*range(8), *range(10, 50, 3)),
    ),
    (
        dict(Fn_compute_blocks=1, max_warmup_steps=4, max_continuous_cached_steps=4),
        1017.97,
        (0, 1, 2, *range(3, 50, 5)),
    ),
]


def test_a_full_run_of_flux_dev() -> None:
    plan = METHODS["baseline"]().plan(MODELS["flux-dev"].facts(REQUEST))
    assert flops.costs(REQUEST, plan)("C", 0) * 50 == pytest.approx(3726.87, abs=0.02)


@pytest.mark.parametrize(("knobs", "tflops", "computed"), PUBLISHED)
def test_the_published_static_settings(knobs: dict, tflops: float, computed: tuple[int, ...]) -> None:
    facts = MODELS["flux-dev"].facts(REQUEST)
    plan = METHODS["dbcache"](**ALWAYS, **knobs).plan(facts)
    calls = walk(plan, 50, ("cond",), lambda call: 0.0).calls
    assert tuple(call.step for call in calls if call.decision.mode == "C") == computed
    cost = flops.costs(REQUEST, plan)
    assert sum(cost(call.decision.mode, call.step) for call in calls) == pytest.approx(tflops, abs=0.02)


def inputs() -> dict[str, torch.Tensor]:
    return {
        "hidden_states": torch.randn(1, 16, 4),
        "encoder_hidden_states": torch.randn(1, 6, 32),
        "pooled_projections": torch.randn(1, 32),
        "timestep": torch.ones(1),
        "img_ids": torch.zeros(16, 3),
        "txt_ids": torch.zeros(6, 3),
    }


def test_agrees_with_torchs_counter() -> None:
    """torch counts only products; softmax, norms and activations are 0.2 % of FLUX.1-dev."""
    model, shapes = flops._meta_copy("flux-dev"), MODELS["flux-dev"].inputs(REQUEST)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(**{name: torch.empty(shape, device="meta") for name, shape in shapes.items()})
    products = counter.get_total_flops() / 1e12
    plan = METHODS["baseline"]().plan(MODELS["flux-dev"].facts(REQUEST))
    assert products < flops.costs(REQUEST, plan)("C", 0) < products * 1.003


def patched() -> list[object]:
    return [
        *vars(F).values(),
        *(vars(torch).get(name) for name in ("matmul", "add", "mul", "addmm", "einsum", "baddbmm")),
        *(getattr(torch.Tensor, name) for name in ("matmul", "add", "mul", "addmm", "baddbmm")),
    ]


def test_torch_is_restored_also_after_an_error() -> None:
    class Broken(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            self.layer(x)
            raise RuntimeError("broken")

    before = patched()
    flops.count(tiny_flux(), inputs())
    assert all(before_it is other for before_it, other in zip(before, patched(), strict=True))
    with pytest.raises(RuntimeError, match="broken"):
        flops.count(Broken(), {"x": torch.randn(1, 2)})
    assert all(before_it is other for before_it, other in zip(before, patched(), strict=True))


def test_another_thread_is_not_counted() -> None:
    """Attention in another thread during a count does not change the count."""
    alone = flops.count(tiny_flux(), inputs())
    stop = threading.Event()

    def busy() -> None:
        query = torch.randn(1, 2, 8, 4)
        while not stop.is_set():
            F.scaled_dot_product_attention(query, query, query)

    thread = threading.Thread(target=busy)
    thread.start()
    try:
        attention = flops.Attention()
        with attention, torch.no_grad():
            tiny_flux()(**inputs())
    finally:
        stop.set()
        thread.join()
    assert 0 < attention.flops / 1e12 < alone


def test_a_plan_that_does_not_fit_is_refused() -> None:
    with pytest.raises(EngineError, match="Fn_compute_blocks"):
        METHODS["dbcache"](Fn_compute_blocks=57).plan(MODELS["flux-dev"].facts(REQUEST))


@pytest.mark.parametrize(
    "knobs", [{}, {"Fn_compute_blocks": 3, "Bn_compute_blocks": 4, "taylorseer_order": 3}]
)
def test_a_computed_call_beside_stacks_costs_what_the_plain_one_does(knobs: dict[str, Any]) -> None:
    """Such a call is therefore counted once for all these plans."""
    request = resolve(RunRequest(prompt="-"))
    plan = METHODS["dbcache"](**knobs).plan(facts_of(request))
    assert flops.runs_plainly(plan, plan.sites)
    alone = plan._replace(schedule=Always(), sites=tuple(map(flops.priced, plan.sites)))
    counted = flops._on_meta(None, request, None)
    assert counted(alone, "C") == counted(flops.PLAIN, "C")
