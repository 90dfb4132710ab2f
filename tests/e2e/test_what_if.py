"""Tests the live what-if in a real browser: sliders, threshold line, painted steps, freeze and dial answer
from the survey, without a run.
"""

from __future__ import annotations

import re
import statistics

import pytest
from playwright.sync_api import FloatRect, Locator, Page, expect

from .conftest import Visit
from .test_compare_tab import generate, knob, recipe

PATIENCE = 30_000  # milliseconds: a busy machine is slow, which is not an error
RECORD = 120_000  # milliseconds: a baseline run on a busy machine
LIMIT = "#knob-dbcache-residual_diff_threshold"
# Moves the slider as a hand does, and waits until the timeline's own line has followed and is on the screen.
SLIDE = """async (to) => {
  const slider = document.querySelector('#knob-dbcache-residual_diff_threshold input[type=range]');
  const line = document.querySelector('#timeline .cl-limit output');
  const drawn = new Promise((done) => {
    const eye = new MutationObserver(() => {
      if (Number(line.textContent) !== to) return;
      eye.disconnect();
      requestAnimationFrame(() => setTimeout(done, 0));
    });
    eye.observe(line, { childList: true, characterData: true, subtree: true });
  });
  const begun = performance.now();
  slider.value = to;
  slider.dispatchEvent(new Event('input', { bubbles: true }));
  await drawn;
  return performance.now() - begun;
}"""


def middle(place: Locator) -> tuple[float, float]:
    box: FloatRect | None = place.bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


def digits(page: Page) -> str:
    """Return the shown decisions as a mask: a step is 1 if any stream computes it."""
    shades = page.locator("#timeline .cl-step").evaluate_all(
        "all => all.map(one => [...one.querySelectorAll('.cl-cell')].map(cell => cell.dataset.shade))"
    )
    return "".join("1" if {"computed", "forced"} & set(of_step) else "0" for of_step in shades)


def value(page: Page, name: str) -> str:
    return page.locator(f"#knob-dbcache-{name} input[type=number]").input_value()


@pytest.fixture
def ready(visit: Visit) -> Page:
    """Return the page once a comparison is shown and its baseline is recorded."""
    page = visit.page
    expect.set_options(timeout=PATIENCE)
    recipe(page, "F1B0_W4MC3_R0.3_T1O1")
    expect(page.locator(f"{LIMIT} input[type=number]")).to_have_value("0.3")
    generate(page)
    expect(page.locator("#dial .cl-dial")).to_have_attribute("data-state", "ready", timeout=RECORD)
    return page


def expected(page: Page) -> None:
    expect(page.locator("#timeline .cl-timeline")).to_have_attribute("data-expected", "")


def test_a_slider_redraws_the_timeline_at_once(ready: Page, capsys: pytest.CaptureFixture[str]) -> None:
    page, ran = ready, ready.locator("[data-card=speed] .num").inner_text()
    took = [page.evaluate(SLIDE, to / 100) for to in [*range(8, 40, 2), *range(39, 9, -3)]]
    with capsys.disabled():
        print(
            f"\nslider to redrawn timeline, {len(took)} moves: median {statistics.median(took):.0f} ms, most "
            f"{max(took):.0f} ms"
        )
    expected(page)
    expect(page.locator("[data-card=speed]")).to_have_attribute("data-kind", "expected")
    expect(page.locator("[data-card=speed]")).to_contain_text(f"last run {ran}")
    expect(page.locator("[data-card=flops]")).to_have_attribute("data-kind", "counted")
    expect(page.locator("#stale")).to_contain_text(f"Pictures show the last run: {ran}")
    expect(page.locator("#status")).to_contain_text("Estimate.")
    expect(page.locator("#runs [data-index]")).to_have_count(1)  # no run was made
    page.evaluate(SLIDE, 0.3)  # the setting that was measured
    expect(page.locator("#timeline .cl-timeline")).not_to_have_attribute("data-expected", "")
    expect(page.locator("[data-card=speed]")).to_have_attribute("data-kind", "measured")
    expect(page.locator("#stale")).not_to_contain_text("Pictures")


