"""Tests the timeline in a browser: its columns, and its reactions to mouse, keys and fingers."""

from __future__ import annotations

from playwright.sync_api import Page, expect

from tests.app.gallery import GUIDED, PLAIN, box, show


def test_columns_follow_the_schedule(view: Page) -> None:
    show(view, "plain")
    modes = view.locator(".cl-step").evaluate_all("columns => columns.map(column => column.dataset.mode)")
    assert ["c" if mode == "cached" else "C" for mode in modes] == list(PLAIN.accelerated.schedule)
    assert view.locator(".cl-step[data-mode=cached]").count() == 16
    bars = view.locator(".cl-bar").evaluate_all("bars => bars.map(bar => bar.getBoundingClientRect().height)")
    limit, ground = box(view.locator(".cl-limit")), box(view.locator(".cl-step .plot").first)
    line = (
        ground["y"] + ground["height"] - (limit["y"] + 8.75)
    )  # pixels from the bottom to the middle of the dashed line
    decided = [(mode, bar) for mode, bar in zip(modes, bars) if mode in ("cached", "computed")]
    assert all((bar < line) == (mode == "cached") for mode, bar in decided)
    expect(view.locator(".cl-limit output")).to_have_text("0.12")


def test_the_readout_follows_the_mouse_and_goes_back(view: Page) -> None:
    show(view, "plain")
    at_rest = view.locator(".cl-readout").inner_text()
    view.locator(".cl-step").nth(14).hover()
    expect(view.locator(".cl-readout")).to_contain_text("Step 14")
    expect(view.locator(".cl-readout")).to_contain_text("computed: 3 in a row is the limit (change 0.112)")
    view.locator("h1").hover()
    expect(view.locator(".cl-readout")).to_have_text(at_rest, use_inner_text=True)
    expect(view.locator("#heard textarea")).to_have_value("")


def test_a_click_pins_a_step_and_sends_an_event(view: Page) -> None:
    show(view, "plain")
    view.locator(".cl-step").nth(5).click()
    expect(view.locator("#heard textarea")).to_have_value("select 5")
    view.locator("h1").hover()
    expect(view.locator(".cl-readout")).to_contain_text("Step 5")
    expect(view.locator(".cl-readout")).to_contain_text("computed: change 0.159 is not below 0.12")
    expect(view.locator(".cl-readout")).to_contain_text("57 of 57 blocks")


def test_arrow_keys_move_from_one_tab_stop(view: Page) -> None:
    show(view, "plain")
    assert view.locator(".cl-step[tabindex='0']").count() == 1
    view.locator(".cl-step[tabindex='0']").focus()
    moves = {"ArrowRight": 17, "ArrowLeft": 16, "Home": 0, "End": 27}
    for key, step in [*moves.items(), ("ArrowRight", 27), ("Home", 0), ("ArrowLeft", 0), ("End", 27)]:
        view.keyboard.press(key)
        expect(view.locator(".cl-step:focus")).to_have_attribute("aria-current", "true")
        expect(view.locator(".cl-readout b")).to_have_text(f"Step {step}")
    expect(view.locator("#heard textarea")).to_have_value("select 27")
    view.get_by_role("button", name="Step before").click()
    expect(view.locator(".cl-readout b")).to_have_text("Step 26")
    view.get_by_role("button", name="Next step").click()
    expect(view.locator(".cl-readout b")).to_have_text("Step 27")


def test_a_finger_scrubs(view: Page) -> None:
    show(view, "plain")
    view.locator(".cl-readout").scroll_into_view_if_needed()
    first, last = (box(view.locator(".cl-step").nth(step)) for step in (4, 20))
    session = view.context.new_cdp_session(view)
    for kind, place in (("touchStart", first), ("touchMove", first), ("touchMove", last), ("touchEnd", None)):
        points = [{"x": place["x"] + place["width"] / 2, "y": place["y"] + 60}] if place else []
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    expect(view.locator(".cl-readout b")).to_have_text("Step 20")
    expect(view.locator("#heard textarea")).to_have_value("select 20")


def test_two_streams_are_two_rows_of_cells(view: Page) -> None:
    show(view, "guided")
    assert view.locator(".cl-step").count() == 50
    assert view.locator(".cl-cell").count() == 100
    for stream, modes in GUIDED.accelerated.schedules.items():
        row = list(GUIDED.accelerated.schedules).index(stream)
        of_row = f"columns => columns.map(column => column.querySelectorAll('.cl-cell')[{row}].dataset.shade)"
        shades = view.locator(".cl-step").evaluate_all(of_row)
        assert ["c" if shade == "cached" else "C" for shade in shades] == list(modes)
    expect(view.locator(".cl-readout")).to_contain_text("uncond: ")


def test_a_running_side_fills_the_columns_that_are_there(view: Page) -> None:
    show(view, "plain")
    view.locator(".cl-step").nth(9).evaluate("column => { window.ninth = column }")
    view.get_by_role("button", name="stages", exact=True).click()
    expect(view.locator(".cl-step[data-mode]")).to_have_count(17)
    expect(view.locator(".cl-cell[data-shade=none]")).to_have_count(11)
    label = "Step 16, cached: change 0.048 is below 0.12, second in a row"
    expect(view.locator(".cl-step[aria-current]")).to_have_attribute("aria-label", label)
    assert view.evaluate("window.ninth.isConnected")
    view.locator(".cl-step").nth(20).hover()
    expect(view.locator(".cl-readout")).to_contain_text("Step 20")
    expect(view.locator(".cl-readout")).to_contain_text("not run yet")


def test_the_readout_says_why_nothing_is_cached(view: Page) -> None:
    show(view, "nothing")
    expect(view.locator(".cl-readout .banner")).to_contain_text(
        "A threshold of 0.03 would cache the first step."
    )
    view.locator(".cl-step").nth(9).hover()
    expect(view.locator(".cl-readout .banner")).to_be_hidden()
    expect(view.locator(".cl-readout")).to_contain_text("Step 9")
