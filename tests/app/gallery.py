"""A page of all drawn components with values to send them, and what tests do on it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr
from PIL import Image
from playwright.sync_api import FloatRect, Locator, Page, expect

from app import views
from app.components import difference, header, headline, recipe, runs, status, timeline, times
from cache_engine import Progress
from tests.app.made import QUALITY, dbcache, pair

HOSTILE = "${1+1}`<img src=x onerror=\"window.hacked=1\">{{value}}"
MASK = "10" * 25
NOTHING = pair(dbcache(residual_diff_threshold=0.02))
GUIDED = pair(dbcache(), steps=50, streams=("cond", "uncond"))
PLAIN = pair(dbcache())


def hostile() -> dict[str, dict[str, Any]]:
    """Every component's value with a payload in every text that a user, a file or a method can reach."""
    comparison = pair(dbcache(), recipe=HOSTILE, reason=HOSTILE)
    engine = comparison.accelerated.engine.replaced(device=HOSTILE)
    comparison = comparison._replace(accelerated=comparison.accelerated._replace(engine=engine))
    part = {"code": HOSTILE, "word": HOSTILE, "title": HOSTILE, "changed": True}
    return {
        "header": views.header((HOSTILE,)),
        "status": views.failed(HOSTILE),
        "headline": views.headline(comparison, published={"tflops": 1, "source": HOSTILE}),
        "timeline": views.timeline_of(comparison),
        "runs": views.runs([comparison], 0),
        "recipe": {"parts": [part]},
        "times": views.times(comparison) | {"note": HOSTILE},
        "difference": {"rows": [{"name": HOSTILE, "text": HOSTILE}], "top": HOSTILE},
    }


def plain() -> dict[str, dict[str, Any]]:
    code = f"F1B0_W4I1M0MC3_R0.12_T1O1_SCM{MASK}_dynamic"
    return {
        "header": views.header(("tiny FLUX", "float32", "cpu")),
        "status": views.status(Progress("baseline", "denoise", "", 7, 28)),
        "headline": views.headline(PLAIN, published={"tflops": 871.39, "source": "a table"}),
        "timeline": views.timeline_of(PLAIN),
        "runs": views.runs([PLAIN, pair(dbcache(), recipe=code)], 0),
        "recipe": views.recipe_parts(code),
        "times": views.times(PLAIN),
        "difference": views.difference_facts(QUALITY, 8),
    }


def stages() -> Iterator[dict[str, Any]]:
    whole = PLAIN.accelerated
    for done in (0, 5, 17):
        yield views.timeline(PLAIN.baseline.trace, whole.trace[:done], 28, whole.method, running="accelerated")


def selected(event: gr.EventData) -> str:
    return f"select {event.index}"


def chosen(event: gr.EventData) -> str:
    return f"choose {event.index}"


def page_of_components() -> gr.Blocks:
    with gr.Blocks(title="components", analytics_enabled=False) as page:
        with gr.Column():
            drawn = {name: make(elem_id=name) for name, make in {
                "header": header, "status": status, "headline": headline, "timeline": timeline, "times": times,
                "difference": difference, "runs": runs, "recipe": recipe}.items()}
        small = Image.new("RGB", (64, 64))
        picture = gr.ImageSlider((small, small), format="png", elem_id="small", elem_classes=["cl-pair", "cl-fit"])
        heard = gr.Textbox(label="heard", elem_id="heard")
        drawn["timeline"].select(selected, outputs=heard, show_progress="hidden", trigger_mode="multiple")
        drawn["runs"].choose(chosen, outputs=heard, show_progress="hidden")
        for name, made in {"plain": plain(), "hostile": hostile()}.items():
            outputs = [drawn[key] for key in made]
            gr.Button(name).click(lambda made=made: list(made.values()), outputs=outputs, show_progress="hidden")
        for name, made in {"nothing": NOTHING, "guided": GUIDED}.items():
            gr.Button(name).click(lambda made=made: views.timeline_of(made), outputs=drawn["timeline"], show_progress="hidden")
        wide = Image.new("RGB", (96, 48), "red")
        gr.Button("wide").click(lambda: gr.ImageSlider((wide, wide), visible=True), outputs=picture, show_progress="hidden")
        gr.Button("stages").click(stages, outputs=drawn["timeline"], show_progress="hidden")
    return page


def show(page: Page, what: str) -> None:
    page.get_by_role("button", name=what, exact=True).click()
    page.mouse.move(0, 0)  # what is drawn may appear under the pointer, and answers to it
    ready = {"nothing": "0 of 28 steps cached", "guided": "uncond", "hostile": "onerror"}.get(what, "Step 16")
    expect(page.locator("#timeline")).to_contain_text(ready)


def box(place: Locator) -> FloatRect:
    found = place.bounding_box()
    assert found, place
    return found
