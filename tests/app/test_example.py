"""Tests the comparison with which the page opens: it exists, is complete, was made with the weights in the
repository, and is marked as recorded elsewhere.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from app.compare import example
from cache_engine import MODELS, EngineError, comparison_json, load_comparison
from tools.example import record

SHIPPED = example.FOLDER / "tiny"


def test_what_is_shipped_is_of_the_shipped_weights() -> None:
    """After a new training, record the example again: `make example` on an idle machine."""
    recorded = example.example()
    assert recorded is not None
    assert recorded.baseline.engine.revision == MODELS["tiny"].revision()
    assert recorded.accelerated.recipe in (SHIPPED / "result.json").read_text(encoding="utf-8")
    assert recorded.spread is not None  # each side has several runs
    low, high = recorded.spread
    assert low <= recorded.speedup <= high


def test_it_comes_back_as_it_was_written() -> None:
    comparison, written = (
        load_comparison(SHIPPED),
        json.loads((SHIPPED / "result.json").read_text(encoding="utf-8")),
    )
    assert json.loads(json.dumps(comparison_json(comparison))) == written | {"survey": None}


def test_no_path_of_a_machine_is_in_it() -> None:
    text = (SHIPPED / "result.json").read_text(encoding="utf-8")
    assert "\\\\" not in text
    assert '"/' not in text


def test_it_is_drawn_as_recorded_and_answers_for_nothing() -> None:
    recorded = example.example()
    assert recorded is not None
    assert "recorded, not run here" in example.headline(recorded)["cards"][0]["notes"]
    view = example.timeline(recorded)
    assert view is not None
    assert (view["drag"], view["paint"], view["fix"]) == (None, False, None)
    assert "Recorded example: tiny FLUX (embedded), cpu" in example.source(recorded)


def test_the_recorder_writes_what_the_page_shows(tmp_path: Path) -> None:
    record("tiny", tmp_path, steps=6, repeats=1)
    opened = example.example(tmp_path)
    assert opened is not None
    assert (opened.baseline.request.prompt, opened.baseline.request.steps) == (MODELS["tiny"].examples[0], 6)
    assert opened.accelerated.image.size == MODELS["tiny"].sizes[0]


@pytest.mark.parametrize(
    ("models", "first"),
    [
        (("tiny-lightning-4", "tiny", "tiny-lightning-8"), "tiny"),
        (("tiny-lightning-4", "tiny", "qwen-image"), "qwen-image"),
    ],
)
def test_a_large_model_comes_first_and_few_steps_last(
    models: tuple[str, ...], first: str, tmp_path: Path
) -> None:
    for model in models:
        shutil.copytree(SHIPPED, tmp_path / model)
        path = tmp_path / model / "result.json"
        text = path.read_text(encoding="utf-8").replace('"model": "tiny"', f'"model": "{model}"')
        path.write_text(text, encoding="utf-8")
    opened = example.example(tmp_path)
    assert opened is not None
    assert opened.baseline.request.model == first


def test_a_damaged_one_is_left_out(tmp_path: Path) -> None:
    assert example.example(tmp_path) is None
    shutil.copytree(SHIPPED, tmp_path / "broken")
    (tmp_path / "broken" / "result.json").write_text("{}", encoding="utf-8")
    with pytest.raises(EngineError, match="recorded: broken is not a recorded run"):
        load_comparison(tmp_path / "broken")
    assert example.example(tmp_path / "broken") is None
    assert example.source(None) == ""
    assert example.timeline(None) is None
    assert example.headline(None)["state"] == "empty"
