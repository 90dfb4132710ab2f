"""Tests the contract of every metric. A new file in ``metrics/`` is tested here without an edit."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from cache_engine.metric import METRICS, MetricInput, available_metrics

every_metric = pytest.mark.parametrize("name", METRICS)
# Networks need weights that a test machine may not have; test_metrics.py runs them with random weights.
USABLE = available_metrics(None).names
SIZE = (96, 80)  # width and height


def picture(noise: float = 0.0) -> Image.Image:
    """Draw a smooth picture with noise of this standard deviation, in 8-bit levels."""
    random = np.random.default_rng(5)
    small = Image.fromarray(random.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    smooth = np.asarray(small.resize(SIZE, Image.Resampling.BICUBIC)).astype(float)
    return Image.fromarray(
        (smooth + random.normal(0, noise, smooth.shape)).clip(0, 255).round().astype(np.uint8)
    )


@every_metric
def test_it_says_what_it_is(name: str) -> None:
    metric = METRICS[name]
    assert metric.name == name
    assert metric.title
    assert metric.source
    assert metric.better in ("higher", "lower")


@every_metric
def test_it_can_be_made_or_says_what_is_missing(name: str) -> None:
    reason = METRICS[name].unavailable()
    if reason is None:
        assert METRICS[name]().name == name
    else:
        assert name in reason
        assert "download" in reason or "install" in reason


@pytest.mark.parametrize("name", [name for name in USABLE if METRICS[name].reference])
def test_a_picture_further_from_the_reference_scores_worse(name: str) -> None:
    metric = METRICS[name]()
    scores = [metric.score(MetricInput(picture(noise), "a prompt", picture())) for noise in (2.0, 6.0, 12.0)]
    assert None not in scores
    assert scores == sorted(scores, reverse=metric.better == "higher")
    assert len(set(scores)) == len(scores)


@pytest.mark.parametrize("name", USABLE)
def test_the_same_pictures_have_the_same_score(name: str) -> None:
    metric = METRICS[name]()
    first, second = (metric.score(MetricInput(picture(4), "a prompt", picture())) for _ in range(2))
    assert first == second
