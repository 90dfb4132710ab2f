"""The addresses of the pictures of History and long jobs. They name keys and not this machine's folders."""

from __future__ import annotations

from pathlib import Path
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import FileResponse, PlainTextResponse, Response
from starlette.routing import Route

from .engine.store import user_folder
from .serving import logged_in

ADDRESS = "cachelens/picture"
FOLDERS = ("history", "jobs")  # inside the user's folder


def picture_url(path: str | Path) -> str:
    """Return the address of a stored picture, relative to the page's. A picture elsewhere is not served."""
    whole, inside = Path(path).resolve(), user_folder().resolve()
    place = whole.relative_to(inside).as_posix() if whole.is_relative_to(inside) else whole.name
    return f"{ADDRESS}/{quote(place)}"


def with_urls(value: Any) -> Any:
    """Return a JSON value in which the paths of pictures are their addresses."""
    if isinstance(value, dict):
        return {name: with_urls(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [with_urls(part) for part in value]
    is_path = isinstance(value, str) and value.endswith(".png") and Path(value).is_absolute()
    return picture_url(value) if is_path else value


def _answer(request: Request) -> Response:
    folder = user_folder().resolve()
    path = (folder / request.path_params["place"]).resolve()
    known = any(path.is_relative_to(folder / name) for name in FOLDERS)
    if not logged_in(request):
        return PlainTextResponse("Not authenticated.", 401)
    if not known or path.suffix != ".png" or not path.is_file():
        return PlainTextResponse("There is no such picture.", 404)
    return FileResponse(path, headers={"Cache-Control": "private, max-age=86400"})


ROUTE = Route(f"/{ADDRESS}/{{place:path}}", _answer)
