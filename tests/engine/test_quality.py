"""Tests likeness against independent references, and the fixed scale of the difference picture."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image
from skimage.metrics import peak_signal_noise_ratio

from cache_engine.quality import HEAT, difference, measure
from cache_engine.strict import EngineError


def picture(seed: int, noise: int = 0) -> Image.Image:
    base = np.random.default_rng(seed).integers(20, 230, (48, 64, 3))
    return Image.fromarray(
        np.clip(base + noise * np.random.default_rng(9).integers(-1, 2, base.shape), 0, 255).astype(np.uint8)
    )


@pytest.mark.parametrize("noise", [1, 8, 64])
def test_psnr_is_scikit_images(noise: int) -> None:
    first, other = picture(0), picture(0, noise)
    wanted = peak_signal_noise_ratio(np.asarray(first), np.asarray(other), data_range=255)
    assert measure(first, other).psnr_db == pytest.approx(wanted, abs=1e-9)


def test_no_wrap_around_in_eight_bits() -> None:
    """The difference of 250 and 10 is 240, not 16 as in uint8."""
    first, other = (Image.new("RGB", (16, 16), (level,) * 3) for level in (250, 10))
    assert measure(first, other).psnr_db == pytest.approx(20 * np.log10(255 / 240))


def test_identical_is_said_not_infinite() -> None:
    same = measure(picture(1), picture(1))
    assert (same.psnr_db, same.ssim, same.largest, same.identical) == (None, 1, 0, True)


def test_other_sizes_are_refused() -> None:
    with pytest.raises(EngineError, match="64 x 48, 32 x 32"):
        measure(picture(0), Image.new("RGB", (32, 32)))


def test_the_scale_does_not_follow_the_picture() -> None:
    """The hottest colour means 255 / gain, whatever else is in the picture; no difference is black."""
    first, other = Image.new("RGB", (2, 1)), Image.new("RGB", (2, 1))
    other.putpixel((1, 0), (0, 16, 0))
    heat = np.asarray(difference(first, other, gain=16))
    assert tuple(heat[0, 0]) == (0, 0, 0)
    weak = np.asarray(difference(first, other, gain=1))[0, 1].sum()
    assert 0 < weak < heat[0, 1].sum()
    assert (np.asarray(difference(first, other, gain=32))[0, 1] == HEAT[-1]).all()
