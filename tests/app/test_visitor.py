"""Tests that a shared page keeps its visitors apart: their keys, their jobs and their runs."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.engine.longjobs import LongJobs
from app.engine.store import JobStore
from app.history.store import HistoryStore
from app.visitor import COOKIE, KEY, VisitorKeys, visitor
from tests.app.drawing import TASK, Drawing, steps
from tests.app.past import made


class Someone:
    """The owner of the next call."""

    def __init__(self) -> None:
        self.name = "me"

    def __call__(self) -> str:
        return self.name


@pytest.fixture
def someone() -> Someone:
    return Someone()


def test_a_browser_gets_one_key_and_keeps_it() -> None:
    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse(request.cookies.get(COOKIE, ""))

    routes = [Route("/", answer), Route("/other", answer)]
    page = TestClient(VisitorKeys(Starlette(routes=routes), framed=False))
    assert "set-cookie" not in page.get("/other").headers
    given = page.get("/").headers["set-cookie"]
    assert "HttpOnly; SameSite=Lax" in given
    key = page.get("/").text
    assert KEY.fullmatch(key)
    assert page.get("/").text == key
    assert "set-cookie" not in page.get("/").headers


def test_inside_another_sites_page_the_key_is_that_pages() -> None:
    page = TestClient(VisitorKeys(Starlette(), framed=True))
    assert "SameSite=None; Secure; Partitioned" in page.get("/").headers["set-cookie"]


def test_without_a_key_everybody_is_new() -> None:
    assert visitor() != visitor()


def test_a_visitor_lists_own_jobs_and_a_key_opens_any(tmp_path: Path, someone: Someone) -> None:
    jobs = LongJobs(JobStore(tmp_path), {"tune": Drawing()}, someone)
    mine = jobs.add("tune", "Tune", TASK)
    before = jobs.changes
    someone.name = "another"
    theirs = jobs.add("tune", "Tune", TASK)
    assert [job.key for job in jobs.jobs()] == [theirs]
    assert jobs.changes != before
    assert mine not in jobs.changes
    steps(jobs)
    assert jobs.job(mine).state == "done"
    assert jobs.snapshot(mine)
    someone.name = "me"
    assert [job.key for job in jobs.jobs()] == [mine]


def test_the_owner_of_a_job_outlives_the_server_and_older_tables_have_none(
    tmp_path: Path, someone: Someone
) -> None:
    store = JobStore(tmp_path)
    key = LongJobs(store, {"tune": Drawing()}, someone).add("tune", "Tune", TASK)
    assert store._lock_file is not None
    store._lock_file.close()  # as the end of its process does
    again = JobStore(tmp_path)
    assert [job.owner for job in again.jobs()] == ["me"]
    assert again._lock_file is not None
    again._lock_file.close()
    with closing(sqlite3.connect(tmp_path / "jobs.sqlite")) as table, table:
        table.execute("ALTER TABLE jobs DROP COLUMN owner")
    assert [(job.key, job.owner) for job in JobStore(tmp_path).jobs()] == [(key, "")]


def test_a_visitor_lists_and_clears_own_runs(tmp_path: Path, someone: Someone) -> None:
    history = HistoryStore(tmp_path, someone)
    history.add("mine", made(1.0))
    someone.name = "another"
    history.add("theirs", made(2.0))
    history.pin("theirs", True)
    history.add("also", made(3.0))
    history.rename("mine", "a name")  # by its key
    assert [entry.key for entry in history.entries()] == ["also", "theirs"]
    history.clear()
    assert [entry.key for entry in HistoryStore(tmp_path, someone).entries()] == ["theirs"]
    someone.name = "me"
    (entry,) = HistoryStore(tmp_path, someone).entries()
    assert (entry.key, entry.name) == ("mine", "a name")


def test_one_visitors_runs_do_not_replace_anothers(
    tmp_path: Path, someone: Someone, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.history.store.MOST", 2)
    monkeypatch.setattr("app.history.store.MOST_OF_ALL", 4)
    history = HistoryStore(tmp_path, someone)
    history.add("mine", made(1.0))
    someone.name = "another"
    for place in range(4):
        history.add(f"theirs{place}", made(2.0 + place))
    assert [entry.key for entry in history.entries()] == ["theirs3", "theirs2"]
    assert history.entry("mine")
    someone.name = "third"
    for place in range(2):
        history.add(f"third{place}", made(9.0 + place))
    assert history.entry("mine") is None  # the oldest of all: the disk is bounded
    assert history.entry("theirs2")
