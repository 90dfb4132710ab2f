"""Tests the addresses of stored pictures: they open these alone, and tell no folder of this machine."""

from __future__ import annotations

from pathlib import Path

import gradio as gr
import pytest
from gradio.routes import App
from PIL import Image
from starlette.testclient import TestClient

from app.pictures import ADDRESS, ROUTE, picture_url, with_urls


@pytest.fixture
def page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TestClient:
    monkeypatch.setenv("CACHELENS_DIR", str(tmp_path / "kept"))
    for place in ("kept/history/a b", "kept/jobs/k/images", "kept/presets", "elsewhere"):
        (tmp_path / place).mkdir(parents=True)
        Image.new("RGB", (4, 4)).save(tmp_path / place / "one.png")
        (tmp_path / place / "note.json").write_text("{}", encoding="utf-8")
    with gr.Blocks() as blocks:
        gr.Markdown("A page.")
    return TestClient(App.create_app(blocks, app_kwargs={"routes": [ROUTE]}))


@pytest.mark.parametrize("place", ["history/a b/one.png", "jobs/k/images/one.png"])
def test_an_address_opens_its_picture(page: TestClient, tmp_path: Path, place: str) -> None:
    address = picture_url(tmp_path / "kept" / place)
    assert address == f"{ADDRESS}/{place.replace(' ', '%20')}"
    answer = page.get(address)
    assert answer.content == (tmp_path / "kept" / place).read_bytes()
    assert answer.headers["content-type"] == "image/png"


@pytest.mark.parametrize(
    "place",
    [
        "history/a b/note.json",
        "history/a b/two.png",
        "history/a b",
        "presets/one.png",
        "../elsewhere/one.png",
        "history/..%2f..%2felsewhere/one.png",
        "history/%2e%2e/%2e%2e/elsewhere/one.png",
        "%2fetc%2fpasswd",
        "",
    ],
)
def test_nothing_else_is_served(page: TestClient, place: str) -> None:
    assert page.get(f"{ADDRESS}/{place}").status_code == 404


def test_a_link_out_of_the_folder_is_not_followed(page: TestClient, tmp_path: Path) -> None:
    (tmp_path / "kept" / "history" / "link.png").symlink_to(tmp_path / "elsewhere" / "one.png")
    assert page.get(f"{ADDRESS}/history/link.png").status_code == 404


def test_a_password_guards_the_pictures(page: TestClient) -> None:
    page.app.auth = {"me": "secret"}  # pyright: ignore[reportFunctionMemberAccess]
    assert page.get(f"{ADDRESS}/history/a b/one.png").status_code == 401


def test_an_answer_names_pictures_by_their_addresses(page: TestClient, tmp_path: Path) -> None:
    inside, outside = tmp_path / "kept" / "jobs" / "k" / "images" / "one.png", tmp_path / "two.png"
    told = with_urls({"best": [{"picture": str(inside), "other": str(outside)}], "name": "one.png", "n": 1})
    assert told == {
        "best": [{"picture": f"{ADDRESS}/jobs/k/images/one.png", "other": f"{ADDRESS}/two.png"}],
        "name": "one.png",
        "n": 1,
    }
