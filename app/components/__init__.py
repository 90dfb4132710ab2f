"""What the page draws itself: each component is a ``gr.HTML`` whose template, styles and script are constants.

Values are plain JSON dicts made by ``app.views``; user text reaches the document through ``textContent`` alone. Every
constructor takes ``(value=None, **more)``; ``None`` draws the empty state, ``more`` goes to ``gr.HTML``. Use
``show_progress="hidden"`` on events that write to them: gradio's own overlay would hide them. Launch with
``theme=theme(), css=css()`` (from ``app.components.theme``).

constructor   value (made by)                                            events                          selectors for tests
header        views.header(engine | words, state)                        none; owns the dark switch      .cl-engine
status        views.status | queued | stopped | failed | finished | idle none                            .cl-status [data-kind]
headline      views.headline(comparison | None)                          none                            [data-card=speed|flops|psnr|ssim] .num
timeline      views.timeline(...) | timeline_of(comparison)              select {index} (a click pins)   .cl-step [data-mode], .cl-readout
times         views.times(comparison | None)                             none                            .cl-times [data-side]
difference    views.difference_facts(quality | None, gain)               none                            .cl-difference dd
runs          views.runs(comparisons, chosen)                            choose {index} (of the list)    .cl-runs [data-index]
recipe        views.recipe_parts(recipe, preset_recipe | None)           none                            .cl-recipe [data-part]

In Python: ``runs(...).choose(fn)`` with ``event: gr.EventData`` and ``event.index``; ``timeline(...).select(fn)`` alike.

Dicts, in short (the figures are text, ready to show; bare numbers are for places and lengths only):
header      {"engine": "tiny FLUX · float32 · cpu · idle", "state": "idle" | "busy" | "loading" | "error"}
status      {"kind": "idle" | "queued" | "running" | "stopped" | "error" | "done", "title", "detail", "share": 0..1 | None}
headline    {"state": "measured" | "empty", "cards": [{"name", "kind", "label", "before", "num", "word", "strong", "notes": [..],
            "exact", "scale": {"place": 0..100, "on": 0..3, "words": [..], "ends": [..]} | None}], "published": {"text", "source"} | None}
timeline    {"steps", "running": None | "baseline" | "accelerated", "calls", "counts": {mode: n}, "warmup", "baseline": [bool],
            "rows": [{"label", "cells": [None | {"mode", "change", "cost", "sentence", "facts"}]}],
            "limit": None | {"place", "text"}, "top", "ticks": [{"place", "text"}], "signal", "at", "banner": "" | sentence}
times       {"rows": [{"side", "label", "parts": [{"name", "share", "text"}], "total"}], "legend": [{"name", "text"}], "note"}
difference  {"rows": [{"name", "text"}], "top": "32 and more"}
runs        {"steps", "unit", "chosen", "rows": [{"index", "recipe", "modes", "faster", "flops", "psnr", "word", "when"}], "baseline": row | None}
recipe      {"parts": [{"code", "word", "title", "changed"}]}

Classes for gradio's own components (``elem_classes``); the styles are in base.css and gradio.css:
cl-page (Row: aside | main), cl-aside, cl-main, cl-card (a Column that is a card), cl-card-head, cl-section (a part of the aside),
cl-tabs (gr.Tabs drawn into the header bar), cl-chips (gr.Radio or a Row of Buttons as chips), cl-seg (gr.Radio as segmented control),
cl-knob (a gr.Slider of a method), cl-changed (a knob off its preset), cl-mono (a textbox for the recipe), cl-go (Row: Generate, Stop),
cl-viewer, cl-pair (gr.ImageSlider with the captions inside), cl-left, cl-right, cl-heat (gr.Image with a caption inside),
cl-fit (pictures up to 512 px wide are scaled by whole numbers, unblurred), cl-icon (a square icon button), cl-quiet (no border).
"""
