"""Tests generated bad input: endpoints, raw HTTP, links and command lines. Each ends in an
answer or in one sentence without a path or a trace, in bounded memory, and the next valid request works.
"""

from __future__ import annotations

import base64
import contextlib
import io
import json
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app import share
from cache_engine import EngineError
from cache_engine.__main__ import main
from tests.hardening.conftest import EXAMPLE, LEAK, Grown, Served, Tell, is_sentence, often

pytestmark = pytest.mark.hardening

TEXT = st.text(max_size=30) | st.sampled_from(
    ["", "\x00", "../../etc/passwd", "<script>alert(1)</script>", "\ud800", "9" * 5000, "{}" * 99, "NaN"]
)
PLAIN = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
JSON = st.recursive(
    PLAIN, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4), max_leaves=8
)
JOB = {
    "request": {
        "model": "tiny",
        "prompt": "a fox",
        "seed": 1,
        "steps": 2,
        "true_cfg_scale": 1,
        "loras": [],
        "image": None,
    },
    "method": {"name": "dbcache", "residual_diff_threshold": 0.2, "max_warmup_steps": 1},
}
TUNE = {
    "request": {"steps": 2},
    "prompts": ["a fox"],
    "goal": {"kind": "close", "value": 25.0},
    "most": 1,
    "vary": {"dbcache": {"residual_diff_threshold": "0.3, 1"}},
}
ASKED: dict[str, Any] = {
    "compare": JOB,
    "tune": {**TUNE, "goal": None},
    "simulate": {"job": "x", "method": JOB["method"]},
    "cancel": "x",
}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the path of every value inside a JSON value."""
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(place for key, part in inner for place in places(part, (*path, key)))]


@st.composite
def changed(draw: Callable[..., Any], valid: Any) -> Any:
    """Draw a JSON value: any, or a valid one with one part replaced, removed or added."""
    if draw(st.integers(0, 4)) == 0:
        return draw(JSON)
    path = draw(st.sampled_from(places(valid)))
    if not path:
        return draw(JSON)
    result = deepcopy(valid)
    place = result
    for key in path[:-1]:
        place = place[key]
    kind = draw(st.integers(0, 2))
    if kind == 0 and isinstance(place, dict):
        del place[path[-1]]
    elif kind == 1 and isinstance(place, dict):
        place[draw(TEXT)] = draw(JSON)
    else:
        place[path[-1]] = draw(JSON)
    return result


def many(count: int) -> Callable[[Any], Any]:
    return settings(
        max_examples=count,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
    )


@pytest.fixture
def http(served: Served) -> Any:
    with httpx.Client(base_url=served.address, timeout=60) as client:
        yield client


def answer(http: httpx.Client, name: str, asked: Any) -> str:
    """Ask an endpoint as any program can, and return all that it answers."""
    body = json.dumps({"data": [asked]}).encode("utf-8", "replace")
    begun = http.post(f"gradio_api/call/{name}", content=body, headers={"content-type": "application/json"})
    assert begun.status_code < 500, begun.text
    if begun.status_code != 200:
        return begun.text
    heard = http.get(f"gradio_api/call/{name}/{begun.json()['event_id']}")
    assert heard.status_code < 500, heard.text
    return heard.text


def works(http: httpx.Client) -> bool:
    return '"event": "comparison"' in answer(http, "compare", JOB).replace(
        '"event":"comparison"', '"event": "comparison"'
    )


@pytest.mark.parametrize("name", ASKED)
def test_the_endpoints(name: str, http: httpx.Client, tell: Tell) -> None:
    assert works(http)
    grown, tried, refused = Grown(), 0, 0

    @many(often(30, 400))
    @given(changed(ASKED[name]))
    def attack(asked: Any) -> None:
        nonlocal tried, refused
        told = answer(http, name, asked)
        assert not LEAK.search(told), told
        tried += 1
        refused += "event: error" in told

    attack()
    assert refused > tried / 4 or name == "cancel"  # which answers false
    assert works(http)
    tell(
        f"generated questions to /{name}",
        f"{tried}: {refused} refused in a sentence, no 500, no trace, no path; "
        f"{grown.megabytes()} MB more memory; the next comparison works",
    )


def test_raw_requests(http: httpx.Client, tell: Tell) -> None:
    assert works(http)
    grown, tried = Grown(), 0
    paths = st.sampled_from(
        [
            "",
            "config",
            "gradio_api/info",
            "gradio_api/queue/join",
            "gradio_api/queue/data",
            "gradio_api/upload",
            "gradio_api/run/predict",
            "gradio_api/call/compare",
            "gradio_api/file=/etc/passwd",
            "gradio_api/file=../../app.py",
            "gradio_api/component_server",
            "gradio_api/reset",
            "gradio_api/heartbeat/x",
            "cachelens/state/",
            "login",
            "%00",
            "..%2f..%2fetc/passwd",
            "static/../../app.py",
        ]
    )

    @many(often(40, 800))
    @given(
        st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS"]),
        paths,
        st.sampled_from(
            ["application/json", "multipart/form-data; boundary=x", "multipart/form-data", "text/plain", ""]
        ),
        st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode("utf-8", "replace")),
    )
    def attack(method: str, path: str, kind: str, body: bytes) -> None:
        nonlocal tried
        tried += 1
        with http.stream(method, path, content=body, headers={"content-type": kind}) as heard:
            first = (
                next(heard.iter_bytes(20_000), b"")
                if "event-stream" not in heard.headers.get("content-type", "")
                else b""
            )
        assert b"root:x:0" not in first
        assert b"Traceback" not in first
        failed.update([(method, path)] if heard.status_code >= 500 else [])

    failed: set[tuple[str, str]] = set()
    attack()
    assert works(http)
    assert not failed
    tell(
        "raw HTTP requests",
        f"{tried}: no 500, no trace, no file of the machine; "
        f"{grown.megabytes()} MB more memory; the next comparison works",
    )


def test_links(tell: Tell) -> None:
    tried = refused = 0
    valid = share.from_text((EXAMPLE / "result.json").read_text(encoding="utf-8"), "file")
    query = {"request": valid.request.model_dump(mode="json"), "method": valid.method.to_dict()}

    @many(often(100, 1000))
    @given(st.text(max_size=60) | changed(query).map(packed))
    def attack(link: str) -> None:
        nonlocal tried, refused
        tried += 1
        try:
            share.from_query(link)
        except EngineError as error:
            refused += 1
            is_sentence(str(error))

    attack()
    assert refused > tried / 4
    tell("generated links", f"{tried}: {refused} refused in one sentence, the others read")


def packed(value: Any) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode("utf-8", "replace")).decode()


def test_command_lines(tell: Tell, tmp_path: Path) -> None:
    tried = refused = 0
    words = st.sampled_from(
        [
            "compare",
            "flops",
            "simulate",
            "check",
            "models",
            "methods",
            "--model",
            "tiny",
            "--prompt",
            "--steps",
            "2",
            "--size",
            "10",
            "--recipe",
            "F1B0",
            "--method",
            "dbcache",
            "--set",
            "Fn_compute_blocks=x",
            "--json",
            "--seed",
            "-1",
            "--survey",
            "none.npz",
        ]
    ) | st.text(max_size=12)

    @many(often(60, 600))
    @given(st.lists(words, min_size=1, max_size=8))
    def attack(line: list[str]) -> None:
        nonlocal tried, refused
        if line[0] == "compare" and "--prompt" in line:
            line = [word for word in line if word != "--prompt"]  # nothing is drawn here
        tried += 1
        errors = io.StringIO()
        with contextlib.redirect_stderr(errors), contextlib.redirect_stdout(io.StringIO()):
            try:
                code = main(line)
            except SystemExit as ended:
                code = int(ended.code or 0)
        assert code in (0, 1, 2)
        refused += code == 2
        assert "Traceback" not in errors.getvalue()
        assert code != 2 or len(errors.getvalue().strip().splitlines()) == 1 or "usage:" in errors.getvalue()

    attack()
    assert refused > tried / 4
    tell("generated command lines", f"{tried}: {refused} refused in one line, no trace")
