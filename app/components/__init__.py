"""What the page draws itself: each component is a ``gr.HTML`` whose template, styles and script are
constants.

Values are plain JSON dicts made by ``app.views``; user text reaches the document through text nodes alone.
Every constructor takes ``(value=None, **more)``; ``None`` draws the empty state, ``more`` goes to
``gr.HTML``. Use ``show_progress="hidden"`` on events that write to them: gradio's own overlay would hide
them. Launch with ``theme=theme(), css=css()`` (from ``app.components.theme``). headline, timeline and runs
draw their own card.

constructor   value (made by)                                            events
    selectors for tests
header        statuses.header(engine | words, state)                        none; owns the dark switch
    .cl-engine[data-state]
status        views.status | queued | stopped | failed | finished | idle none
    .cl-status[data-kind]
headline      views.headline(comparison | None)                          none
    [data-card=speed] .num
timeline      timeline(...) | timeline_of(comparison)              select {index} (a click pins)
    .cl-step[data-mode]
times         views.times(comparison | None)                             none
    .cl-times [data-side]
difference    views.difference_facts(quality | None, gain)               none
    .cl-difference dd
runs          views.runs(comparisons, chosen)                            choose {index} (of the list)
    .cl-runs [data-index]
recipe        views.recipe_parts(recipe, preset_recipe | None)           none
    .cl-recipe [data-part]
chart         published_views.chart, tune_chart.drawn                   choose {id}, open {id}
    .cl-chart [data-id]
sheet         published_views | tune_views | history_views .sheet(..)    choose {id}
    .cl-sheet [data-id]
setting       published_ | tune_ | history_views | yours .card(...)      none
    .cl-setting dd
notes         published_notes.read_with_care(model, quality, speed)      none
    .cl-notes li
strips        tune_views.margins(setting, goal)                          none
    .cl-strips .track b
jobs          job_views.jobs(jobs, chosen)                               choose {key}, act {key, act}
    .cl-jobs [data-key]
cells         sweep_views.cells(snapshot, order, chosen)                 choose {id}, open {id}
    .cl-cells [data-id]
dial          expected.waiting | dial                                    turn {goal, value}
    .cl-dial .plot, .thumb
stale         expected.stale | contender.captions                        none
    .cl-stale span

The cards are speed, flops, psnr, ssim. A step's ``data-mode`` is its first stream's; each stream has a
``.cl-cell`` with its ``data-shade``; the readout is ``.cl-readout``; the one step shown in it has
``aria-current``. A recipe's parts are named by their letters (``[data-part=MC]``). In Python:
``runs(...).choose(fn)`` with ``event: gr.EventData`` and ``event.index``; ``timeline(...).select(fn,
trigger_mode="multiple")`` alike: gradio's other modes lose the last of several quick events. The timeline's
other events: limit {value, top} (the threshold was dragged; top is the axis' own while it is held), paint
{mask, painted}, freeze {}, fix {knob, value} (the banner's button). While something is dragged one event is
on its way at a time.

Dicts, in short (the figures are text, ready to show; bare numbers are for places and lengths only):
header      {"engine": "tiny FLUX · float32 · cpu · idle", "state": "idle" | "busy" | "loading" | "error"}
status      {"kind": "idle" | "queued" | "running" | "stopped" | "error" | "done", "title", "detail", "share":
    0..1 | None}
headline    {"state": "measured" | "empty", "cards": [{"name", "kind", "label", "before", "num", "word",
    "strong",
            "notes": [..], "exact", "scale": {"place": 0..100, "on": -1..3, "words": [..], "ends": [..]} |
            None}], "about": [sentence], "published": {"text", "source"} | None}
timeline    {"steps", "running": None | "baseline" | "accelerated", "calls", "counts": {mode: n}, "warmup",
    "baseline": [bool],
            "rows": [{"label", "stream", "cells": [None | {"mode", "y", "value", "cost", "sentence",
            "facts"}]}], "limit": None | {"place", "text"}, "top", "ticks": [{"place", "text"}], "signal",
            "at", "banner": "" | sentence, "fix": None | {"knob", "value", "text"}, "drag": None | {"value",
            "low", "high", "step"}, "paint": bool, "masked": bool, "expected": "" | what it is expected from}
times       {"rows": [{"side", "label", "parts": [{"name", "share", "text"}], "total"}], "legend": [{"name",
    "text"}], "note"}
difference  {"rows": [{"name", "text"}], "top": "32 and more"}
runs        {"steps", "unit", "chosen", "rows": [{"index", "recipe", "modes", "faster", "flops", "psnr",
    "word", "when"}],
            "baseline": row | None}
recipe      {"text": the whole, "parts": [{"code", "word", "title", "changed"}]}
chart       {"title", "points": [{"id", "x", "y", "mark", "name", "lines": [..], "label", "strong",
    "picture"}], "chosen": id,
            "x", "y": {"name", "ticks": [{"place", "text"}]}, "hint", "note", "legend": [{"mark", "text"}],
            "empty": sentence, "lines": [{"kind", "points": [[x, y]]}], "cloud": [[x, y]], "band": [[x, low,
            high]], "limit": {"y" | "x", "text"} | None}
sheet       {"title", "count", "columns": [{"text", "kind": "name" | "number" | "now"}], "sort": {"column",
    "down"}, "chosen",
            "rows": [{"id", "mark", "tag", "mono", "picture", "cells": [{"text", "sort"} | {"strip",
            "sort"}]}], "note", "empty", "file": None | {"name", "text"}}
setting     {"title", "kind", "code", "bars": [{"name", "share", "text", "look"}], "facts": [{"name",
    "text"}], "notes": [..]}
notes       {"title", "notes": [{"title", "text", "on"}]}
strips      {"title", "note", "rows": [{"label", "dots": [{"at", "look": "" | "below"}], "text", "told"}],
    "lines": [{"at", "kind"}],
            "ticks": [{"at", "text"}]}
jobs        {"jobs": [{"key", "title", "said", "note", "share", "state", "acts": [{"act", "text"}],
    "chosen"}], "empty"}
cells       {"across", "down", "columns": [text], "tables": [{"title", "rows": [{"head", "cells": [{"id": key
    | "", "picture",
            "lines": [..], "state": "done" | "waiting" | "refused"}]}]}], "chosen", "empty"}

A chart's places are 0 (left, bottom) to 100, made by ``app.axes``. Its marks, told apart by shape: ring,
    diamond, triangle,
cross, square; dot (measured), expected (dashed), running (half filled), edge (amber). A mark answers to the
    pointer (within 22
pixels of a finger), a click on a spot with several takes the next; arrow keys go along x; Enter or a double
    click opens. Lines are "best"
(dotted), "expected" (dashed) or plain.
dial        {"state": "none" | "waiting" | "ready", "note", "points": [{"x", "y", "band": [y, y] | None}],
    "runs": [{"x", "y"}],
            "at": None | {"x", "y", "speed", "db", "told", "likeness"}, "db": [low, high] | None, "speeds":
            [{"place", "text"}], "levels": [{"place", "text"}]}
stale       {"text", "left", "right"}; the captions stay as they are where "left" is not given

What is expected, not measured, is drawn dashed and with "about": a card of kind "expected", a timeline whose
"expected" is not empty. A card of kind "unknown" has no number but words. A cell with ``"painted": True``
gets a corner mark.

Classes for gradio's own components (``elem_classes``); the styles are in base.css and gradio.css: cl-page
(Row: aside | main), cl-aside, cl-main, cl-card (a Column that is a card), cl-card-head (its first Row),
cl-section (a part of the aside), cl-tabs (gr.Tabs drawn into the header bar), cl-chips (gr.Radio or a Row of
small Buttons as chips), cl-seg (gr.Radio as segmented control), cl-knob (a knob of a method), cl-changed (a
knob off its preset), cl-mono (a textbox for the recipe), cl-go (Row: Generate, Stop; at the bottom of a
phone), cl-viewer (a card of pictures with one Row of cl-left and cl-right under its head), cl-pair
(gr.ImageSlider with the captions inside), cl-heat (the difference picture), cl-fit (pictures up to 512 px
wide are scaled by whole numbers, unblurred), cl-foot (Row of Buttons under it all; cl-taken, the card that it
opens, with cl-code in it), cl-icon (a square icon button) with cl-dice, cl-lock or cl-unlocked, cl-quiet (no
border), cl-slim (a status that keeps no place), cl-note (small print).
"""

