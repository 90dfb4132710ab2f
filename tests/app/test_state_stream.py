"""Tests the stream that tells open pages when the engine's state or a job has changed."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import gradio as gr
from gradio.routes import App
from starlette.requests import Request
from starlette.testclient import TestClient

from app.engine.state_stream import ADDRESS, StateStream


async def never() -> dict[str, Any]:
    await asyncio.Event().wait()
    return {}


async def gone() -> dict[str, Any]:
    return {"type": "http.disconnect"}


def request(stopped: asyncio.Event, receive: Any = never) -> Request:
    return Request({"type": "http", "app": SimpleNamespace(stop_event=stopped)}, receive)


def test_a_page_hears_the_present_state_and_then_only_changes() -> None:
    looks = iter([{"jobs": "a"}, {"jobs": "a"}, {"jobs": "a"}, {"jobs": "b"}])
    last = {"jobs": "b"}

    async def messages() -> list[Any]:
        stopped = asyncio.Event()
        heard: list[Any] = []
        async for message in StateStream(lambda: next(looks, last))._messages(request(stopped)):
            heard.append(json.loads(message.removeprefix("data: ")))
            if heard[-1] == last:
                stopped.set()
        return heard

    assert asyncio.run(messages()) == [{"jobs": "a"}, {"jobs": "b"}]


def test_a_page_with_a_password_tells_its_state_after_the_login() -> None:
    with gr.Blocks() as page:
        gr.Markdown("A page.")
    route = StateStream(lambda: {"header": "idle"}).route
    page.auth = [("me", "secret")]  # as launch() stores it
    app = App.create_app(page, app_kwargs={"routes": [route]})
    app.stop_event = asyncio.Event()
    app.stop_event.set()  # otherwise the stream would not end
    visitor = TestClient(app)
    assert visitor.get(ADDRESS).status_code == 401
    guessed = {"cookie": f"access-token-{app.cookie_id}=guessed"}
    assert visitor.get(ADDRESS, headers=guessed).status_code == 401
    assert visitor.post("/login", data={"username": "me", "password": "wrong"}).status_code == 400
    assert visitor.get(ADDRESS).status_code == 401
    assert visitor.post("/login", data={"username": "me", "password": "secret"}).is_success
    assert visitor.get(ADDRESS).is_success


def test_the_stream_ends_with_the_server_and_with_the_page() -> None:
    async def count(stopped: bool, receive: Any) -> int:
        event = asyncio.Event()
        if stopped:
            event.set()
        return len([message async for message in StateStream(dict)._messages(request(event, receive))])

    assert asyncio.run(count(True, never)) == 0
    assert asyncio.run(count(False, gone)) == 0


def test_many_pages_share_one_look() -> None:
    looks: list[int] = []

    def look() -> dict[str, int]:
        looks.append(1)
        return {"looks": len(looks)}

    stream = StateStream(look)

    async def first() -> list[str]:
        event = asyncio.Event()
        return [await anext(stream._messages(request(event))) for _ in range(20)]

    assert len(set(asyncio.run(first()))) == 1
    assert len(looks) == 1
