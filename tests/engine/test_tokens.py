"""Tests the token site: which tokens run, which results the others use, and on which models it works."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from cache_engine.method import METHODS, Method
from cache_engine.models.generic import TRANSFORMERS
from cache_engine.plans import FixedPlan, Plan, Score, Tokens
from cache_engine.predictors import Reuse
from cache_engine.schedules import Interval
from cache_engine.session import Session
from cache_engine.sites.attach import attached
from cache_engine.sites.attention import ROWS, Meeting
from cache_engine.sites.tokens import share
from cache_engine.strict import EngineError
from tests.engine.tiny_models import Calls, sample, tiny

STEPS = 8
FITTING = ("FluxTransformer2DModel", "QwenImageTransformer2DModel")
fitting = pytest.mark.parametrize("name", FITTING)


@pytest.fixture(scope="module")
def models() -> dict[str, nn.Module]:
    return {name: tiny(name) for name in FITTING}


@torch.inference_mode()
def outputs(
    name: str, model: nn.Module, method: Method | Plan | None = None
) -> tuple[list[Tensor], Session | None]:
    """Return the model's answers at every step, on a path that does not depend on these answers."""
    calls = Calls(name)

    def answers() -> list[Tensor]:
        return [sample(model(**calls.at(step), return_dict=False)) for step in range(STEPS)]

    if method is None:
        return answers(), None
    maker = FixedPlan(method) if isinstance(method, Plan) else method
    with attached(model, maker, steps=STEPS) as session:
        session.begin()
        return answers(), session


def error(served: list[Tensor], expected: list[Tensor]) -> float:
    return float((torch.stack(served) - torch.stack(expected)).norm() / torch.stack(expected).norm())


def tokens(**knobs: Any) -> Plan:
    return Plan(Interval(4, between=("p",)), Reuse(), (Tokens(**knobs),))


@fitting
def test_no_token_refreshed_is_fora_to_the_bit(name: str, models: dict[str, nn.Module]) -> None:
    served, session = outputs(name, models[name], METHODS["toca"](interval=4, first=1, ratio=0.0))
    expected, _ = outputs(name, models[name], METHODS["fora"](interval=4, first=1))
    assert "".join(call.mode for call in session.trace) == "CpppCppp"
    assert all(map(torch.equal, served, expected))