from __future__ import annotations

import json
from abc import ABCMeta
from functools import lru_cache
from pathlib import Path
from typing import Any

import gradio as gr

FOLDER = Path(__file__).resolve().parent


@lru_cache
def _text(file: str) -> str:
    return (FOLDER / file).read_text(encoding="utf-8")


def _as_text(component: gr.HTML, value: dict[str, Any] | None) -> str | None:
    """How a value crosses: as one text. Of anything else gradio compares and wraps every part, several times
    an update.
    """
    return None if value is None else json.dumps(value, ensure_ascii=False)


# gr.HTML with this one method of its own. Not by a class statement: for that gradio writes a stub file beside
# this one.
Drawn: type[gr.HTML] = ABCMeta.__new__(
    type(gr.HTML), "Drawn", (gr.HTML,), {"postprocess": _as_text, "__module__": __name__}
)


def _drawn(name: str, value: dict[str, Any] | None, parts: tuple[str, ...] = (), **more: Any) -> gr.HTML:
    """Constants alone: gradio runs templates, so no value may ever stand in one. ``parts``: scripts that go
    before its own.

    The styles come with the script, which puts them into the document once: gradio compiles a css_template
    anew, and has the whole page restyled, at every value.
    """
    script = f"const styles = {json.dumps(_text(f'{name}.css'))};\n" + "".join(
        _text(f"{part}.js") for part in ("dom", *parts, name)
    )
    given: Any = value  # gr.HTML knows of texts only
    return Drawn(
        given,
        html_template=f'<div class="cl-{name}"></div>',
        css_template="",
        js_on_load=script,
        apply_default_css=False,
        **more,
    )


