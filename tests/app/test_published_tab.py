"""Tests how a row of the tab Published is opened in Compare, without a browser."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import gradio as gr
import pytest

from app.compare.parts import CompareParts
from app.published.layout import START, build
from app.published.wiring import PublishedHandlers
from cache_engine import MODELS


class Named(dict[Any, str]):
    """Stands for components that only need to be told apart: the text of each key is its component."""

    def __missing__(self, key: object) -> str:
        return f"compare {key}"


with gr.Blocks():
    PARTS = build()
SEVERAL: dict[str, Any] = {"chips": [], "groups": {}, "knobs": Named()}
THERE = CompareParts(**{field.name: f"compare {field.name}" for field in fields(CompareParts)} | SEVERAL)


@pytest.mark.parametrize(
    ("reason", "model", "line"),
    [
        (None, "flux-dev", "published for FLUX.1-dev at 50 steps."),
        ("no memory", None, "; FLUX.1-dev cannot be loaded here, so tiny FLUX (embedded) stays."),
    ],
)
def test_a_row_is_opened_on_its_own_model_where_that_can_be_loaded(
    reason: str | None, model: str | None, line: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(vars(MODELS["flux-dev"]), "unavailable", lambda: reason)
    handlers = PublishedHandlers(PARTS, THERE, None)  # type: ignore[arg-type]
    updates = handlers.open(START, "tiny", ())
    assert updates.get(THERE.model) == model
    assert updates[THERE.steps] == 50
    assert updates[THERE.status]["detail"].endswith(line)
