"""A page of the drawn components with values for each, and the steps that tests take on it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import gradio as gr
from PIL import Image
from playwright.sync_api import FloatRect, Locator, Page, expect

from app import statuses, views
from app.components import (
    chart,
    difference,
    header,
    headline,
    notes,
    recipe,
    runs,
    setting,
    sheet,
    status,
    timeline,
    times,
)
from app.components.timeline import TimelineValue
from app.published import notes as published_notes
from app.published import views as published_views
from app.published.figures import FigureChoice
from app.published.tables import select_settings
from app.timeline import RunningSide, timeline_of, timeline_value
from cache_engine import Progress
from tests.app.made import QUALITY, dbcache, pair

HOSTILE = '${1+1}`<img src=x onerror="window.hacked=1">{{value}}'
MASK = "10" * 25
NOTHING = pair(dbcache(residual_diff_threshold=0.02))
GUIDED = pair(dbcache(), steps=50, streams=("cond", "uncond"))
PLAIN = pair(dbcache())
POINTS = [
    {
        "id": mark,
        "x": 10 + 12 * at,
        "y": 80 - 9 * at,
        "mark": mark,
        "name": f"a {mark}",
        "lines": ["2.00× less compute"],
        "label": mark,
        "strong": False,
    }
    for at, mark in enumerate(("dot", "ring", "expected", "diamond", "edge", "cross"))
]
FRONTIER: dict[str, Any] = {
    "title": "PSNR against compute",
    "points": POINTS,
    "chosen": "edge",
    "x": {"name": "times less compute", "ticks": [{"place": 10, "text": "1×"}, {"place": 80, "text": "3×"}]},
    "y": {"name": "PSNR", "ticks": [{"place": 20, "text": "25 dB"}, {"place": 80, "text": "40 dB"}]},
    "limit": {"y": 40, "text": "30 dB"},
    "lines": [{"kind": "expected", "points": [[10, 85], [70, 40]]}],
    "band": [[10, 80, 90], [70, 35, 45]],
    "cloud": [[20, 30], [40, 20]],
}


def hostile() -> dict[str, Mapping[str, Any]]:
    """Return a value for each component, with a script in every text that a visitor, a file or a method
    supplies.
    """
    comparison = pair(dbcache(), recipe=HOSTILE, reason=HOSTILE)
    engine = comparison.accelerated.engine.replaced(device=HOSTILE)
    comparison = comparison._replace(accelerated=comparison.accelerated._replace(engine=engine))
    part = {"code": HOSTILE, "word": HOSTILE, "title": HOSTILE, "changed": True}
    return {
        "header": statuses.header((HOSTILE,)),
        "status": statuses.failed(HOSTILE),
        "headline": views.headline(comparison, published={"tflops": 1, "source": HOSTILE}),
        "timeline": timeline_of(comparison),
        "runs": views.runs([comparison], 0),
        "recipe": {"parts": [part]},
        "times": views.times(comparison) | {"note": HOSTILE},
        "difference": {"rows": [{"name": HOSTILE, "text": HOSTILE}], "top": HOSTILE},
        "chart": FRONTIER
        | {
            "title": HOSTILE,
            "note": HOSTILE,
            "hint": HOSTILE,
            "legend": [{"mark": "dot", "text": HOSTILE}],
            "points": [
                point | dict(id=HOSTILE, name=HOSTILE, label=HOSTILE, lines=[HOSTILE]) for point in POINTS
            ],
            "x": {"name": HOSTILE, "ticks": [{"place": 9, "text": HOSTILE}]},
            "limit": {"y": 40, "text": HOSTILE},
        },
        "sheet": {
            "title": HOSTILE,
            "count": HOSTILE,
            "note": HOSTILE,
            "file": {"name": HOSTILE, "text": HOSTILE},
            "sort": {"column": 0, "down": False},
            "chosen": HOSTILE,
            "columns": [{"text": HOSTILE, "kind": "name"}],
            "rows": [
                {"id": HOSTILE, "mark": "dot", "tag": HOSTILE, "cells": [{"text": HOSTILE, "sort": HOSTILE}]}
            ],
        },
        "setting": {
            "title": HOSTILE,
            "kind": "published",
            "code": HOSTILE,
            "facts": [{"name": HOSTILE, "text": HOSTILE}],
            "bars": [{"name": HOSTILE, "share": 1, "text": HOSTILE, "look": "computed"}],
            "notes": [HOSTILE],
        },
        "notes": {"title": HOSTILE, "notes": [{"title": HOSTILE, "text": HOSTILE, "on": True}]},
    }


def plain() -> dict[str, Mapping[str, Any]]:
    """Return a typical value for each component."""
    code = f"F1B0_W4I1M0MC3_R0.12_T1O1_SCM{MASK}_dynamic"
    return {
        "header": statuses.header(("tiny FLUX", "float32", "cpu")),
        "status": statuses.status(Progress("baseline", "denoise", "", 7, 28)),
        "headline": views.headline(PLAIN, published={"tflops": 871.39, "source": "a table"}),
        "timeline": timeline_of(PLAIN),
        "runs": views.runs([PLAIN, pair(dbcache(), recipe=code)], 0),
        "recipe": views.recipe_parts(code),
        "times": views.times(PLAIN),
        "difference": views.difference_facts(QUALITY, 8),
        "chart": FRONTIER,
        "sheet": published_views.sheet(select_settings("FLUX.1-dev"), FigureChoice()),
        "setting": published_views.card(select_settings("FLUX.1-dev")[-1]),
        "notes": published_notes.care_notes("FLUX.1-dev", FigureChoice("psnr", "tflops")),
    }


def stages() -> Iterator[TimelineValue]:
    """Yield the timeline after 0, 5 and 17 steps of the accelerated side."""
    whole = PLAIN.accelerated
    for done in (0, 5, 17):
        yield timeline_value(
            PLAIN.baseline.trace, whole.trace[:done], 28, whole.method, running=RunningSide("accelerated")
        )


def selected(event: gr.EventData) -> str:
    return f"select {event.index}"


def chosen(event: gr.EventData) -> str:
    return f"choose {event.index}"


def page_of_components() -> gr.Blocks:
    with gr.Blocks(title="components", analytics_enabled=False) as page:
        with gr.Column():
            drawn = {
                name: make(elem_id=name)
                for name, make in {
                    "header": header,
                    "status": status,
                    "headline": headline,
                    "timeline": timeline,
                    "times": times,
                    "difference": difference,
                    "runs": runs,
                    "recipe": recipe,
                    "chart": chart,
                    "sheet": sheet,
                    "setting": setting,
                    "notes": notes,
                }.items()
            }
        small = Image.new("RGB", (64, 64))
        picture = gr.ImageSlider(
            (small, small), format="png", elem_id="small", elem_classes=["cl-pair", "cl-fit"]
        )
        heard = gr.Textbox(label="heard", elem_id="heard")
        drawn["timeline"].select(selected, outputs=heard, show_progress="hidden", trigger_mode="multiple")
        drawn["runs"].choose(chosen, outputs=heard, show_progress="hidden")
        for name, made in {"plain": plain(), "hostile": hostile()}.items():
            outputs = [drawn[key] for key in made]
            gr.Button(name).click(
                lambda made=made: list(made.values()), outputs=outputs, show_progress="hidden"
            )
        for name, made in {"nothing": NOTHING, "guided": GUIDED}.items():
            gr.Button(name).click(
                lambda made=made: timeline_of(made), outputs=drawn["timeline"], show_progress="hidden"
            )
        wide = Image.new("RGB", (96, 48), "red")
        gr.Button("wide").click(
            lambda: gr.ImageSlider((wide, wide), visible=True), outputs=picture, show_progress="hidden"
        )
        gr.Button("stages").click(stages, outputs=drawn["timeline"], show_progress="hidden")
    return page


def show(page: Page, values: str) -> None:
    """Press the button that sends these values, and wait until the timeline shows them."""
    page.get_by_role("button", name=values, exact=True).click()
    page.mouse.move(0, 0)  # otherwise a component might be drawn under the pointer and react to it
    ready = {"nothing": "0 of 28 steps cached", "guided": "uncond", "hostile": "onerror"}.get(
        values, "Step 16"
    )
    expect(page.locator("#timeline")).to_contain_text(ready)


def box(place: Locator) -> FloatRect:
    """Return the element's rectangle on the page, in pixels."""
    rectangle = place.bounding_box()
    assert rectangle, place
    return rectangle
