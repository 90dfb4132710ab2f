"""Tests that no text from outside takes long: every text of every endpoint and field, filled with repetitions
on which careless expressions and parsers take seconds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import gradio as gr
import pytest

from app import presets, share
from app.api import Endpoints
from app.engine.longjobs import LongJobs
from app.engine.worker import Worker
from app.history import views as history_views
from app.tune import form as tune_form
from cache_engine import METHODS, EngineError, SweepTask, parse_recipe
from cache_engine.registry import Registry
from cache_engine.tuning import space
from tests.app.past import Filled

LENGTH = 20_000
PATTERNS = [
    ". ",
    "..",
    "0",
    "1.",
    "-",
    "1..",
    "[",
    "{",
    "SCM0",
    "F1_",
    ", ",
    "=\n",
    "a/",
    "'",
    "%",
    "\\",
    "\ud800",
]
LONGEST_ANSWER = 5_000  # characters
MOST_SECONDS = 1.0  # of processor time; the quadratic expression that this test was written for took 42 s


def hostile() -> Iterator[str]:
    for pattern in PATTERNS:
        yield (pattern * LENGTH)[:LENGTH]
        yield (pattern * LENGTH)[:LENGTH] + "!"


def texts_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every text in a JSON value."""
    if isinstance(value, str):
        yield path
    for key, part in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from texts_in(part, (*path, key))


def replaced(value: Any, path: tuple[Any, ...], text: str) -> Any:
    changed = deepcopy(value)
    place = changed
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = text
    return changed


def keys_in(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Yield the path of every object in a JSON value."""
    if isinstance(value, dict):
        yield path
        for key, part in value.items():
            yield from keys_in(part, (*path, key))


def with_key(value: Any, path: tuple[Any, ...], text: str) -> Any:
    changed = deepcopy(value)
    place = changed
    for key in path:
        place = place[key]
    place[text] = 1
    return changed


def is_answered(call: Callable[[Any], Any], asked: Any) -> None:
    """Call, and check that the answer or the sentence is short and comes soon."""
    begun, answer = time.thread_time(), ""
    try:
        call(asked)
    except (EngineError, gr.Error) as error:
        answer = str(getattr(error, "message", error))
        assert answer.endswith("."), answer[:200]
    assert time.thread_time() - begun < MOST_SECONDS, answer[:200]
    assert len(answer) < LONGEST_ANSWER
    answer.encode()


REQUEST = {"model": "tiny", "prompt": "a fox", "negative_prompt": "rain"}
METHOD_SET: list[dict[str, Any]] = [
    {
        "name": name,
        **{knob.name: knob.default for knob in METHODS[name].knobs() if isinstance(knob.default, str)},
    }
    for name in METHODS
]
TUNE = {
    "request": REQUEST,
    "prompts": ["a fox"],
    "acceptance": ["an owl"],
    "goal": {"kind": "close", "value": 30.0},
    "vary": {
        "dbcache": {
            "Fn_compute_blocks": "1, 2",
            "residual_diff_threshold": "0.1..0.2 /2",
            "predictor": "taylor",
            "steps_computation_mask": "1" * 28,
        }
    },
}


@pytest.fixture
def endpoints() -> Endpoints:
    return Endpoints(Worker(lambda *_, **__: pytest.fail("a run"), None, LongJobs(None)))


def asked_of(endpoints: Endpoints) -> Iterator[tuple[Callable[[Any], Any], Any]]:
    """Yield every endpoint that takes texts, with a valid question."""
    for method in METHOD_SET:
        yield endpoints._submit, {"request": REQUEST, "method": method}
    yield lambda asked: list(endpoints.tune(asked)), TUNE
    yield endpoints.simulate, {"job": "key", "method": METHOD_SET[0]}
    yield lambda asked: endpoints.cancel(asked["job"]), {"job": "key"}


def test_no_text_of_an_endpoint_takes_long(endpoints: Endpoints, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(endpoints.worker, "submit", lambda *_: None)
    tried = 0
    for ask, question in asked_of(endpoints):
        for text in hostile():
            for path in texts_in(question):
                is_answered(ask, replaced(question, path, text))
                tried += 1
            for path in keys_in(question) if text.endswith("!") else ():
                is_answered(ask, with_key(question, path, text))
    assert tried > 1000


def test_no_text_of_the_page_takes_long(filled: Filled) -> None:
    names: Registry[int] = Registry(lambda: {"a": 1}, "name")
    fields: list[Callable[[str], Any]] = [
        lambda text: tune_form.parse_ranges(text, ["dbcache"]),
        lambda text: tune_form.parse_ranges(f"residual_diff_threshold = {text}", ["dbcache"]),
        lambda text: tune_form.default_ranges(["dbcache", "magcache"], text),
        lambda text: tune_form.text_lines(text),
        lambda text: [space.parse_values(knob, text) for knob in space.tunable_knobs("dbcache").values()],
        lambda text: SweepTask(request=None, axes=(("predictor", text), (text, "1"))),  # pyright: ignore[reportArgumentType]
        lambda text: history_views.search(filled.history.entries(), text),
        lambda text: filled.history.rename("a", text),
        lambda text: filled.history.pin(text, True),
        lambda text: presets.save(text, text, "tiny", 28, {"name": "dbcache"}),
        lambda text: share.from_query(text),
        lambda text: share.from_text(text, "link"),
        lambda text: parse_recipe(text),
        lambda text: parse_recipe(f"F{text}"),
        lambda text: names[text],
    ]
    for field in fields:
        for text in hostile():
            is_answered(field, text)
