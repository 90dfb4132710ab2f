"""A tiny pipeline that every test must leave as it found it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import Tensor

from tests.engine.runs import STEPS, Pipe, footprint
from tests.tiny_pipeline import draw, tiny_pipeline


@pytest.fixture(scope="module")
def pipe() -> Pipe:
    """One for all tests of a file: what one of them left behind would fail the next."""
    return tiny_pipeline()


@pytest.fixture(scope="module")
def bare(pipe: Pipe) -> dict[bool, Tensor]:
    """What the pipeline draws by itself, unguided and guided."""
    return {guided: draw(pipe, steps=STEPS, guided=guided) for guided in (False, True)}


@pytest.fixture
def unchanged(pipe: Pipe, bare: dict[bool, Tensor], request: pytest.FixtureRequest) -> Iterator[None]:
    """After the test: the same attributes on every instance, and the same output to the bit."""
    before = footprint(pipe)
    yield
    assert footprint(pipe) == before
    guided = bool("callspec" in vars(request.node) and request.node.callspec.params.get("guided", False))
    assert torch.equal(draw(pipe, steps=STEPS, guided=guided), bare[guided])
    assert footprint(pipe) == before