@contextmanager
def attention_served(model: nn.Module, name: str) -> Iterator[Callable[[bool], None]]:
    """Do by hand what the site does: every attention returns its last computed result."""
    state: dict[str, Any] = {"run": True}
    held: dict[nn.Module, Any] = {}

    def forward(module: nn.Module, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if state["run"]:
            held[module] = original(*args, **kwargs)
        return held[module]

    modules = [
        block.get_submodule("attn")
        for section in TRANSFORMERS[name].sections
        for block in model.get_submodule(section.path).children()
    ]
    for module in modules:
        module.forward = partial(forward, module, module.forward)
    yield lambda run: state.update(run=run)
    for module in modules:
        del module.forward


@fitting
def test_all_tokens_refreshed_is_the_model_with_its_attention_held(
    name: str, models: dict[str, nn.Module]
) -> None:
    served, _ = outputs(name, models[name], tokens(ratio=100.0))
    calls, expected = Calls(name), []
    with attention_served(models[name], name) as let_run, torch.inference_mode():
        for step in range(STEPS):
            let_run(step % 4 == 0)
            expected.append(sample(models[name](**calls.at(step), return_dict=False)))
    assert error(served, expected) < 1e-6
    assert error(served, outputs(name, models[name])[0]) > 1e-4


@fitting
def test_more_tokens_are_closer_to_the_baseline(name: str, models: dict[str, nn.Module]) -> None:
    plain, _ = outputs(name, models[name])
    errors = [
        error(outputs(name, models[name], tokens(ratio=ratio))[0], plain)
        for ratio in (0.0, 0.3, 0.6, 1.0, 100.0)
    ]
    assert errors == sorted(errors, reverse=True)


@fitting
@pytest.mark.parametrize("score", ["v_norm", "low_v_norm", "k_norm", "attention", "age"])
def test_the_chosen_tokens_are_those_of_the_highest_score(
    name: str, score: Score, models: dict[str, nn.Module]
) -> None:
    """Seen from outside: which of the first block's image tokens enter its feed-forward in the first partial
    step.
    """
    block, calls = models[name].transformer_blocks[0], Calls(name)
    part = "ff" if "Flux" in name else "img_mlp"
    seen: dict[str, list[Tensor]] = {"entered": [], "key": [], "value": []}
    layers = {"entered": block.get_submodule(part).net[0], "key": block.attn.to_k, "value": block.attn.to_v}
    hooks = [
        layer.register_forward_hook(
            lambda _, given, result, place=place: seen[place].append(
                given[0] if place == "entered" else result
            )
        )
        for place, layer in layers.items()
    ]
    with attached(models[name], FixedPlan(tokens(ratio=0.5, score=score)), steps=STEPS) as session:
        session.begin()
        with torch.inference_mode():
            for step in range(2):
                models[name](**calls.at(step))
        _, scored, fresh = session.memory["cond"].at((0, part)).values[0]
    for hook in hooks:
        hook.remove()
    whole, chosen = seen["entered"]
    both = name == "FluxTransformer2DModel"
    assert (
        chosen.shape[1] == int(share(0.5, 0, 2 if both else 3, joint=False, both=both) * whole.shape[1]) > 0
    )
    assert (fresh == 1).sum() == chosen.shape[1]
    lengths = {
        place: seen[place][0].unflatten(-1, (2, -1)).norm(dim=-1).mean(dim=-1) for place in ("key", "value")
    }
    if score in ("v_norm", "low_v_norm", "k_norm"):
        scores = lengths["key" if score == "k_norm" else "value"] * (-1 if score == "low_v_norm" else 1)
        assert (fresh[0] == 1).nonzero().flatten().tolist() == sorted(
            scores[0].topk(chosen.shape[1]).indices.tolist()
        )
    assert scored[fresh == 1].min() >= scored[fresh == 0].max()


def test_by_age_every_token_gets_its_turn(models: dict[str, nn.Module]) -> None:
    plan = tokens(ratio=0.5, score="age", aging=1.0)._replace(schedule=Interval(STEPS, between=("p",)))
    with (
        attached(models[FITTING[0]], FixedPlan(plan), steps=STEPS) as session,
        torch.inference_mode(),
    ):
        session.begin()
        calls = Calls(FITTING[0])
        for step in range(5):  # 4 of 16 tokens in each step
            models[FITTING[0]](**calls.at(step))
        _, _, fresh = session.memory["cond"].at((0, "ff")).values[0]
    assert sorted(fresh[0].tolist()) == sorted([1.0, 2.0, 3.0, 4.0] * 4)


@pytest.mark.parametrize("masked", [False, True])
def test_attention_received_is_the_mean_of_the_whole_map(masked: bool) -> None:
    generator = torch.Generator().manual_seed(3)
    query, key = torch.randn((2, 2, 3, ROWS + 9, 8), generator=generator)
    mask = (torch.rand((2, 1, 1, ROWS + 9), generator=generator) < 0.7) if masked else None
    received = Meeting(query, key, key, mask, 0.3).received()
    logits = torch.einsum("bhqc,bhkc->bhqk", query, key) * 0.3
    expected = torch.softmax(logits if mask is None else logits.masked_fill(~mask, -torch.inf), dim=-1).mean(
        dim=(1, 2)
    )
    assert torch.allclose(received, expected, atol=1e-6)
    assert received.sum(dim=1).tolist() == pytest.approx([1, 1])


@fitting
def test_duca_skips_all_blocks_and_refreshes_tokens_in_turn(name: str, models: dict[str, nn.Module]) -> None:
    """An aggressive step returns the output of the step before, also if that step was partial."""
    handed: list[Tensor] = []
    hook = models[name].norm_out.register_forward_pre_hook(lambda _, given: handed.append(given[0]))
    _, session = outputs(name, models[name], METHODS["duca"](interval=5, first=1, ratio=1.0))
    hook.remove()
    assert "".join(call.mode for call in session.trace) == "CcpcpCcp"
    blocks = session.blocks
    assert [call.blocks_run for call in session.trace] == [blocks, 0, blocks, 0, blocks, blocks, 0, blocks]
    assert [torch.equal(handed[step], handed[step - 1]) for step in range(1, STEPS)] == [
        call.mode == "c" for call in session.trace[1:]
    ]


def test_the_share_of_tokens_is_the_published_one_on_flux() -> None:
    double = [share(0.1, depth, 19, joint=False, both=True) for depth in range(19)]
    single = [share(0.1, depth, 38, joint=True, both=True) for depth in range(38)]
    assert sum(double) / 19 == pytest.approx(0.0467, abs=1e-4)
    assert sum(single) / 38 == pytest.approx(0.1304, abs=1e-4)
    assert share(0.1, 0, 60, joint=False, both=False) == pytest.approx(0.15)
    assert share(0.1, 59, 60, joint=False, both=False) == pytest.approx(0.05)


@fitting
def test_fused_projections_are_refused_where_they_hide_the_score(name: str) -> None:
    model = tiny(name)
    model.fuse_qkv_projections()
    fused = "Flux" in name  # Qwen-Image's attention still runs its own layers
    if fused:
        with pytest.raises(
            EngineError,
            match=r"^score: the attention's projections are fused, so the score v_norm cannot be measured; ",
        ):
            outputs(name, model, METHODS["toca"]())
    outputs(name, model, METHODS["toca"](score="attention"))


@pytest.mark.parametrize("name", ["Flux2Transformer2DModel", "SD3Transformer2DModel"])
@pytest.mark.parametrize("method", ["toca", "duca"])
def test_other_models_are_refused_in_one_sentence(name: str, method: str) -> None:
    with pytest.raises(
        EngineError,
        match=rf"^{method}: the attention modules in this model's blocks are not described, [^.]+\.$",
    ):
        outputs(name, tiny(name), METHODS[method]())