def test_what_the_next_run_will_cost_follows_the_fields(ready: Page) -> None:
    page, status, prompt = ready, ready.locator("#status"), ready.locator("#prompt textarea")
    was = prompt.input_value()
    page.evaluate(SLIDE, 0.2)
    expect(status).to_contain_text("Press Generate to measure it (about")
    prompt.fill("a small frog on a white background")
    expect(status).to_contain_text("Generate will run both sides")
    page.evaluate(SLIDE, 0.25)
    expected(page)
    expect(status).to_contain_text("Generate runs both sides.")
    prompt.fill(was)
    expect(status).not_to_contain_text("both sides")
    page.evaluate(SLIDE, 0.2)
    expect(status).to_contain_text("Press Generate to measure it (about")
    page.locator("#lock").click()  # the seed now changes with every run
    page.evaluate(SLIDE, 0.25)
    expect(status).to_contain_text("Generate runs both sides.")


@pytest.mark.parametrize("visit", [{"has_touch": True}], indirect=True)
def test_the_line_is_dragged_by_mouse_keys_and_finger(ready: Page) -> None:
    page, line = ready, ready.locator("#timeline .cl-limit")
    line.scroll_into_view_if_needed()
    x, y = middle(page.locator("#timeline .cl-limit output"))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x, y + 15, steps=6)  # 15 pixels of an axis of 140 pixels that ends at 1
    page.mouse.up()
    expected(page)
    # the value at which the line was let go, without delay
    dragged = float(line.get_attribute("aria-valuenow") or "nan")
    assert 0 < dragged < 0.3
    expect(page.locator(f"{LIMIT} input[type=number]")).to_have_value(f"{dragged:g}")
    line.focus()
    for key in ("ArrowUp", "ArrowUp", "ArrowUp", "ArrowDown"):
        page.keyboard.press(key)
    expect(page.locator(f"{LIMIT} input[type=number]")).to_have_value(f"{dragged + 0.02:.2g}")
    expect(page.locator("#recipe-text input, #recipe-text textarea").first).to_have_value(
        re.compile(f"_R{dragged + 0.02:.2g}_")
    )
    x, y = middle(page.locator("#timeline .cl-limit output"))
    fingers = page.context.new_cdp_session(page)
    for kind, down in (("touchStart", 0), ("touchMove", 12), ("touchMove", 25), ("touchEnd", None)):
        points = [] if down is None else [{"x": x, "y": y + down}]
        fingers.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    expect(page.locator(f"{LIMIT} input[type=number]")).not_to_have_value(f"{dragged + 0.02:.2g}")


def test_cells_are_painted_and_decisions_frozen(ready: Page) -> None:
    page, before = ready, digits(ready)
    page.get_by_role("button", name="Freeze").click()
    expect(page.locator("#status")).to_contain_text("of 1 run of this setting")
    mask = page.locator(
        "#knob-dbcache-steps_computation_mask input, #knob-dbcache-steps_computation_mask textarea"
    ).first
    expect(mask).to_have_value(before)
    page.get_by_role("button", name="Clear mask").click()
    expect(mask).to_have_value("")
    expect(page.locator("#timeline .cl-timeline")).not_to_have_attribute("data-expected", "")
    page.get_by_role("button", name="Paint").click()
    steps = page.locator("#timeline .cl-step")
    steps.first.scroll_into_view_if_needed()
    first = before.index("0", 6)
    (x, y), (to, _) = (middle(steps.nth(step).locator(".cl-cell").first) for step in (first, first + 2))
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(to, y, steps=4)
    page.mouse.up()
    wished = before[:first] + "111" + before[first + 3 :]
    expect(mask).to_have_value(wished)
    expected(page)
    assert digits(page) == wished
    expect(page.locator("#timeline .cl-step[data-painted]")).to_have_count(3)
    expect(page.locator("#recipe-text input, #recipe-text textarea").first).to_have_value(
        re.compile(r"_SCM[01]{28}_static")
    )
    steps.nth(27).focus()
    page.keyboard.press("Space")
    expect(page.locator("#timeline .cl-step[data-painted]")).to_have_count(4)
    other = wished[:27] + ("0" if wished[27] == "1" else "1")
    expect(mask).to_have_value(other)
    steps.nth(0).focus()
    page.keyboard.press("Space")  # the first step has nothing to reuse
    assert digits(page) == other
    generate(page)  # a painted mask runs like any other setting
    assert digits(page) == other


