"""Where the page is served and who may use it. The environment says it: HOST, PORT, CACHELENS_AUTH (who),
CACHELENS_HOSTS (names of this machine other than localhost) and CACHELENS_BOARD (who sees whose runs).

On this machine alone (the default), the page answers only requests that were sent to a name of this machine.
Changes are taken only from its own pages. Otherwise a web site could point its own name at 127.0.0.1, or send
a form there, and the visitor's browser would let the site read and delete what the page stores.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cache_engine import EngineError

LOOPBACK = ("127.0.0.1", "localhost", "[::1]")
READING = ("GET", "HEAD", "OPTIONS")
MOST_BYTES = 1_000_000  # bytes of a request other than an upload; the largest task takes a tenth of these


class Access(NamedTuple):
    """The requests that are answered.

    names: the names that a request may be addressed to; None for all names.
    own_pages: whether changes must come from the page's own address. False on a Space, which shows the page
    inside a page of the hub.
    apart: whether each browser sees its own jobs and runs alone.
    """

    names: tuple[str, ...] | None = LOOPBACK
    own_pages: bool = True
    apart: bool = False


class Serving(NamedTuple):
    """host, port: the address. auth: user and password, or None.

    access: what ``Guard`` refuses.
    """

    host: str
    port: int
    auth: tuple[str, str] | None
    access: Access


def serving(environment: Mapping[str, str] = os.environ) -> Serving:
    """Read the environment. Raises EngineError for a value that is not valid, and for a page that everybody
    could use although nobody decided so.
    """
    host = environment.get("HOST") or environment.get("GRADIO_SERVER_NAME") or LOOPBACK[0]
    text = environment.get("PORT") or "7860"
    if not (text.isascii() and text.isdecimal() and 0 < int(text[:6]) < 65536):
        raise EngineError(f"PORT: {text[:20]!r} is not valid; choose a number from 1 to 65535.")
    listed = tuple(filter(None, (name.strip() for name in environment.get("CACHELENS_HOSTS", "").split(","))))
    space = "SPACE_ID" in environment
    local = host in (*LOOPBACK, "::1") and not space
    access = Access(
        (*LOOPBACK, *listed) if local or (listed and not space) else None,
        own_pages=not space,
        apart=not local and environment.get("CACHELENS_BOARD", "") != "shared",
    )
    return Serving(host, int(text), _auth(environment, local), access)


def _auth(environment: Mapping[str, str], local: bool) -> tuple[str, str] | None:
    given = environment.get("CACHELENS_AUTH", "")
    user, sign, password = given.partition(":")
    if sign and user and password:
        return user, password
    if given not in ("", "none"):
        raise EngineError("CACHELENS_AUTH: not valid; write user:password, or none.")
    if not given and not local and "SPACE_ID" not in environment:
        raise EngineError(
            "HOST: other machines could use this page, its GPU and its history; set "
            "CACHELENS_AUTH=user:password, or CACHELENS_AUTH=none to let everybody in."
        )
    return None


class Guard:
    """The outermost layer of the server: refuses requests before anything reads them.

    access: see ``Access``.
    """

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self.app, self.access = app, access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        headers, (names, own_pages, _) = Headers(scope=scope), self.access
        uploads = scope["path"].rstrip("/").endswith("/upload")  # gradio limits their size itself
        length = headers.get("content-length", "0")
        if not uploads and (not length.isdecimal() or int(length[:12]) > MOST_BYTES):
            refused = f"the request is larger than {MOST_BYTES:,} bytes", 413
        elif names is not None and _name(headers.get("host", "")) not in names:
            refused = "this page answers on this machine only; CACHELENS_HOSTS lists other names of it", 403
        elif own_pages and scope["method"] not in READING and _foreign(headers):
            refused = "another site's page sent this request", 403
        else:
            await self.app(scope, receive if uploads else _limited(receive), send)
            return
        await PlainTextResponse(f"{refused[0]}.", refused[1])(scope, receive, send)


def logged_in(request: Request) -> bool:
    """Return whether the visitor may use the page. gradio asks this only for its own routes."""
    app, cookies = request.app, request.cookies
    names = (f"access-token-{app.cookie_id}", f"access-token-unsecure-{app.cookie_id}")
    return app.auth is None or any(app.tokens.get(cookies.get(name)) for name in names)


def _name(host: str) -> str:
    return host if host.endswith("]") else host.rsplit(":", 1)[0]


def _foreign(headers: Headers) -> bool:
    """Return whether a page of another address sent the request. Programs send no origin."""
    origin = headers.get("origin")
    return origin is not None and urlsplit(origin).netloc != headers.get("host")


def _limited(receive: Receive) -> Receive:
    """End a body that announces no length, or a wrong one, once it is too large."""
    read = 0

    async def limited() -> Message:
        nonlocal read
        message = await receive()
        read += len(message.get("body", b""))
        return {"type": "http.disconnect"} if read > MOST_BYTES else message

    return limited
