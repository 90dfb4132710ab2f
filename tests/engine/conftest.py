"""A tiny pipeline that every test must leave as it was.

The fixtures import torch: tests that use none of them run without it.
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
    """One pipeline for all tests of a file: a change that one test leaves behind fails the next."""
    from tests.tiny_pipeline import tiny_pipeline

    return tiny_pipeline()


@pytest.fixture(scope="module")
def bare(pipe: Pipe) -> dict[bool, Tensor]:
    """The latents that the pipeline draws without a method, keyed by guided or not."""
    from tests.engine.runs import STEPS
    from tests.tiny_pipeline import draw

    return {guided: draw(pipe, steps=STEPS, guided=guided) for guided in (False, True)}


@pytest.fixture
def unchanged(pipe: Pipe, bare: dict[bool, Tensor], request: pytest.FixtureRequest) -> Iterator[None]:
    """After the test: the same attributes on every instance, and the same output to the bit."""
    import torch

    from tests.engine.runs import STEPS, footprint
    from tests.tiny_pipeline import draw

    before = footprint(pipe)
    yield
    assert footprint(pipe) == before
    guided = bool("callspec" in vars(request.node) and request.node.callspec.params.get("guided", False))
    assert torch.equal(draw(pipe, steps=STEPS, guided=guided), bare[guided])
    assert footprint(pipe) == before
