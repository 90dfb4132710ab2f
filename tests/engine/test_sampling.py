"""Tests that sampled positions represent a whole tensor, even if a few channels are far larger than the
others.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from cache_engine.sites.sampling import SampledPositions
from cache_engine.whatif.survey import most_positions


def giants(channels: int, seed: int) -> tuple[torch.Tensor, torch.Generator]:
    """Return sizes of channels: four are 300 times the others."""
    generator = torch.Generator().manual_seed(seed)
    sizes = torch.ones(channels)
    sizes[torch.randperm(channels, generator=generator)[:4]] = 300
    return sizes, generator


def relative_errors(moving: bool) -> tuple[list[float], list[float]]:
    """Return the errors of the change over ten draws: sampled as surveys are, and from 2,048 uniform
    positions. There are 1,024 tokens and 3,072 channels.

    moving: True if the large channels' own change also differs between tokens and from the other channels, as
    in a picture.
    """
    ours, uniform = [], []
    for seed in range(10):
        sizes, generator = giants(3072, seed)
        then = torch.randn(1, 1024, 3072, generator=generator) * sizes
        share = torch.rand(1, 1024, 1, generator=generator) * 0.2 if moving else torch.full((1, 1, 1), 0.1)
        share = torch.where(sizes > 1, share * 0.3, share) if moving else share
        now = then + share * torch.randn(1, 1024, 3072, generator=generator) * sizes
        exact = float((now - then).abs().mean() / then.abs().mean())
        nothing = torch.zeros_like(then)
        drawn = SampledPositions(nothing, most_positions(then.numel(), 50 * 59), 1)
        into = then.new_empty(2, drawn.most)
        for place, image in enumerate((nothing, then)):
            drawn.take(place, image, into)
        drawn.close(into)
        sampled = then.new_empty(2, drawn.most)
        drawn.take(1, now, sampled)
        change = float((sampled[1] - into[1]).abs() @ drawn.weights / then.abs().mean())
        ours.append(change / exact - 1)
        places = torch.randint(then.numel(), (2048,), generator=generator)
        plain = (now - then).flatten()[places].abs().mean() / then.flatten()[places].abs().mean()
        uniform.append(float(plain) / exact - 1)
    return ours, uniform


@pytest.mark.parametrize("moving", [False, True])
def test_a_few_giant_channels_do_not_spoil_the_sample(moving: bool) -> None:
    ours, uniform = relative_errors(moving)
    assert np.sqrt(np.mean(np.square(ours))) < 0.025
    assert np.sqrt(np.mean(np.square(uniform))) > 0.05  # the reason for the draw by size
