"""Sends the engine's state to the open pages: once for a new page, then at every change.

A timer in the page would pass through gradio's event queue each time. With nothing running, that took 15 to
57 % of a core in the browser and 10 to 18 % in the server, from the engine whose runs are timed.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from ..serving import logged_in

ADDRESS = "/cachelens/state"  # app/components/base/state.js asks for it
LOOK = 0.5  # seconds between two looks at the state, however many pages are open
ALIVE = 15.0  # seconds after which a quiet stream sends a comment, so that a lost connection is noticed


class StateStream:
    """The stream of server-sent events behind ``route``. ``read`` returns the state as JSON values."""

    def __init__(self, read: Callable[[], Mapping[str, object]]) -> None:
        self._read = read
        self._reading = threading.Lock()
        self._latest, self._read_at = "", 0.0

    @property
    def route(self) -> Route:
        return Route(ADDRESS, self._answer)

    async def _answer(self, request: Request) -> Response:
        if not logged_in(request):
            return PlainTextResponse("Not authenticated.", 401)
        headers = {"Cache-Control": "no-cache", "X-Accel-Buffering": "no"}
        return StreamingResponse(self._messages(request), headers=headers, media_type="text/event-stream")

    async def _messages(self, request: Request) -> AsyncIterator[str]:
        ended: asyncio.Event = request.app.stop_event  # gradio sets it when the server stops
        sent, sent_at = "", time.monotonic()
        while not ended.is_set() and not await request.is_disconnected():
            state = await run_in_threadpool(self._current)
            if state != sent:
                yield f"data: {state}\n\n"
                sent, sent_at = state, time.monotonic()
            elif time.monotonic() - sent_at > ALIVE:
                yield ": alive\n\n"
                sent_at = time.monotonic()
            await _wait(ended, LOOK)

    def _current(self) -> str:
        """Return the state as a JSON text. All pages share one look."""
        with self._reading:
            if time.monotonic() - self._read_at >= LOOK / 2:
                self._latest = json.dumps(self._read(), ensure_ascii=False)
                self._read_at = time.monotonic()
            return self._latest


async def _wait(event: asyncio.Event, seconds: float) -> Any:
    try:
        return await asyncio.wait_for(event.wait(), seconds)
    except TimeoutError:
        return None