def test_the_dial_is_solved_and_the_knobs_follow(ready: Page) -> None:
    page, plot = ready, ready.locator("#dial .plot")
    x, y = middle(plot)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x - 40, y, steps=5)
    page.mouse.up()
    expected(page)
    expect(plot).not_to_have_attribute("aria-busy", "true")
    expect(page.locator("#status")).to_contain_text("Estimate.")
    slow = page.locator("#dial header b").inner_text()
    settings = page.locator("#recipe-text input, #recipe-text textarea").first.input_value()
    plot.focus()
    for _ in range(16):
        page.keyboard.press("ArrowRight")
    expect(plot).not_to_have_attribute("aria-busy", "true")
    expect(page.locator("#dial header b")).not_to_have_text(slow)
    expect(page.locator("#recipe-text input, #recipe-text textarea").first).not_to_have_value(settings)
    fast = page.locator("#dial header b").inner_text()
    assert float(fast.rstrip("×")) > float(slow.rstrip("×"))
    assert page.locator("[data-card=speed] .num").inner_text() == fast


def test_nothing_cached_offers_what_would_and_other_grains_say_no_estimate(ready: Page) -> None:
    page = ready
    knob(page, "residual_diff_threshold", 0.01)
    banner = page.locator("#timeline .banner")
    expect(banner).to_contain_text("0 of 28 steps cached: every change")
    page.mouse.move(0, 0)
    banner.get_by_role("button").click()
    expect(page.locator("#timeline .cl-step[data-mode=cached]").first).to_be_attached()
    assert float(value(page, "residual_diff_threshold")) > 0.01
    knob(page, "max_warmup_steps", 28)
    expect(banner).to_contain_text("the warm-up covers all steps")
    banner.get_by_role("button").click()
    expect(page.locator("#timeline .cl-step[data-mode=cached]").first).to_be_attached()

    page.locator("#method input").click()
    page.get_by_role("option", name="TaylorSeer", exact=True).click()
    expect(page.locator("[data-card=psnr]")).to_contain_text("no estimate")
    expect(page.locator("[data-card=psnr]")).to_contain_text("run this setting")
    expect(page.locator("[data-card=speed] .num")).to_have_text("no estimate")
    assert (
        digits(page) == "111" + "0001" * 6 + "0"
    )  # this schedule does not depend on the picture: the first three steps, then one in four


def test_the_plain_model_at_the_same_compute_stands_on_the_left(ready: Page) -> None:
    page = ready
    expect(page.locator("#equal")).to_contain_text(re.compile(r"Same compute, no cache: \d+ plain steps\."))
    before = page.locator("#pair img").first.get_attribute("src")
    page.locator("#show-equal").click()
    expect(page.locator("#equal")).to_contain_text(
        re.compile(r"\d+ plain steps give \d\.\d\d×, \d+\.\d dB"), timeout=60_000
    )
    expect(page.locator("#against-note")).to_contain_text("To the same baseline: ")
    expect(page.locator("#pair img").first).not_to_have_attribute("src", before or "")
    expect(page.locator("#runs [data-index]")).to_have_count(2)
    page.locator("#against input").click()
    page.get_by_role("option", name="FORA", exact=True).click()
    expect(page.locator("#against-note")).to_contain_text("FORA: module grain, at most")
    # the estimate is shown before the setting runs
    expect(page.locator("#runs [data-index]")).to_have_count(2)
