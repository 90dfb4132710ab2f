"""Tests predicted tensors: reuse is bit-equal, forecasts are as precise as the model's own rounding, and the
right number of values is remembered.
"""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cache_engine.methods.dbcache import DBCache
from cache_engine.sites.attach import attached
from cache_engine.sites.tensor_history import combine
from tests.parity.loop import denoise, tiny_flux


def noise(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_a_single_weight_of_one_hands_out_the_tensor_itself(dtype: torch.dtype) -> None:
    values = [noise(seed, 1, 3, 4).to(dtype) for seed in range(3)]
    assert combine((1.0,), values[:1]) is values[0]
    assert combine((1.0, 0.0, 0.0), values) is values[0]
    assert torch.equal(combine((2.0, 0.0, 0.0), values), 2 * values[0])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_a_weighted_sum_keeps_the_dtype(dtype: torch.dtype) -> None:
    values = [noise(seed, 1, 3, 4).to(dtype) for seed in range(3)]
    result = combine((3.0, -3.0, 1.0), values)
    assert result.dtype == dtype
    torch.testing.assert_close(result, 3 * values[0] - 3 * values[1] + values[2], rtol=0.02, atol=0.02)


def test_a_forecast_in_bfloat16_rounds_once() -> None:
    """Ten steps after two neighbouring steps the weights are 11 and -10; rounding each product would cost 10
    ulp.
    """
    old = noise(1, 1, 64, 64).bfloat16()
    new = (old.float() * 1.01).bfloat16()
    predicted = combine((11.0, -10.0), [new, old])
    exact = 11 * new.double() - 10 * old.double()
    assert predicted.dtype == torch.bfloat16
    assert ((predicted.double() - exact).abs() <= exact.abs() / 256).all()
    coarse = torch.add(new * 11.0, old, alpha=-10.0)
    assert (coarse.double() - exact).abs().max() > 4 * (predicted.double() - exact).abs().max()


def test_a_forecast_leaves_what_is_remembered_as_it_was() -> None:
    values = [noise(seed, 1, 3, 4) for seed in range(3)]
    copies = [value.clone() for value in values]
    combine((3.0, -3.0, 1.0), values)
    assert all(torch.equal(value, copy) for value, copy in zip(values, copies))


@pytest.mark.parametrize(("order", "remembered"), [(0, 1), (1, 2), (2, 3), (3, 4)])
def test_it_remembers_one_value_more_than_the_order_and_the_residual(order: int, remembered: int) -> None:
    model = tiny_flux()
    with attached(model, DBCache(max_warmup_steps=8, taylorseer_order=order), steps=10) as session:
        session.begin()
        denoise(model, 10)
        assert session.memory["cond"].bytes == 4 * 32 * (
            remembered * (16 + 6) + 16
        )  # 16 image tokens and 6 text tokens of 32 numbers
