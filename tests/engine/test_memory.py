"""What a stream remembers, as tensors: the change in float32, forecasts no coarser than the model's own rounding."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from cache_engine.predictors import Reuse, Taylor
from cache_engine.sites.memory import Computed, Front, Memory, combine


def noise(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def filled(values: dict[int, Tensor], keep: int, text: Tensor | None = None) -> Memory:
    memory = Memory()
    for step, value in values.items():
        memory.remember(Computed(step, value, text), keep)
    return memory


def test_it_keeps_the_newest() -> None:
    memory = filled({step: torch.full((1, 2, 2), float(step)) for step in range(5)}, keep=3)
    assert [value.step for value in memory.computed] == [4, 3, 2]
    assert memory.bytes == 3 * 4 * 4
    memory.front = Front(torch.ones(1, 2, 2, dtype=torch.bfloat16))
    assert memory.bytes == 3 * 4 * 4 + 4 * 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64])
def test_reuse_hands_out_the_tensor_itself(dtype: torch.dtype) -> None:
    image, text = noise(1, 1, 3, 4).to(dtype), noise(2, 1, 2, 4).to(dtype)
    memory = filled({3: image}, 1, text)
    assert memory.predict(Reuse(), 5) == (image, text)
    early = filled({1: noise(3, 1, 3, 4).to(dtype), 2: image}, 2)
    assert early.predict(Taylor(1, first_difference=3), 5)[0] is image


def test_blocks_without_a_text_stream() -> None:
    memory = filled({3: noise(1, 1, 3, 4), 4: noise(2, 1, 3, 4)}, 2)
    assert memory.predict(Taylor(1), 6)[1] is None
    assert memory.fits(noise(0, 1, 3, 4))


def test_image_and_text_go_on_along_the_same_line() -> None:
    start, slope = noise(1, 1, 3, 4), noise(2, 1, 3, 4)
    memory = Memory()
    for step in (3, 5):
        memory.remember(Computed(step, start + step * slope, 2 * (start + step * slope)), 2)
    image, text = memory.predict(Taylor(1), 9)
    assert text is not None
    torch.testing.assert_close(image, start + 9 * slope)
    torch.testing.assert_close(text, 2 * (start + 9 * slope))


def test_a_forecast_in_bfloat16_rounds_once() -> None:
    """Ten steps ahead of neighbours the weights are 11 and -10; rounding each product would cost 10 ulp."""
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


def test_the_change_is_a_float32_in_every_dtype() -> None:
    old, new = noise(1, 1, 64, 8), noise(1, 1, 64, 8) + 0.001 * noise(2, 1, 64, 8)
    change = Front(old.bfloat16()).change(new.bfloat16())
    assert change.dtype == torch.float32
    exact = (old.bfloat16().double() - new.bfloat16().double()).abs().mean() / old.bfloat16().double().abs().mean()
    assert change.item() == pytest.approx(exact.item(), rel=1e-5)
    assert Front(old).change(old).item() == 0
    assert Front(old).change(2 * old).item() == pytest.approx(1)
    assert Front(2 * old).change(old).item() == pytest.approx(0.5)  # relative to the last computed one
    assert Front(torch.zeros(1, 4, 4)).change(torch.zeros(1, 4, 4)).isnan()


def test_what_fits_has_the_same_shapes_and_dtypes() -> None:
    image, text = noise(1, 1, 3, 4), noise(2, 1, 2, 4)
    memory = filled({0: image}, 1, text)
    assert Memory().fits(image, text)
    assert memory.fits(image, text)
    assert not memory.fits(noise(1, 1, 5, 4), text)
    assert not memory.fits(noise(1, 2, 3, 4), text)
    assert not memory.fits(image, noise(1, 1, 1, 4))
    assert not memory.fits(image.bfloat16(), text.bfloat16())
    assert not memory.fits(image)
