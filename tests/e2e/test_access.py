"""Tests the page for people who do not see or point as most people do: axe on every tab, and the flip by
keyboard and by pointer.
"""

from __future__ import annotations

from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from .conftest import Visit
from .test_compare_tab import generate

LEVELS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa"]
# The dark page is the same page in other colours.
SCHEMES = {"light": {"type": "tag", "values": LEVELS}, "dark": {"type": "rule", "values": ["color-contrast"]}}
DESKTOP, PHONE = {"width": 1440, "height": 1000}, {"width": 390, "height": 844}


def violations(page: Page, **only: Any) -> list[str]:
    findings = (
        Axe().run(page, options={"runOnly": only, "resultTypes": ["violations"]}).response["violations"]
    )
    return [f"{violation['id']}: {node['target']}" for violation in findings for node in violation["nodes"]]


@pytest.mark.parametrize(
    "visit", [{"viewport": DESKTOP}, {"viewport": PHONE}], indirect=True, ids=["desktop", "phone"]
)
def test_no_tab_has_a_violation(visit: Visit) -> None:
    """WCAG 2.2 A and AA, light and dark. On a phone, a step's column may be narrower than 24 px: scrubbing
    and the 44 px buttons replace it.
    """
    page = visit.page
    generate(page)
    page.locator("#take").click()
    expect(page.locator("#code textarea")).to_be_visible()
    collected: list[str] = []
    for scheme, rules in SCHEMES.items():
        for tab in ("Compare", "Tune", "History", "Published", "About"):
            page.get_by_role("tab", name=tab).click()
            expect(page.get_by_role("tab", name=tab)).to_have_attribute("aria-selected", "true")
            collected += [f"{scheme}, {tab}: {violation}" for violation in violations(page, **rules)]
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), tab
        page.get_by_role("button", name="Dark theme").click()
        expect(page.locator("body.dark")).to_have_count(1 if scheme == "light" else 0)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard")).to_be_visible()
    collected += [f"keyboard: {violation}" for violation in violations(page, **SCHEMES["light"])]
    assert collected == []


def test_the_pictures_flip_in_place(visit: Visit) -> None:
    page, viewer, over = visit.page, visit.page.locator(".cl-viewer"), visit.page.locator("#pair img.fixed")
    generate(page)
    page.evaluate("document.activeElement.blur()")
    page.keyboard.down("Space")
    expect(over).to_have_css("visibility", "hidden")  # only the baseline is visible
    assert page.evaluate("scrollY") == 0
    page.keyboard.up("Space")
    expect(over).to_have_css("visibility", "visible")
    page.locator("#view label", has_text="Flip").click()
    expect(over).to_have_css("clip-path", "none")  # the whole accelerated picture is visible
    expect(page.locator("#reveal")).to_be_hidden()
    box = over.bounding_box()
    assert box
    page.mouse.move(box["x"] + 60, box["y"] + 60)
    page.mouse.down()
    expect(over).to_have_css("visibility", "hidden")
    page.mouse.up()
    expect(over).to_have_css("visibility", "visible")
    prompt = page.locator("#prompt textarea")
    prompt.press("Space")  # in a field, the key types a space
    expect(viewer).not_to_have_attribute("data-flipped", "")
    page.locator("#view label", has_text="Side by side").click()
    expect(page.locator("#side-left img")).to_be_visible()
    page.locator("#view label", has_text="Slider").click()
    expect(over).not_to_have_css("clip-path", "none")
