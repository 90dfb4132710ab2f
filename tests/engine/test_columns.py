"""Tests the column site: exact if all columns run, closer the more columns run, and bit-equal in computed
steps.
"""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

from cache_engine.method import METHODS
from cache_engine.models.flux import SECTIONS
from cache_engine.plans import Columns, Plan
from cache_engine.predictors import Reuse
from cache_engine.schedules import Interval
from cache_engine.sites.attention import Meeting
from cache_engine.sites.blocks import numbered
from cache_engine.sites.columns import TURN, FeedForward, chosen_keys, count, sparse
from cache_engine.strict import EngineError
from tests.engine.test_tokens import FITTING, error, fitting, outputs
from tests.engine.tiny_models import tiny


@pytest.fixture(scope="module")
def models() -> dict[str, nn.Module]:
    return {name: tiny(name) for name in FITTING}


def columns(keys: float, neurons: float, interval: int = 4, **more: Any) -> Plan:
    """Groups have five tokens; the last groups of 22 and 16 tokens are smaller."""
    site = Columns(keys, neurons, queries=5, rows=5, **{"dense_blocks": 0} | more)
    return Plan(Interval(interval, between=("p",)), Reuse(), (site,))


@fitting
def test_all_columns_are_the_dense_model(name: str, models: dict[str, nn.Module]) -> None:
    answers, session = outputs(name, models[name], columns(1.0, 1.0, interval=8))
    assert "".join(call.mode for call in session.trace) == "Cppppppp"
    plain, _ = outputs(name, models[name])
    assert error(answers, plain) < 1e-5
    assert (
        max(float((answer - other).abs().max()) for answer, other in zip(answers, plain, strict=True)) < 1e-5
    )


@fitting
def test_a_computed_step_is_bit_equal_though_it_chooses_for_the_next(
    name: str, models: dict[str, nn.Module]
) -> None:
    plain, _ = outputs(name, models[name])
    answers, session = outputs(name, models[name], columns(0.2, 0.3))
    modes = [call.mode for call in session.trace]
    assert modes == list("CpppCppp")
    assert [torch.equal(answer, other) for answer, other in zip(answers, plain, strict=True)] == [
        mode == "C" for mode in modes
    ]
    always, _ = outputs(name, models[name], METHODS["chipmunk"](interval=1))
    assert all(map(torch.equal, always, plain))


@fitting
@pytest.mark.parametrize("part", ["keys", "neurons", "both"])
def test_the_error_falls_with_the_share_that_is_kept(
    name: str, part: str, models: dict[str, nn.Module]
) -> None:
    plain, _ = outputs(name, models[name])
    errors = []
    for share in (0.1, 0.3, 0.5, 0.7, 0.9, 1.0):
        plan = columns(1.0 if part == "neurons" else share, 1.0 if part == "keys" else share)
        errors.append(error(outputs(name, models[name], plan)[0], plain))
    assert errors == sorted(errors, reverse=True)
    assert errors[-1] < 1e-5 < errors[-2]


def test_blocks_in_front_run_whole(models: dict[str, nn.Module]) -> None:
    name = FITTING[0]
    plain, _ = outputs(name, models[name])
    errors = [
        error(outputs(name, models[name], columns(0.2, 0.2, dense_blocks=dense))[0], plain)
        for dense in (4, 2, 0)
    ]
    assert errors[0] == 0
    assert errors[1] < errors[2]


@pytest.mark.parametrize("masked", [False, True])
def test_a_group_attends_to_the_keys_that_get_most_of_it(masked: bool) -> None:
    generator = torch.Generator().manual_seed(5)
    query, key, value = torch.randn((3, 2, 3, 11, 8), generator=generator)
    mask = torch.arange(11).lt(8).expand(2, 1, 1, 11) if masked else None
    meeting = Meeting(query, key, value, mask, 0.5)
    keys = chosen_keys(meeting, Columns(0.4, 1.0, queries=4))
    logits = torch.einsum("bhqc,bhkc->bhqk", query, key) * 0.5
    logits = logits if mask is None else logits.masked_fill(~mask, -torch.inf)
    mass = torch.stack(
        [torch.softmax(logits, -1)[:, :, rows].sum(2) for rows in (slice(0, 4), slice(4, 8), slice(8, 11))], 2
    )
    assert torch.equal(keys, mass.topk(4, dim=-1).indices)
    alone = torch.full((2, 3, 3, 11), -torch.inf).scatter(3, keys, 0.0).repeat_interleave(4, dim=2)[:, :, :11]
    expected = torch.softmax(logits + alone, -1) @ value
    assert torch.allclose(sparse(meeting, keys, 4), expected, atol=1e-6)


def test_neurons_that_moved_run_and_each_in_its_turn(models: dict[str, nn.Module]) -> None:
    block = numbered(models[FITTING[0]], SECTIONS)[0]
    parts = FeedForward(block, SECTIONS[0].neurons["ff"], Columns(1.0, 0.25))
    neurons = parts.first.out_features
    ran = torch.zeros(1, 1, neurons)
    means = torch.linspace(0, -1, neurons).reshape(1, 1, -1)
    moved_neurons = set(parts.moved(means, ran, step=3)[0, 0].tolist())
    turn = set(range(3, neurons, TURN))
    assert len(moved_neurons) == count(0.25, neurons)
    assert turn <= moved_neurons
    rest = sorted(moved_neurons - turn)
    assert rest == [neuron for neuron in range(rest[0], neurons) if neuron not in turn]


@pytest.mark.parametrize(("share", "columns_run"), [(0.165, 760), (1.0, 4608), (1e-9, 1)])
def test_a_share_is_at_least_one_column(share: float, columns_run: int) -> None:
    assert count(share, 4608) == columns_run


def test_layers_that_are_not_plain_are_refused() -> None:
    model = tiny(FITTING[0])
    model.single_transformer_blocks[1].proj_mlp.weight.requires_grad_(
        False
    ).data = model.single_transformer_blocks[1].proj_mlp.weight.data.to(torch.int8)
    with pytest.raises(
        EngineError, match=r"^the feed-forward has layers of the type Linear whose weights are not plain, "
    ):
        outputs(FITTING[0], model, METHODS["chipmunk"]())


@pytest.mark.parametrize("name", ["Flux2Transformer2DModel", "SD3Transformer2DModel"])
def test_other_models_are_refused_in_one_sentence(name: str) -> None:
    with pytest.raises(
        EngineError,
        match=r"^chipmunk: the attention modules in this model's blocks are not described, [^.]+\.$",
    ):
        outputs(name, tiny(name), METHODS["chipmunk"]())