def header(value: dict[str, Any] | None = None, **more: Any) -> gr.HTML:
    """Name, engine badge, dark switch and what the keyboard can do."""
    return _drawn("header", value, ("keys",), **more)


def status(value: dict[str, Any] | None = None, **more: Any) -> gr.HTML:
    """What is going on, in a place that is always there."""
    return _drawn("status", value, **more)


def headline(value: dict[str, Any] | None = None, **more: Any) -> gr.HTML:
    """Four numbers, and how they were measured."""
    return _drawn("headline", value, **more)


def timeline(value: dict[str, Any] | None = None, **more: Any) -> gr.HTML:
    """A column a step: what was decided, what it cost, how much had changed."""
    return _drawn("timeline", value, ("limit", "paint"), **more)


def times(value: dict[str, Any] | None = None, **more: Any) -> gr.HTML:
    """Encode, denoise, decode of both sides on one axis."""
    return _drawn("times", value, **more)


def difference(value: dict[str, Any] | None = None, **more: Any) -> gr.HTML:
    """Colour scale and figures of the difference picture."""
    return _drawn("difference", value, **more)


def runs(value: dict[str, Any] | None = None, **more: Any) -> gr.HTML:
    """Every run on the baseline at hand; a click chooses one."""
    return _drawn("runs", value, ("strip",), **more)


def recipe(value: dict[str, Any] | None = None, **more: Any) -> gr.HTML:
    """The parts of a recipe with a word each."""
    return _drawn("recipe", value, **more)


def chart(value: dict[str, Any] | None = None, **more: Any) -> gr.HTML:
    """Marks on two axes that can be pointed at, chosen and opened."""
    return _drawn("chart", value, **more)


def sheet(value: dict[str, Any] | None = None, **more: Any) -> gr.HTML:
    """A table that sorts itself; a row can be chosen."""
    return _drawn("sheet", value, ("strip",), **more)


def setting(value: dict[str, Any] | None = None, **more: Any) -> gr.HTML:
    """Everything that is known of one setting."""
    return _drawn("setting", value, **more)


def notes(value: dict[str, Any] | None = None, **more: Any) -> gr.HTML:
    """Sentences to keep in mind; those about what is looked at are lit."""
    return _drawn("notes", value, **more)


def strips(value: dict[str, Any] | None = None, **more: Any) -> gr.HTML:
    """Dots against a floor: prompts, and settings one step away."""
    return _drawn("strips", value, **more)


def jobs(value: dict[str, Any] | None = None, **more: Any) -> gr.HTML:
    """Long jobs: how far they are, and what can be done with each."""
    return _drawn("jobs", value, **more)


def cells(value: dict[str, Any] | None = None, **more: Any) -> gr.HTML:
    """Pictures in a grid, a knob's values across and another's down."""
    return _drawn("cells", value, **more)


def dial(value: dict[str, Any] | None = None, **more: Any) -> gr.HTML:
    """One wish, how fast or how close; the knobs follow."""
    return _drawn("dial", value, **more)


def stale(value: dict[str, Any] | None = None, **more: Any) -> gr.HTML:
    """The pictures' captions, and a tag while the numbers are of another setting."""
    return _drawn("stale", value, **more)
