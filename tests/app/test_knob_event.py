"""Tests that a moved knob costs one method, one plan and one forecast, so that the page answers while a
slider is dragged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

import gradio as gr
import pytest

from app.compare import layout, what_if
from app.compare.parts import CompareParts
from app.engine.recording_queue import BaselineRecord
from app.engine.worker import Worker
from cache_engine import METHODS, Comparison, Method, facts_of, resolve
from tests.app.made import dbcache, pair
from tests.engine.random_survey import random_survey

KNOB = ("dbcache", "residual_diff_threshold")
Handler = Callable[[dict[Any, Any]], dict[Any, Any]]


@pytest.fixture
def shown() -> Comparison:
    """Return a comparison on the embedded model that the page shows."""
    made = pair(dbcache(Fn_compute_blocks=1), steps=12, streams=("cond", "uncond"))
    return made._replace(baseline=made.baseline._replace(request=resolve(made.baseline.request)))


@pytest.fixture
def parts_and_move(shown: Comparison, monkeypatch: pytest.MonkeyPatch) -> tuple[CompareParts, Handler]:
    """Return the tab's components, and the handler that the page calls when the threshold moves, with all its
    inputs.
    """
    worker = Worker(lambda *_, **__: pytest.fail("a run"), None)
    survey = random_survey(run=facts_of(shown.baseline.request))
    monkeypatch.setattr(worker, "comparison", lambda key: shown if key == "shown" else None)
    monkeypatch.setattr(worker, "record_of", lambda _: BaselineRecord(survey, reusable=True))
    with gr.Blocks() as page:
        parts, _ = layout.build(worker, "tiny", page)
    event = next(
        event
        for event in page.fns.values()
        if (parts.knobs[KNOB]._id, "input") in event.targets and parts.timeline in event.outputs
    )
    state = {parts.shown: "shown", parts.done: ["shown"], parts.steps: 12}
    start = {part: part.value for part in event.inputs} | state
    handler = event.fn
    assert handler is not None
    return parts, lambda changes: handler(start | changes)


def test_a_moved_knob_makes_one_method_one_plan_and_one_forecast(
    parts_and_move: tuple[CompareParts, Handler], monkeypatch: pytest.MonkeyPatch
) -> None:
    parts, move = parts_and_move
    move({parts.knobs[KNOB]: 0.2})  # the first event also reads the presets and computes the dial's frontier
    made: Counter[str] = Counter()
    begin, plan, simulate = Method.__init__, METHODS["dbcache"].plan, what_if.simulate

    def counted(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapper(*arguments: Any, **options: Any) -> Any:
            made[name] += 1
            return call(*arguments, **options)

        return wrapper

    monkeypatch.setattr(Method, "__init__", counted("method", begin))
    monkeypatch.setattr(METHODS["dbcache"], "plan", counted("plan", plan))
    monkeypatch.setattr(what_if, "simulate", counted("forecast", simulate))
    updates = move({parts.knobs[KNOB]: 0.3})
    assert made == {"method": 1, "plan": 1, "forecast": 1}
    assert updates[parts.headline]["state"] == "expected"
    assert "R0.3" in updates[parts.recipe_text]
    assert updates[parts.status]["title"] == "Estimate."


def test_a_knob_that_does_not_fit_is_named_and_nothing_else_changes(
    parts_and_move: tuple[CompareParts, Handler],
) -> None:
    parts, move = parts_and_move
    updates = move({parts.knobs["dbcache", "max_warmup_steps"]: 99})
    assert list(updates) == [parts.status]
    assert updates[parts.status]["title"].startswith("max_warmup_steps: 99 is more than the 12 steps")
