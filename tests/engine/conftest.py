"""A tiny pipeline that every test must leave unchanged.

The fixtures import torch; tests that use none of them run without torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from torch import Tensor

    from tests.engine.runs import Pipe


@pytest.fixture(scope="module")
def pipe() -> Pipe:
    """Return one pipeline for all tests of a file, so that a change left by one test fails the next test."""
    from tests.tiny_pipeline import tiny_pipeline

    return tiny_pipeline()


@pytest.fixture(scope="module")
def bare(pipe: Pipe) -> dict[bool, Tensor]:
    """Return the latents that the pipeline draws without a method, by guided or not."""
    from tests.engine.runs import STEPS
    from tests.tiny_pipeline import draw

    return {guided: draw(pipe, steps=STEPS, guided=guided) for guided in (False, True)}


@pytest.fixture
def unchanged(pipe: Pipe, bare: dict[bool, Tensor], request: pytest.FixtureRequest) -> Iterator[None]:
    """Check after the test that every instance has the same attributes, and that the output is the same bit
    for bit.
    """
    import torch

    from tests.engine.runs import STEPS, footprint
    from tests.tiny_pipeline import draw

    before = footprint(pipe)
    yield
    assert footprint(pipe) == before
    guided = bool("callspec" in vars(request.node) and request.node.callspec.params.get("guided", False))
    assert torch.equal(draw(pipe, steps=STEPS, guided=guided), bare[guided])
    assert footprint(pipe) == before
