"""Tests the answers of the tab History without a browser: errors, and changes that another page made in the
meantime.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import gradio as gr
import pytest
from PIL import Image

from app.compare.parts import CompareParts
from app.engine.longjobs import LongJobs
from app.engine.worker import Worker
from app.history.layout import PIN, UNPIN, build
from app.history.store import HistoryStore
from app.history.wiring import HistoryHandlers
from cache_engine import EngineError
from tests.app.past import Filled

with gr.Blocks():
    PARTS = build()
RUN = PARTS.run
NONE: dict[str, Any] = {"chips": [], "groups": {}, "knobs": {}}
THERE = CompareParts(**{field.name: f"compare {field.name}" for field in fields(CompareParts)} | NONE)


@pytest.fixture
def tab(filled: Filled) -> HistoryHandlers:
    worker = Worker(
        lambda *_, **__: pytest.fail("compared"), None, LongJobs(None), HistoryStore(filled.folder)
    )
    return HistoryHandlers(PARTS, THERE, worker, None)  # type: ignore[arg-type]


def values(**given: Any) -> dict[Any, Any]:
    collected = {
        PARTS.words: "",
        PARTS.which: "all",
        PARTS.chosen: "",
        THERE.shown: "",
        THERE.job: "",
        THERE.done: [],
        THERE.model: "tiny",
        THERE.gain: 8,
    }
    return collected | {
        getattr(RUN, name, None) or getattr(PARTS, name): value for name, value in given.items()
    }


def test_the_newest_run_is_shown_also_with_damaged_or_missing_pictures(
    tab: HistoryHandlers, filled: Filled
) -> None:
    whole = tab.show(values())
    assert whole[PARTS.chosen] == "c"
    assert isinstance(whole[RUN.difference], Image.Image)
    (filled.folder / "c" / "accelerated.png").write_bytes(b"no picture")
    (filled.folder / "b" / "baseline.png").unlink()
    for key in "cb":
        drawn = tab.show(values(chosen=key))
        assert len(drawn[PARTS.sheet]["rows"]) == 3
        assert drawn[RUN.difference] is None
    assert tab.compare_against("c", "a")[1] is None
    assert tab.open(values(chosen="c"))[PARTS.status]["kind"] == "error"


def test_the_pin_button_does_what_its_label_says(tab: HistoryHandlers) -> None:
    for _ in range(2):  # the second click comes from a page that still shows the old label
        tab.pin_chosen(values(chosen="a", pin=PIN))
        assert (tab.history.entry("a") or pytest.fail("gone")).pinned
    tab.pin_in_compare("a", UNPIN)
    tab.pin_in_compare("a", UNPIN)
    assert not (tab.history.entry("a") or pytest.fail("gone")).pinned
    assert "Generate first" in str(tab.pin_in_compare("nobody", PIN)[1])


def test_an_unchanged_name_is_not_written(tab: HistoryHandlers) -> None:
    tab.history.rename("a", "Best of all")  # another page renames the run after this page was drawn
    assert list(tab.rename(values(chosen="a", name="", shown_name=""))) == [PARTS.shown_name]
    assert (tab.history.entry("a") or pytest.fail("gone")).name == "Best of all"
    answered = tab.rename(values(chosen="a", name="mine", shown_name=""))
    assert answered[PARTS.shown_name] == "mine"
    assert set(answered) == {
        PARTS.sheet,
        PARTS.status,
        PARTS.card,
        PARTS.shown_name,
    }  # the chosen run stays chosen


def test_no_run_is_opened_while_compare_is_running(
    tab: HistoryHandlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tab.worker, "busy_with", lambda key: key == "on its way")
    refused = tab.open(values(chosen="a") | {THERE.job: "on its way"})
    assert list(refused) == [PARTS.status]
    assert "wait until it ends, or stop it" in str(refused)


def test_a_run_of_an_unknown_model_is_refused_with_a_sentence(
    tab: HistoryHandlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = tab.worker.reopen("a")
    assert stored is not None
    strange = stored._replace(
        baseline=stored.baseline._replace(request=stored.baseline.request.replaced(model="somebody/model"))
    )
    monkeypatch.setattr(tab.worker, "reopen", lambda key: strange)
    assert "this page does not offer 'somebody/model'" in str(tab.open(values(chosen="a")))


def test_removing_needs_confirmation_and_reports_errors(
    tab: HistoryHandlers, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab.remove(values(chosen="a") | {PARTS.confirmed: False})
    tab.clear(values() | {PARTS.confirmed: False})
    assert len(tab.history.entries()) == 3

    def refuse(key: str) -> None:
        raise EngineError("history: it is in use.")

    with monkeypatch.context() as patch:
        patch.setattr(tab.history, "remove", refuse)
        assert "in use" in str(tab.remove(values(chosen="a") | {PARTS.confirmed: True})[PARTS.status])
    tab.clear(values() | {PARTS.confirmed: True})
    assert tab.history.entries() == []
