"""The page: its header, its tabs, its endpoints, and the settings of its queue."""

from __future__ import annotations

import os
from typing import Any

import gradio as gr

from cache_engine import with_survey

from . import about, api, statuses
from .compare import layout as compare
from .components import header
from .components.header import EngineState
from .components.theme import css, theme
from .controls import AT_ONCE
from .engine.longjobs import LongJobs
from .engine.store import JobStore, user_folder
from .engine.worker import Worker
from .engine.zerogpu import comparison_runner, first_baselines, on_zerogpu, space_model
from .form import default_model
from .history.store import HistoryStore, history_folder
from .history.wiring import build_tab as build_history
from .published.wiring import build_tab as build_published
from .tune.wiring import build_tab as build_tune

MOST_WAITING = 24


def build_page() -> gr.Blocks:
    """Build the page. Raises EngineError if MODEL is not a known model, or if a preset file is wrong."""
    lent = on_zerogpu()  # on a lent GPU, recordings and long jobs would cost the visitor's GPU time
    worker = Worker(
        comparison_runner(),
        None if lent else with_survey,
        LongJobs(None if lent else JobStore()),
        HistoryStore(history_folder()),
        first_baselines(),
    )
    model = default_model(space_model() if lent else os.environ.get("MODEL", ""))
    with gr.Blocks(title="CacheLens", analytics_enabled=False, delete_cache=(3600, 24 * 3600)) as page:
        badge = header(statuses.header((model,), "idle"), elem_id="header")
        with gr.Tabs(elem_classes="cl-tabs") as tabs:
            with gr.Tab("Compare", id="compare"):
                parts, follow = compare.build(worker, model, page)
            with gr.Tab("Tune", id="tune") as tuning:
                build_tune(tuning, tabs, page, parts, worker, model)
            if worker.history.folder:
                with gr.Tab("History", id="history") as past:
                    build_history(past, tabs, parts, worker, follow)
            with gr.Tab("Published", id="published"):
                build_published(parts, tabs)
            with gr.Tab("About", id="about"):
                about.build()
        clock = gr.Timer(2)
        clock.tick(
            lambda: statuses.header((model,), _state(worker)),
            outputs=badge,
            **AT_ONCE,
        )
        page.load(worker.warm, **AT_ONCE)
        api.build(worker)
    page.queue(max_size=MOST_WAITING, default_concurrency_limit=MOST_WAITING, api_open=False)
    return page


def _state(worker: Worker) -> EngineState:
    state = worker.state()
    if state["running"] or state["long"]:
        return "busy"
    if state["recording"]:
        return "recording"
    return "loading" if state["loading"] else "idle"


def launch_options() -> dict[str, Any]:
    """Return the options of ``launch`` other than host and port.

    The options keep the page private: no analytics, no error traces, and no files except those of History and
    long jobs. An upload may be as large as a LoRA.
    """
    return {
        "theme": theme(),
        "css": css(),
        "ssr_mode": False,
        "run_history": False,
        "enable_monitoring": False,
        "max_file_size": "1gb",
        "allowed_paths": [str(path) for path in (user_folder() / "jobs", history_folder()) if path],
        "show_error": False,
        "footer_links": ["api"],
        "pwa": False,
    }
