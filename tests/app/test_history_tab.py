"""What tab History answers where something went wrong, or somebody else was quicker: without a browser."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import pytest
from PIL import Image

from app.compare.parts import Parts
from app.engine.longjobs import LongJobs
from app.engine.worker import Worker
from app.history.layout import PIN, UNPIN, HistoryParts, Tab
from app.history.store import HistoryStore
from cache_engine import EngineError
from tests.app.past import Filled

MADE = HistoryParts(**{field.name: f"history {field.name}" for field in fields(HistoryParts)})
THERE = Parts(
    **{
        field.name: f"compare {field.name}"
        for field in fields(Parts)
        if field.name not in ("chips", "groups", "knobs")
    }
)


@pytest.fixture
def tab(filled: Filled) -> Tab:
    worker = Worker(
        lambda *_, **__: pytest.fail("compared"), None, LongJobs(None), HistoryStore(filled.folder)
    )
    return Tab(MADE, THERE, worker, None, lambda event: None)  # type: ignore[arg-type]


def values(**given: Any) -> dict[Any, Any]:
    found = {
        MADE.words: "",
        MADE.which: "all",
        MADE.chosen: "",
        THERE.shown: "",
        THERE.job: "",
        THERE.done: [],
        THERE.model: "tiny",
        THERE.gain: 8,
    }
    return found | {getattr(MADE, name): value for name, value in given.items()}


def test_the_newest_is_shown_and_a_picture_that_is_damaged_or_gone_hinders_nothing(
    tab: Tab, filled: Filled
) -> None:
    whole = tab.drawn(values())
    assert whole[MADE.chosen] == "c"
    assert isinstance(whole[MADE.heat], Image.Image)
    (filled.folder / "c" / "accelerated.png").write_bytes(b"no picture")
    (filled.folder / "b" / "baseline.png").unlink()
    for key in "cb":
        drawn = tab.drawn(values(chosen=key))
        assert len(drawn[MADE.sheet]["rows"]) == 3
        assert drawn[MADE.heat] is None
    assert tab.held("c", "a")[1] is None
    assert tab.opened(values(chosen="c"))[MADE.status]["kind"] == "error"


def test_the_button_does_what_stands_on_it(tab: Tab) -> None:
    for _ in range(2):  # the second time from a page that was drawn before the first
        tab.pinned(values(chosen="a", pin=PIN))
        assert (tab.history.entry("a") or pytest.fail("gone")).pinned
    tab.pin_shown("a", UNPIN)
    tab.pin_shown("a", UNPIN)
    assert not (tab.history.entry("a") or pytest.fail("gone")).pinned
    assert "Generate first" in str(tab.pin_shown("nobody", PIN)[1])


def test_a_name_that_was_not_touched_is_not_written(tab: Tab) -> None:
    tab.history.note("a", name="Best of all")  # by another page, after this one was drawn
    assert list(tab.named(values(chosen="a", name="", named=""))) == [MADE.named]
    assert (tab.history.entry("a") or pytest.fail("gone")).name == "Best of all"
    answered = tab.named(values(chosen="a", name="mine", named=""))
    assert answered[MADE.named] == "mine"
    assert set(answered) == {
        MADE.sheet,
        MADE.status,
        MADE.card,
        MADE.named,
    }  # what is chosen meanwhile stays so


def test_a_run_is_not_opened_over_one_that_is_on_its_way(tab: Tab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tab.worker, "busy_with", lambda key: key == "on its way")
    refused = tab.opened(values(chosen="a") | {THERE.job: "on its way"})
    assert list(refused) == [MADE.status]
    assert "wait for it, or stop it" in str(refused)


def test_a_run_of_a_model_that_is_not_offered_is_refused_in_a_sentence(
    tab: Tab, monkeypatch: pytest.MonkeyPatch
) -> None:
    one = tab.worker.reopen("a")
    assert one is not None
    strange = one._replace(
        baseline=one.baseline._replace(request=one.baseline.request.replaced(model="somebody/model"))
    )
    monkeypatch.setattr(tab.worker, "reopen", lambda key: strange)
    assert "'somebody/model' is not offered here" in str(tab.opened(values(chosen="a")))


def test_what_cannot_be_removed_is_told_and_nothing_is_removed_unasked(
    tab: Tab, monkeypatch: pytest.MonkeyPatch
) -> None:
    tab.removed(values(chosen="a") | {tab.sure: False})
    tab.cleared(values() | {tab.sure: False})
    assert len(tab.history.entries()) == 3

    def refuse(key: str) -> None:
        raise EngineError("history: it is in use.")

    with monkeypatch.context() as patch:
        patch.setattr(tab.history, "remove", refuse)
        assert "in use" in str(tab.removed(values(chosen="a") | {tab.sure: True})[MADE.status])
    tab.cleared(values() | {tab.sure: True})
    assert tab.history.entries() == []
