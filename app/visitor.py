"""Tells the visitors of a shared page apart. Each browser gets a key in a cookie; History and the list of
jobs show a browser its own alone. A key cannot be guessed, and scripts in the page cannot read it.
"""

from __future__ import annotations

import re
import secrets
from hashlib import sha256

from gradio.context import LocalContext
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

COOKIE = "cachelens_visitor"
SECONDS = 365 * 24 * 3600
KEY = re.compile(r"[\w-]{20,64}", re.ASCII)


def visitor() -> str:
    """Return the owner whose event is being answered: a hash of the browser's key, since it is stored with
    runs that may be shared.

    A browser or program without a key is a new owner each time: it finds its jobs by their own keys only.
    """
    request = LocalContext.request.get(None)
    key = request.cookies.get(COOKIE, "") if request is not None else ""
    return sha256((key if KEY.fullmatch(key) else secrets.token_urlsafe(16)).encode()).hexdigest()[:24]


class VisitorKeys:
    """A layer of the server: gives a key to each browser that opens the page without one.

    framed: True if the page is shown inside a page of another site, as on a Space.
    """

    def __init__(self, app: ASGIApp, framed: bool) -> None:
        self.app = app
        site = "None; Secure; Partitioned" if framed else "Lax"
        self._ending = f"; Path=/; Max-Age={SECONDS}; HttpOnly; SameSite={site}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_key(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = f"{COOKIE}={secrets.token_urlsafe(16)}{self._ending}"
                MutableHeaders(scope=message).append("set-cookie", given)
            await send(message)

        new = scope["type"] == "http" and scope["path"] == "/" and COOKIE not in Request(scope).cookies
        await self.app(scope, receive, with_key if new else send)
