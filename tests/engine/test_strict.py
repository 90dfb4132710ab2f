"""Tests that every model refuses a key that it does not know, also one that Python itself uses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cache_engine import METHODS, EngineError, Goal, RunRequest, SweepTask, TuneTask
from cache_engine.files import Lora, Picture
from cache_engine.records import Engine

MODELS: list[Callable[..., Any]] = [RunRequest, Goal, TuneTask, SweepTask, Lora, Picture, Engine]


@pytest.mark.parametrize("key", ["self", "cls", "__class__", "model_config", "args", ""])
@pytest.mark.parametrize("model", [*MODELS, *METHODS.values()], ids=lambda model: model.__name__)
def test_an_unknown_key_is_one_sentence(model: Callable[..., Any], key: str) -> None:
    with pytest.raises(EngineError) as caught:
        model(**{key: 1})
    assert str(caught.value).endswith(".")
    assert "\n" not in str(caught.value)
