"""Tests a LoRA and its weight in the form of the real page, and the cost of a click."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import expect

from app.engine import zerogpu
from app.page import build_page
from tests.app import spaces
from tests.e2e.conftest import Visit
from tests.engine.test_loras import write

RUN = 240_000  # milliseconds


def test_a_lora_is_uploaded_weighed_and_refused_if_it_is_none(visit: Visit, tmp_path: Path) -> None:
    page = visit.page

    def upload(path: Path) -> None:
        page.locator("#lora input[type=file]").set_input_files(str(path))
        expect(page.locator("#lora")).to_contain_text(path.stem)

    def generate(text: str) -> None:
        page.locator("button#generate").click()
        expect(page.locator("#status")).to_contain_text(text, timeout=RUN)

    expect(page.locator("#lora")).to_be_hidden()
    expect(page.locator("#picture")).to_be_hidden()
    page.locator("#files button").first.click()
    expect(page.locator("#picture")).to_be_hidden()  # the embedded model takes no input picture
    steps = page.locator("#steps input")
    steps.fill("4")
    steps.blur()
    upload(write(tmp_path, 9))
    page.locator("#weight input").fill("9")
    generate("weight: 9 is not valid; choose a number from -4 to 4.")
    page.locator("#weight input").fill("0.5")
    generate("is kept. With the same prompt and seed")
    generate("was reused; only the accelerated side ran")
    page.locator("#weight input").fill("0.75")
    generate("is kept. With the same prompt and seed")  # this run has a baseline of its own
    page.locator("#lora button[aria-label*=Clear], #lora button[aria-label*=Remove]").first.click()
    none = tmp_path / "none.safetensors"
    none.write_bytes(b"not a LoRA")
    upload(none)
    generate("none.safetensors is not a LoRA, or is damaged")


def test_the_cost_is_said_before_the_click_on_zerogpu_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    def has_cost() -> bool:
        page: Any = build_page()
        return any(getattr(block, "elem_id", None) == "cost" for block in page.blocks.values())

    assert not has_cost()
    monkeypatch.setenv("SPACES_ZERO_GPU", "1")
    monkeypatch.setitem(sys.modules, "spaces", spaces)
    assert zerogpu.on_zerogpu()
    assert has_cost()
