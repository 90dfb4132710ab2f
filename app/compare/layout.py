"""Tab *Compare*: the components. What they do together is in ``compare_wiring``."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from cache_engine import METHODS, MODELS, Comparison
from cache_engine import difference as difference_picture

from .. import form, statuses, views
from ..components import dial, difference, headline, recipe, runs, stale, status, timeline, times
from ..engine.worker import Worker
from ..presets import presets_for
from . import example
from . import files as compare_files
from . import sharing as compare_share
from .against import choices
from .parts import VIEWS, Parts
from .setting import note
from .wiring import wire

GAIN = 8
START_METHOD = "dbcache"


def build(worker: Worker, model: str, page: gr.Blocks) -> tuple[Parts, Callable[[Any], None]]:
    """Made and wired. What comes back is where another tab may put a setting, and what then has the
    expectation follow its event.
    """
    parts = Parts()
    parts.job, parts.done, parts.shown = gr.State(""), gr.State([]), gr.State("")
    parts.both, parts.locked, parts.painted = gr.State(""), gr.State(True), gr.State(["", []])
    with gr.Row(elem_classes="cl-page"):
        with gr.Column(elem_classes="cl-aside"):
            _prompt(parts, model, worker)
            _model(parts, model, worker)
            _setting(parts, model)
        with gr.Column(elem_classes="cl-main"):
            recorded = example.example()
            parts.headline = headline(example.headline(recorded), elem_id="headline")
            _pictures(parts, recorded)
            parts.timeline = timeline(example.timeline(recorded), elem_id="timeline")
            parts.runs = runs(views.runs([]), elem_id="runs")
            compare_share.build(parts, keeps=worker.history.folder is not None)
    return parts, wire(parts, worker, page)


def _prompt(parts: Parts, model: str, worker: Worker) -> None:
    row = MODELS[model]
    with gr.Column(elem_classes="cl-section"):
        parts.prompt = gr.Textbox(
            row.examples[0] if row.examples else "",
            label="Prompt",
            lines=2,
            max_lines=6,
            interactive=True,
            elem_id="prompt",
        )
        with gr.Row(elem_classes="cl-chips"):
            parts.chips = [
                gr.Button(text, size="sm", min_width=0, elem_classes=["cl-example"])
                for text in row.examples[:4]
            ]
        parts.unknown = status(statuses.idle(), elem_id="unknown", elem_classes="cl-slim")
        with gr.Row(elem_classes="cl-go"):
            parts.generate = gr.Button("Generate", variant="primary", elem_id="generate")
            parts.stop = gr.Button("Stop", variant="stop", interactive=False, elem_id="stop")
        compare_files.cost(parts, worker)
        parts.status = status(statuses.idle(f"The first run loads {row.title}."), elem_id="status")


def _model(parts: Parts, model: str, worker: Worker) -> None:
    row = MODELS[model]
    with gr.Column(elem_classes="cl-section"):
        with gr.Row():
            parts.model = gr.Dropdown(
                [(one.title, name) for name, one in MODELS.items()],
                value=model,
                label="Model",
                interactive=True,
                min_width=150,
                elem_id="model",
            )
            sizes = [form.size_text(size) for size in row.sizes]
            parts.size = form.Dropdown(
                sizes, value=sizes[0], label="Size", interactive=True, min_width=120, elem_id="size"
            )
        with gr.Row():
            parts.seed = gr.Number(7, label="Seed", interactive=True, min_width=110, elem_id="seed")
            parts.dice = gr.Button(
                "New seed", elem_classes=["cl-icon", "cl-dice"], min_width=32, scale=0, elem_id="dice"
            )
            parts.lock = gr.Button(
                "Seed is kept", elem_classes=["cl-icon", "cl-lock"], min_width=32, scale=0, elem_id="lock"
            )
        with gr.Row():
            parts.steps = gr.Number(row.steps, label="Steps", interactive=True, min_width=80, elem_id="steps")
            parts.guidance = gr.Number(
                row.guidance,
                label="Guidance",
                interactive=True,
                min_width=80,
                elem_id="guidance",
                visible=row.guidance is not None,
            )
            parts.cfg = gr.Number(
                row.true_cfg_scale,
                label="True CFG",
                interactive=True,
                min_width=80,
                elem_id="cfg",
                visible=form.takes_cfg(model),
            )
            parts.repeats = gr.Number(
                1,
                label="Timed runs",
                interactive=True,
                min_width=80,
                elem_id="repeats",
                visible=not worker.metered,
            )
        compare_files.build(parts, model)


def _setting(parts: Parts, model: str) -> None:
    title, preset = next(iter(presets_for(model).items()), ("", None))
    method = preset.method["name"] if preset else START_METHOD
    knobs = dict(preset.method) if preset else METHODS[method]().model_dump()
    facts = form.facts_for(model, MODELS[model].steps)
    text = form.recipe_text(method, knobs)
    parts.origin, parts.chosen = gr.State(title), gr.State(method)
    known = presets_for(model, method)
    with gr.Column(elem_classes="cl-section"):
        parts.method = gr.Dropdown(
            form.method_choices(method not in form.FRONT),
            value=method,
            label="Method",
            interactive=True,
            elem_id="method",
        )
        parts.method_note = status(
            note({"name": method, **knobs}, model, MODELS[model].steps),
            elem_id="method-note",
            elem_classes="cl-slim",
        )
        parts.preset = gr.Radio(
            list(known),
            value=title or None,
            label="Preset",
            interactive=True,
            elem_classes=["cl-chips"],
            elem_id="preset",
        )
        parts.dial = dial(None, elem_id="dial")
    with gr.Column(elem_classes="cl-section"):
        parts.recipe_text = gr.Textbox(
            text,
            label="Recipe · type one, or move the knobs",
            interactive=True,
            max_lines=1,
            elem_classes=["cl-mono"],
            elem_id="recipe-text",
        )
        parts.recipe = recipe(views.recipe_parts(text, text), elem_id="recipe")
        for name, one in METHODS.items():
            with gr.Column(visible=name == method, elem_classes=["cl-knobs"]) as parts.groups[name]:
                values = knobs if name == method else {}
                for knob in one.knobs():
                    parts.knobs[name, knob.name] = form.knob_component(name, knob, facts, values)


def _pictures(parts: Parts, recorded: Comparison | None) -> None:
    before, after = (recorded.baseline.image, recorded.accelerated.image) if recorded else (None, None)
    heat, quality = (
        (difference_picture(before, after, GAIN), recorded.quality)
        if recorded and before and after
        else (None, None)
    )
    with gr.Column(elem_classes=["cl-card", "cl-viewer"]):
        with gr.Row(elem_classes="cl-card-head"):
            parts.view = gr.Radio(
                list(VIEWS),
                value=VIEWS[0],
                show_label=False,
                container=False,
                elem_classes="cl-seg",
                interactive=True,
                label="View",
                elem_id="view",
            )
            parts.stale = stale({"text": example.said(recorded)}, elem_id="stale")
        with gr.Row():
            with gr.Column(elem_classes="cl-left"):
                with gr.Column() as parts.slider_view:
                    parts.pair = gr.ImageSlider(
                        (before, after) if recorded else None,
                        show_label=False,
                        format="png",
                        elem_classes=["cl-pair", "cl-fit"],
                        buttons=["fullscreen"],
                        interactive=False,
                        elem_id="pair",
                        label="Baseline, accelerated",
                    )
                    parts.reveal = gr.Slider(
                        0, 100, 50, step=1, label="Reveal", interactive=True, buttons=[], elem_id="reveal"
                    )
                with gr.Column(visible=False, elem_classes=["cl-sides"]) as parts.side_view:
                    parts.left, parts.right = (
                        gr.Image(
                            picture,
                            label=label,
                            format="png",
                            elem_classes=["cl-fit"],
                            interactive=False,
                            buttons=["download", "fullscreen"],
                            elem_id=f"side-{side}",
                        )
                        for side, label, picture in (
                            ("left", "Baseline", before),
                            ("right", "Accelerated", after),
                        )
                    )
            with gr.Column(elem_classes="cl-right"):
                gr.Markdown("### Difference")
                with gr.Row():
                    parts.heat = gr.Image(
                        heat,
                        show_label=False,
                        label="Difference picture",
                        format="png",
                        interactive=False,
                        elem_classes=["cl-heat", "cl-fit"],
                        buttons=["fullscreen"],
                        elem_id="heat",
                    )
                    with gr.Column():
                        parts.gain = gr.Slider(
                            1, 32, GAIN, step=1, label="Gain", interactive=True, buttons=[], elem_id="gain"
                        )
                        parts.difference = difference(
                            views.difference_facts(quality, GAIN), elem_id="difference"
                        )
                parts.times = times(views.times(recorded), elem_id="times")
                with gr.Column(elem_classes="cl-against", visible=False) as parts.versus:
                    with gr.Row():
                        parts.equal = status(None, elem_id="equal", elem_classes="cl-slim")
                        parts.show_equal = gr.Button("Show it", elem_id="show-equal")
                    with gr.Row():
                        parts.against = gr.Dropdown(
                            choices(),
                            value="baseline",
                            label="Left picture",
                            interactive=True,
                            elem_id="against",
                        )
                        parts.show_against = gr.Button("Run and show", elem_id="show-against")
                    parts.against_note = status(None, elem_id="against-note", elem_classes="cl-slim")
