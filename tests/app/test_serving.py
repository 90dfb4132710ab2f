"""Tests who may use the page: its address from the environment, and which requests are refused."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route
from starlette.testclient import TestClient

from app.serving import LOOPBACK, MOST_BYTES, Access, Guard, serving
from cache_engine import EngineError

HERE, NAMED = Access(LOOPBACK), Access((*LOOPBACK, "lens.local"))
OPEN, SPACE = Access(None, apart=True), Access(None, own_pages=False, apart=True)


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, ("127.0.0.1", 7860, None, HERE)),
        ({"HOST": "", "PORT": ""}, ("127.0.0.1", 7860, None, HERE)),
        ({"HOST": "localhost", "PORT": "8080"}, ("localhost", 8080, None, HERE)),
        ({"CACHELENS_HOSTS": "lens.local, "}, ("127.0.0.1", 7860, None, NAMED)),
        ({"HOST": "0.0.0.0", "CACHELENS_AUTH": "none"}, ("0.0.0.0", 7860, None, OPEN)),
        ({"HOST": "0.0.0.0", "CACHELENS_AUTH": "me:a:b"}, ("0.0.0.0", 7860, ("me", "a:b"), OPEN)),
        (
            {"HOST": "0.0.0.0", "CACHELENS_AUTH": "none", "CACHELENS_HOSTS": "lens.local"},
            ("0.0.0.0", 7860, None, NAMED._replace(apart=True)),
        ),
        (
            {"HOST": "0.0.0.0", "CACHELENS_AUTH": "none", "CACHELENS_BOARD": "shared"},
            ("0.0.0.0", 7860, None, Access(None)),
        ),
        ({"GRADIO_SERVER_NAME": "0.0.0.0", "SPACE_ID": "me/lens"}, ("0.0.0.0", 7860, None, SPACE)),
        ({"SPACE_ID": "me/lens", "CACHELENS_HOSTS": "x"}, ("127.0.0.1", 7860, None, SPACE)),
    ],
)
def test_the_environment_says_where_and_who(environment: dict[str, str], wanted: tuple[object, ...]) -> None:
    assert serving(environment) == wanted


@pytest.mark.parametrize(
    ("environment", "sentence"),
    [
        ({"PORT": "abc"}, "^PORT: 'abc' is not valid; choose a number from 1 to 65535.$"),
        ({"PORT": "0"}, "^PORT: "),
        ({"PORT": "9" * 5_000}, "^PORT: '99999999999999999999' is not valid"),
        ({"PORT": "²"}, "^PORT: "),
        ({"HOST": "0.0.0.0"}, "^HOST: other machines could use this page"),
        ({"HOST": "::"}, "^HOST: "),
        (
            {"HOST": "0.0.0.0", "CACHELENS_AUTH": "me"},
            "^CACHELENS_AUTH: not valid; write user:password, or none",
        ),
        ({"CACHELENS_AUTH": ":secret"}, "^CACHELENS_AUTH: "),
    ],
)
def test_what_is_not_valid_is_one_sentence(environment: dict[str, str], sentence: str) -> None:
    with pytest.raises(EngineError, match=sentence) as raised:
        serving(environment)
    assert "secret" not in str(raised.value)


def client(access: Access) -> TestClient:
    async def answer(request: Request) -> PlainTextResponse:
        return PlainTextResponse(str(len(await request.body())))

    routes = [Route(path, answer, methods=["GET", "POST"]) for path in ("/", "/upload")]
    return TestClient(Guard(Starlette(routes=routes), access), base_url="http://127.0.0.1:7860")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 200),
        ({"host": "localhost:7860"}, 200),
        ({"host": "[::1]:7860"}, 200),
        ({"host": "[::1]"}, 200),
        ({"host": "rebound.example:7860"}, 403),
        ({"host": "127.0.0.1.example"}, 403),
        ({"host": ""}, 403),
        ({"origin": "http://127.0.0.1:7860"}, 200),
        ({"origin": "http://127.0.0.1:8000"}, 403),
        ({"origin": "https://elsewhere.example"}, 403),
        ({"origin": "null"}, 403),
    ],
)
def test_a_page_of_this_machine_answers_its_own_pages_alone(headers: dict[str, str], code: int) -> None:
    for path in ("/", "/upload"):
        assert client(HERE).post(path, headers=headers).status_code == code
    reading = 200 if "origin" in headers else code  # the browser shows another site no answer
    assert client(HERE).get("/", headers=headers).status_code == reading
    assert client(OPEN).post("/", headers=headers).status_code == (code if "origin" in headers else 200)
    assert client(SPACE).post("/", headers=headers).status_code == 200
    assert client(NAMED).get("/", headers={"host": "lens.local"}).is_success


def pieces(count: int) -> Iterator[bytes]:
    """A body without an announced length."""
    for _ in range(count):
        yield b"x" * 100_000


def test_a_large_body_is_refused_unless_it_is_an_upload() -> None:
    page = client(HERE)
    assert page.post("/", content=b"x" * MOST_BYTES).text == str(MOST_BYTES)
    assert page.post("/", content=b"x" * (MOST_BYTES + 1)).status_code == 413
    assert page.post("/", headers={"content-length": "many"}).status_code == 413
    assert page.post("/upload", content=b"x" * (MOST_BYTES + 1)).status_code == 200
    assert page.post("/", content=pieces(9)).text == "900000"
    with pytest.raises(Exception, match=r"disconnect|Disconnect|^$"):
        page.post("/", content=pieces(12))
