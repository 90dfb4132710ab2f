"""The facts about the tests' tiny random models: 6 blocks, 12 steps, FLUX.1-dev's coefficients. No torch is
needed.
"""

from __future__ import annotations

from cache_engine.models.catalog import MODELS
from cache_engine.plans import ModelFacts

STEPS, BLOCKS = 12, 6  # of tests.parity.loop.tiny_flux and tiny_qwen_image
GUIDED = ("cond", "uncond")
PUBLISHED = MODELS["flux-dev"].coefficients
ALIKE = tuple(tuple(0.9 ** abs(row - column) for column in range(STEPS)) for row in range(STEPS))


def facts(streams: tuple[str, ...] = GUIDED) -> ModelFacts:
    """Return the facts of the tiny FLUX, for one or two streams."""
    return ModelFacts(
        BLOCKS,
        STEPS,
        streams,
        sections=(2, 4),
        modules=True,
        attention=True,
        polynomial=PUBLISHED.polynomial,
        ratios=PUBLISHED.ratios,
        alike=ALIKE,
    )
