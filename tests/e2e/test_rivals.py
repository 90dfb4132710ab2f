"""Tests the other methods' knobs and presets in a real browser: chosen, moved, and followed by the timeline
from the survey without a run.
"""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, Request, expect

from app.presets import presets_for
from cache_engine import METHODS, format_recipe, method_from

from .conftest import Visit
from .test_what_if import digits, ready  # noqa: F401  a fixture

STEPS = 28


class Moves:
    """Moves fields and waits for every answer before the next move, because a late answer could look like the
    next one.
    """

    def __init__(self, page: Page) -> None:
        self.page, self.asked = page, set[Request]()
        page.on("request", lambda item: self.asked.add(item) if "/run/predict" in item.url else None)
        page.on("requestfinished", lambda item: self.asked.discard(item))

    def settle(self) -> None:
        calm = 0
        while calm < 3:  # an answer can trigger another request
            self.page.wait_for_timeout(100)
            calm = 0 if self.asked else calm + 1

    def choose(self, name: str) -> None:
        """Choose a method from the list; methods that are not offered at first are under "More methods"."""
        lists, option = (
            self.page.locator("#method input"),
            self.page.get_by_role("option", name=METHODS[name].title, exact=True),
        )
        lists.click()
        self.page.get_by_role("option").first.wait_for()
        if not option.count():
            self.page.get_by_role("option", name="More methods …", exact=True).click()
            self.settle()
            lists.click()
        option.click()
        self.settle()
        expect(lists).to_have_value(METHODS[name].title)

    def knob(self, method: str, name: str, value: float) -> None:
        box = self.page.locator(f"#knob-{method}-{name} input[type=number]")
        box.fill(str(value))
        box.blur()
        self.settle()

    def stands(self, described: dict[str, Any]) -> None:
        """Check that the recipe describes this setting and that no error is shown."""
        field = self.page.locator("#recipe-text input, #recipe-text textarea").first
        expect(field).to_have_value(format_recipe(method_from(described)))
        for place in ("#status", "#method-note"):
            expect(self.page.locator(f"{place} .cl-status")).not_to_have_attribute("data-kind", "error")


def every(interval: int, first: int) -> str:
    """Return the schedule of an interval method: the first steps, then one step in ``interval``."""
    return "1" * first + "".join(
        "1" if (step - first) % interval == interval - 1 else "0" for step in range(first, STEPS)
    )


def test_every_rivals_knob_moves_the_timeline(ready: Page) -> None:  # noqa: F811
    page, hand = ready, Moves(ready)
    for name, first in (("foca", 3), ("fora", 1), ("taylorseer", 3), ("toca", 3), ("kriging", 1)):
        hand.choose(name)
        for interval in (7, 4):
            hand.knob(name, "interval", interval)
            hand.stands({"name": name, "interval": interval})
            assert digits(page) == every(interval, first), name
    hand.choose("teacache")  # this method decides on the recorded changes
    computed = []
    for threshold in (0.1, 0.6, 2):
        hand.knob("teacache", "threshold", threshold)
        hand.stands({"name": "teacache", "threshold": threshold})
        computed.append(digits(page).count("1"))
    assert STEPS >= computed[0] > computed[1] > computed[2] >= 1
    expect(page.locator("#runs [data-index]")).to_have_count(1)  # no run was made


def test_every_preset_of_the_embedded_model_loads(visit: Visit) -> None:
    page, hand = visit.page, Moves(visit.page)
    for title, preset in presets_for("tiny").items():
        name = preset.method["name"]
        if page.locator("#method input").input_value() != METHODS[name].title:
            hand.choose(name)
        page.locator("#steps input").fill(str(preset.steps))
        page.locator("#steps input").blur()
        hand.settle()
        page.locator("#preset").get_by_text(title, exact=True).click()
        hand.settle()
        hand.stands(preset.method)
        for knob in METHODS[name].knobs():
            if knob.name in preset.method and knob.type in ("int", "float"):
                field = page.locator(f"#knob-{name}-{knob.name} input[type=number]")
                assert float(field.input_value()) == preset.method[knob.name], f"{title}: {knob.name}"
