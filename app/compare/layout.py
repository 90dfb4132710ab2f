"""The components of the tab *Compare*. ``wiring`` connects them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import gradio as gr

from cache_engine import METHODS, MODELS, Comparison, ModelFacts, format_recipe
from cache_engine import difference as difference_picture

from .. import form, statuses, views
from ..components import dial, difference, headline, recipe, runs, stale, status, timeline, times
from ..controls import DIFFERENCE_GAIN, segmented, slim_status
from ..engine.worker import Worker
from ..presets import own_presets, presets_for
from . import example, sharing
from .against import choices
from .parts import (
    VIEWS,
    CompareParts,
    ContenderParts,
    PictureParts,
    PromptParts,
    RequestParts,
    SettingParts,
    TabState,
)
from .setting import note
from .wiring import wire

START_METHOD = "dbcache"


def build(worker: Worker, model: str, page: gr.Blocks) -> tuple[CompareParts, Callable[[Any], None]]:
    """Build the tab and connect its components.

    Returns the components and a function follow(event). The function follow(event) refreshes the what-if
    after an event that changed the setting.
    """
    state = TabState(
        job=gr.State(""),
        done=gr.State([]),
        shown=gr.State(""),
        both=gr.State(""),
        locked=gr.State(True),
        painted=gr.State(["", []]),
    )
    recorded = example.example()
    with gr.Row(elem_classes="cl-page"):
        with gr.Column(elem_classes="cl-aside"):
            prompt = _prompt(model, metered=worker.metered)
            request = _request(model, metered=worker.metered)
            setting = _setting(model)
        with gr.Column(elem_classes="cl-main"):
            numbers = headline(example.headline(recorded), elem_id="headline")
            pictures, contender = _viewer(recorded)
            steps = timeline(example.timeline(recorded), elem_id="timeline")
            table = runs(views.runs([]), elem_id="runs")
            shared = sharing.build(keeps=worker.history.folder is not None)
    groups = (prompt, request, setting, pictures, contender, shared, state)
    parts = CompareParts.of(*groups, headline=numbers, timeline=steps, runs=table)
    return parts, wire(parts, worker, page)


def _prompt(model: str, *, metered: bool) -> PromptParts:
    row = MODELS[model]
    with gr.Column(elem_classes="cl-section"):
        prompt = gr.Textbox(
            row.examples[0] if row.examples else "",
            label="Prompt",
            lines=2,
            max_lines=6,
            interactive=True,
            elem_id="prompt",
        )
        with gr.Row(elem_classes="cl-chips"):
            chips = [
                gr.Button(text, size="sm", min_width=0, elem_classes=["cl-example"])
                for text in row.examples[:4]
            ]
        unknown, first = slim_status("unknown"), f"The first run loads {row.title}."
        with gr.Row(elem_classes="cl-go"):
            generate = gr.Button("Generate", variant="primary", elem_id="generate")
            stop = gr.Button("Stop", variant="stop", interactive=False, elem_id="stop")
        return PromptParts(
            prompt=prompt,
            chips=chips,
            unknown=unknown,
            generate=generate,
            stop=stop,
            cost=slim_status("cost") if metered else None,
            status=status(statuses.idle(" ".join([first, *own_presets().skipped])), elem_id="status"),
        )


def _number(value: float | None, label: str, name: str, width: int = 80, **options: Any) -> gr.Number:
    return gr.Number(value, label=label, interactive=True, min_width=width, elem_id=name, **options)


def _icon(label: str, name: str) -> gr.Button:
    return gr.Button(label, elem_classes=["cl-icon", f"cl-{name}"], min_width=32, scale=0, elem_id=name)


def _request(model: str, *, metered: bool) -> RequestParts:
    row = MODELS[model]
    sizes = [form.size_text(size) for size in row.sizes]
    with gr.Column(elem_classes="cl-section"):
        with gr.Row():
            models = gr.Dropdown(
                [(other.title, name) for name, other in MODELS.items()],
                value=model,
                label="Model",
                interactive=True,
                min_width=150,
                elem_id="model",
            )
            size = form.Dropdown(
                sizes, value=sizes[0], label="Size", interactive=True, min_width=120, elem_id="size"
            )
        with gr.Row():
            seed = _number(7, "Seed", "seed", 110)
            dice, lock = _icon("New seed", "dice"), _icon("Seed is kept", "lock")
        with gr.Row():
            steps = _number(row.steps, "Steps", "steps")
            guidance = _number(row.guidance, "Guidance", "guidance", visible=row.guidance is not None)
            cfg = _number(row.true_cfg_scale, "True CFG", "cfg", visible=form.takes_cfg(model))
            repeats = _number(1, "Timed runs", "repeats", visible=not metered)
        with gr.Accordion("LoRA, input picture", open=False, elem_id="files"):
            lora = gr.File(
                label="LoRA · .safetensors",
                file_types=[".safetensors", ".sft"],
                type="filepath",
                height=132,
                interactive=True,
                elem_id="lora",
            )
            weight = gr.Number(1, label="LoRA weight", step=0.1, interactive=True, elem_id="weight")
            picture = gr.Image(
                label="Input picture",
                type="filepath",
                sources=["upload", "clipboard"],
                image_mode=None,  # the file as it is: the engine turns it into RGB
                height=180,
                interactive=True,
                visible=form.takes_picture(model),
                elem_id="picture",
            )
    return RequestParts(
        model=models,
        size=size,
        seed=seed,
        dice=dice,
        lock=lock,
        steps=steps,
        guidance=guidance,
        cfg=cfg,
        repeats=repeats,
        lora=lora,
        weight=weight,
        picture=picture,
    )


def _setting(model: str) -> SettingParts:
    title, preset = next(iter(presets_for(model).items()), ("", None))
    start = preset.setting if preset else METHODS[START_METHOD]()
    name, steps = start.name, MODELS[model].steps
    text = format_recipe(start)
    with gr.Column(elem_classes="cl-section"):
        method = gr.Dropdown(
            form.method_choices(name not in form.FRONT),
            value=name,
            label="Method",
            interactive=True,
            elem_id="method",
        )
        method_note = status(note(start, model, steps), elem_id="method-note", elem_classes="cl-slim")
        presets = gr.Radio(
            list(presets_for(model, name)),
            value=title or None,
            label="Preset",
            interactive=True,
            elem_classes=["cl-chips"],
            elem_id="preset",
        )
        speed_or_likeness = dial(None, elem_id="dial")
    with gr.Column(elem_classes="cl-section"):
        recipe_text = gr.Textbox(
            text,
            label="Recipe · type a recipe, or move the knobs",
            interactive=True,
            max_lines=1,
            elem_classes=["cl-mono"],
            elem_id="recipe-text",
        )
        chips = recipe(views.recipe_parts(text, text), elem_id="recipe")
        groups, knobs = _knobs(start.to_dict(), form.facts_for(model, steps))
    return SettingParts(
        method=method,
        method_note=method_note,
        preset=presets,
        dial=speed_or_likeness,
        recipe_text=recipe_text,
        recipe=chips,
        groups=groups,
        knobs=knobs,
        origin=gr.State(title),
        chosen=gr.State(name),
    )


def _knobs(
    start: dict[str, Any], facts: ModelFacts
) -> tuple[dict[str, gr.Column], dict[tuple[str, str], form.KnobField]]:
    """Build a column of fields for every method. The column of the method to start with is visible."""
    groups: dict[str, gr.Column] = {}
    knobs: dict[tuple[str, str], form.KnobField] = {}
    for name in METHODS:
        with gr.Column(visible=name == start["name"], elem_classes=["cl-knobs"]) as groups[name]:
            values = start if name == start["name"] else {}
            for knob in METHODS[name].knobs():
                knobs[name, knob.name] = form.knob_component(name, knob, facts, values)
    return groups, knobs


def _viewer(recorded: Comparison | None) -> tuple[PictureParts, ContenderParts]:
    before, after = (recorded.baseline.image, recorded.accelerated.image) if recorded else (None, None)
    with gr.Column(elem_classes=["cl-card", "cl-viewer"]):
        with gr.Row(elem_classes="cl-card-head"):
            view = segmented(VIEWS, VIEWS[0], "View", "view")
            captions = stale({"text": example.source(recorded)}, elem_id="stale")
        with gr.Row():
            with gr.Column(elem_classes="cl-left"):
                with gr.Column() as slider_view:
                    pair = gr.ImageSlider(
                        (before, after) if recorded else None,
                        show_label=False,
                        format="png",
                        elem_classes=["cl-pair", "cl-fit"],
                        buttons=["fullscreen"],
                        interactive=False,
                        elem_id="pair",
                        label="Baseline, accelerated",
                    )
                    reveal = gr.Slider(
                        0, 100, 50, step=1, label="Reveal", interactive=True, buttons=[], elem_id="reveal"
                    )
                with gr.Column(visible=False, elem_classes=["cl-sides"]) as side_view:
                    left, right = _side("left", "Baseline", before), _side("right", "Accelerated", after)
            with gr.Column(elem_classes="cl-right"):
                heat, gain, figures = _difference(recorded)
                both_times = times(views.times(recorded), elem_id="times")
                contender = _contender()
    pictures = PictureParts(
        view=view,
        stale=captions,
        slider_view=slider_view,
        pair=pair,
        reveal=reveal,
        side_view=side_view,
        left=left,
        right=right,
        heat=heat,
        gain=gain,
        difference=figures,
        times=both_times,
    )
    return pictures, contender


def _side(name: str, label: str, picture: Any) -> gr.Image:
    return gr.Image(
        picture,
        label=label,
        format="png",
        elem_classes=["cl-fit"],
        interactive=False,
        buttons=["download", "fullscreen"],
        elem_id=f"side-{name}",
    )


def _difference(recorded: Comparison | None) -> tuple[gr.Image, gr.Slider, gr.HTML]:
    gr.Markdown("### Difference")
    picture = None
    if recorded:
        picture = difference_picture(recorded.baseline.image, recorded.accelerated.image, DIFFERENCE_GAIN)
    with gr.Row():
        heat = gr.Image(
            picture,
            show_label=False,
            label="Difference picture",
            format="png",
            interactive=False,
            elem_classes=["cl-heat", "cl-fit"],
            buttons=["fullscreen"],
            elem_id="heat",
        )
        with gr.Column():
            gain = gr.Slider(
                1, 32, DIFFERENCE_GAIN, step=1, label="Gain", interactive=True, buttons=[], elem_id="gain"
            )
            facts = views.difference_facts(recorded.quality if recorded else None, DIFFERENCE_GAIN)
            return heat, gain, difference(facts, elem_id="difference")


def _contender() -> ContenderParts:
    with gr.Column(elem_classes="cl-against", visible=False) as versus:
        with gr.Row():
            equal = status(None, elem_id="equal", elem_classes="cl-slim")
            show_equal = gr.Button("Show it", elem_id="show-equal")
        with gr.Row():
            against = gr.Dropdown(
                choices(), value="baseline", label="Compare against", interactive=True, elem_id="against"
            )
            show_against = gr.Button("Run it", elem_id="show-against")
        against_note = status(None, elem_id="against-note", elem_classes="cl-slim")
    return ContenderParts(
        versus=versus,
        equal=equal,
        show_equal=show_equal,
        against=against,
        show_against=show_against,
        against_note=against_note,
    )
