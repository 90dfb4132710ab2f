"""Tests that fields and knobs become a checked request and method, or one sentence."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import gradio as gr
import pytest
from gradio.data_classes import ImageData
from PIL import Image

from app import form
from app.compare import layout
from app.engine.worker import Worker
from cache_engine import METHODS, EngineError, ModelFacts, RunRequest, resolve
from cache_engine.files import Picture

FIELDS: dict[str, Any] = dict(
    model="flux-dev",
    prompt="a fox",
    size="1024 × 1024",
    seed=7.0,
    steps=28.0,
    guidance=3.5,
    true_cfg_scale=None,
)


def test_whole_floats_pass_and_everything_arrives() -> None:
    request = form.request_from_fields(form.RequestFields(**FIELDS))
    assert (request.seed, request.steps, request.width, request.height, request.guidance) == (
        7,
        28,
        1024,
        1024,
        3.5,
    )


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("prompt", "", "prompt"),
        ("prompt", "x" * 2001, "prompt"),
        ("prompt", None, "prompt"),
        ("seed", -1, "seed: -1"),
        ("seed", 2**32, "seed"),
        ("seed", 1.5, "seed: 1.5"),
        ("seed", True, "seed: True"),
        ("seed", math.nan, "seed: nan"),
        ("steps", 0, "steps: 0"),
        ("steps", 201, "steps: 201"),
        ("steps", None, "steps"),
        ("steps", "many", "steps: 'many'"),
        ("guidance", 21, "guidance: 21"),
        ("guidance", math.inf, "guidance: inf"),
        ("size", "big", "size: 'big'"),
        ("size", "100 × 100", "width: 100"),
        ("model", "../x", "model"),
    ],
)
def test_a_bad_field_is_one_sentence(field: str, value: Any, sentence: str) -> None:
    with pytest.raises(EngineError) as error:
        form.request_from_fields(form.RequestFields(**FIELDS | {field: value}))
    assert sentence in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("prompt", ["日本語", "🦊 fox", "a\u202eb", "x" * 2000, "<b>&amp;</b> {{x}} ${y}"])
def test_any_unicode_is_a_prompt(prompt: str) -> None:
    assert form.request_from_fields(form.RequestFields(**FIELDS | {"prompt": prompt})).prompt == prompt


@pytest.mark.parametrize("knob", METHODS["dbcache"].knobs(), ids=lambda knob: knob.name)
def test_every_knob_reaches_the_method(knob: Any) -> None:
    """Each slider must change the setting."""
    other = {
        "int": lambda: knob.default + 1 if knob.default >= 0 else 2,
        "float": lambda: 0.3,
        "text": lambda: "1" * 28,
        "choice": lambda: next(choice for choice in knob.choices if choice != knob.default),
    }[knob.type]()
    request = resolve(RunRequest(model="flux-dev", prompt="a fox", steps=28))
    described = METHODS["dbcache"]().to_dict() | {knob.name: other}
    assert getattr(form.method_of(described, request), knob.name) == other


def test_bounds_follow_the_model_the_steps_and_each_other() -> None:
    knobs = {knob.name: knob for knob in METHODS["dbcache"].knobs()}
    facts = ModelFacts(blocks=12, steps=20)
    assert form.limits(
        knobs["Fn_compute_blocks"], facts, {"Bn_compute_blocks": 4, "Fn_compute_blocks": 1}
    ) == (1, 7)
    assert form.limits(knobs["max_warmup_steps"], facts, {"max_warmup_steps": 4}) == (0, 20)
    assert form.limits(
        knobs["Fn_compute_blocks"], facts, {"Bn_compute_blocks": 0, "Fn_compute_blocks": 40}
    ) == (1, 40)


def test_a_setting_that_does_not_fit_is_refused_before_it_runs() -> None:
    request = resolve(RunRequest(model="flux-dev", prompt="a fox", steps=4))
    with pytest.raises(EngineError, match="max_warmup_steps: 8 is more than the 4 steps"):
        form.method_of({"name": "dbcache", "max_warmup_steps": 8}, request)


@pytest.mark.parametrize("name", METHODS)
def test_a_moved_knob_of_any_method_fits_the_embedded_model(name: str) -> None:
    """The check after a moved knob uses the same facts about the model as a run."""
    form.plan_of(METHODS[name](), form.usual_request("tiny", 28.0))


def test_an_uploaded_picture_reaches_the_engine_as_it_is(tmp_path: Path) -> None:
    """gradio would turn it into RGB, and show the colours that transparent pixels hide."""
    path = tmp_path / "x.png"
    Image.new("RGBA", (32, 32), (255, 0, 0, 0)).save(path)
    with gr.Blocks() as page:
        parts, _ = layout.build(Worker(lambda *_, **__: pytest.fail("a run"), None), "tiny", page)
    sent = parts.picture.preprocess(ImageData(path=str(path), orig_name="x.png"))
    assert sent == str(path)
    assert Picture(file=sent).opened().getpixel((0, 0)) == (255, 255, 255)
