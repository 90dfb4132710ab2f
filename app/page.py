"""The page: its header, its tabs, its endpoints, and the settings of its queue."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import gradio as gr
from fastapi.exceptions import RequestValidationError
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import BaseRoute

from cache_engine import with_survey

from . import about, api, pictures, statuses
from .compare import layout as compare
from .components import header
from .components.header import EngineState
from .components.theme import css, theme
from .controls import AT_ONCE
from .engine.longjobs import LongJobs
from .engine.state_stream import StateStream
from .engine.store import JobStore, everybody
from .engine.worker import Worker
from .engine.zerogpu import comparison_runner, first_baselines, on_zerogpu, space_model
from .form import default_model
from .history.store import HistoryStore, history_folder
from .history.wiring import build_tab as build_history
from .published.wiring import build_tab as build_published
from .serving import Access, Guard
from .tune.wiring import build_tab as build_tune
from .visitor import VisitorKeys, visitor

MOST_WAITING = 24
MOST_SESSIONS = 200  # pages and programs that gradio remembers, each with 0.7 MB; it forgets the oldest
QUEUE_LOOK = 0.02  # seconds between two looks into the queue


class Page(gr.Blocks):
    """The page. ``routes``: what its server answers beside gradio's own addresses."""

    routes: Sequence[BaseRoute] = ()


def build_page(access: Access = Access()) -> Page:
    """Build the page. Raises EngineError if MODEL is not a known model, or if a preset file is wrong.

    access: who may use the page.
    """
    lent = on_zerogpu()  # on a lent GPU, recordings and long jobs would cost the visitor's GPU time
    owner = visitor if access.apart else everybody
    worker = Worker(
        comparison_runner(),
        None if lent else with_survey,
        LongJobs(None if lent else JobStore(), owner=owner),
        HistoryStore(history_folder(), owner),
        first_baselines(),
    )
    model = default_model(space_model() if lent else os.environ.get("MODEL", ""))
    with Page(title="CacheLens", analytics_enabled=False, delete_cache=(3600, 24 * 3600)) as page:
        header(statuses.header((model,), "idle"), elem_id="header")
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
        page.load(worker.warm, **AT_ONCE)
        api.build(worker)
    page.routes = [StateStream(lambda: _shown_state(model, worker)).route, pictures.ROUTE]
    page.queue(max_size=MOST_WAITING, default_concurrency_limit=MOST_WAITING, api_open=False)
    # gradio looks 1,000 times a second whether an event is queued, which takes 5 % of a core for ever.
    page._queue.sleep_when_free = QUEUE_LOOK
    return page


def _not_valid(request: Request, error: Exception) -> PlainTextResponse:
    """Answer a request that no route can read. FastAPI's own answer repeats its bytes, and fails on some."""
    return PlainTextResponse("The request is not valid.", 422)


def _layers(access: Access) -> list[Middleware]:
    guard = Middleware(Guard, access=access)
    return [guard, Middleware(VisitorKeys, framed=not access.own_pages)] if access.apart else [guard]


def _shown_state(model: str, worker: Worker) -> dict[str, object]:
    """Return the state that open pages follow."""
    return {"header": statuses.header((model,), _state(worker)), "jobs": worker.long.changes}


def _state(worker: Worker) -> EngineState:
    state = worker.state()
    if state["running"] or state["long"]:
        return "busy"
    if state["recording"]:
        return "recording"
    return "loading" if state["loading"] else "idle"


def launch_options(page: Page, access: Access = Access()) -> dict[str, Any]:
    """Return the options of ``page.launch`` other than host, port and auth.

    access: the requests that are answered.

    The options keep the page private: no analytics, no error traces, and no files except the pictures
    of ``pictures.ROUTE``. An upload may be as large as a LoRA.
    """
    return {
        "app_kwargs": {
            "routes": page.routes,
            "middleware": _layers(access),
            "exception_handlers": {RequestValidationError: _not_valid},
        },
        "state_session_capacity": MOST_SESSIONS,
        "theme": theme(),
        "css": css(),
        "ssr_mode": False,
        "run_history": False,
        "enable_monitoring": False,
        "max_file_size": "1gb",
        "show_error": False,
        "footer_links": ["api"],
        "pwa": False,
    }
