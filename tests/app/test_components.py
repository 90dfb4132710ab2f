"""The drawn components in a real page, in a real browser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gradio as gr
import pytest
from PIL import Image
from playwright.sync_api import BrowserContext, ConsoleMessage, FloatRect, Locator, Page, Request, expect, sync_playwright

from app import components, views
from app.components import difference, header, headline, recipe, runs, status, timeline, times
from app.components.theme import css, theme
from cache_engine import Progress
from tests.app.made import QUALITY, dbcache, pair

HOSTILE = "${1+1}`<img src=x onerror=\"window.hacked=1\">{{value}}"
MASK = "10" * 25
NOTHING = pair(dbcache(residual_diff_threshold=0.02))
GUIDED = pair(dbcache(), steps=50, streams=("cond", "uncond"))
PLAIN = pair(dbcache())
PATIENCE = 30_000  # milliseconds; a busy machine is slow, not wrong


def hostile() -> dict[str, dict[str, Any]]:
    """Every component's value with a payload in every text that a user, a file or a method can reach."""
    comparison = pair(dbcache(), recipe=HOSTILE, reason=HOSTILE)
    engine = comparison.accelerated.engine.replaced(device=HOSTILE)
    comparison = comparison._replace(accelerated=comparison.accelerated._replace(engine=engine))
    part = {"code": HOSTILE, "word": HOSTILE, "title": HOSTILE, "changed": True}
    return {
        "header": views.header((HOSTILE,)),
        "status": views.failed(HOSTILE),
        "headline": views.headline(comparison, published={"tflops": 1, "source": HOSTILE}),
        "timeline": views.timeline_of(comparison),
        "runs": views.runs([comparison], 0),
        "recipe": {"parts": [part]},
        "times": views.times(comparison) | {"note": HOSTILE},
        "difference": {"rows": [{"name": HOSTILE, "text": HOSTILE}], "top": HOSTILE},
    }


def plain() -> dict[str, dict[str, Any]]:
    code = f"F1B0_W4I1M0MC3_R0.12_T1O1_SCM{MASK}_dynamic"
    return {
        "header": views.header(("tiny FLUX", "float32", "cpu")),
        "status": views.status(Progress("baseline", "denoise", "", 7, 28)),
        "headline": views.headline(PLAIN, published={"tflops": 871.39, "source": "a table"}),
        "timeline": views.timeline_of(PLAIN),
        "runs": views.runs([PLAIN, pair(dbcache(), recipe=code)], 0),
        "recipe": views.recipe_parts(code),
        "times": views.times(PLAIN),
        "difference": views.difference_facts(QUALITY, 8),
    }


def stages() -> Iterator[dict[str, Any]]:
    whole = PLAIN.accelerated
    for done in (0, 5, 17):
        yield views.timeline(PLAIN.baseline.trace, whole.trace[:done], 28, whole.method, running="accelerated")


def selected(event: gr.EventData) -> str:
    return f"select {event.index}"


def chosen(event: gr.EventData) -> str:
    return f"choose {event.index}"


def page_of_components() -> gr.Blocks:
    with gr.Blocks(title="components", analytics_enabled=False) as page:
        with gr.Column():
            drawn = {name: make(elem_id=name) for name, make in {
                "header": header, "status": status, "headline": headline, "timeline": timeline, "times": times,
                "difference": difference, "runs": runs, "recipe": recipe}.items()}
        small = Image.new("RGB", (64, 64))
        picture = gr.ImageSlider((small, small), format="png", elem_id="small", elem_classes=["cl-pair", "cl-fit"])
        heard = gr.Textbox(label="heard", elem_id="heard")
        drawn["timeline"].select(selected, outputs=heard, show_progress="hidden", trigger_mode="multiple")
        drawn["runs"].choose(chosen, outputs=heard, show_progress="hidden")
        for name, made in {"plain": plain(), "hostile": hostile()}.items():
            outputs = [drawn[key] for key in made]
            gr.Button(name).click(lambda made=made: list(made.values()), outputs=outputs, show_progress="hidden")
        for name, made in {"nothing": NOTHING, "guided": GUIDED}.items():
            gr.Button(name).click(lambda made=made: views.timeline_of(made), outputs=drawn["timeline"], show_progress="hidden")
        wide = Image.new("RGB", (96, 48), "red")
        gr.Button("wide").click(lambda: gr.ImageSlider((wide, wide), visible=True), outputs=picture, show_progress="hidden")
        gr.Button("stages").click(stages, outputs=drawn["timeline"], show_progress="hidden")
    return page


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    page = page_of_components()
    _, url, _ = page.launch(prevent_thread_lock=True, quiet=True, ssr_mode=False, theme=theme(), css=css())
    yield url
    page.close()


@pytest.fixture(scope="module")
def context(chromium: str) -> Iterator[BrowserContext]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        opened = browser.new_context(viewport={"width": 1440, "height": 900}, has_touch=True)
        opened.set_default_timeout(PATIENCE)
        expect.set_options(timeout=PATIENCE)
        yield opened
        browser.close()


@pytest.fixture
def view(context: BrowserContext, address: str) -> Iterator[Page]:
    """The page, open; at the end of every test: nothing in the console, nothing asked of another machine."""
    page, faults = context.new_page(), []

    def heard(message: ConsoleMessage) -> None:
        faults.extend([message.text] * (message.type == "error"))

    def asked(request: Request) -> None:
        faults.extend([request.url] * (not request.url.startswith((address, "data:", "blob:"))))

    page.on("console", heard)
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on("request", asked)
    page.goto(address)
    expect(page.locator("#timeline")).to_contain_text("Nothing has run yet")
    yield page
    page.evaluate("localStorage.clear()")
    page.close()
    assert faults == []


def show(page: Page, what: str) -> None:
    page.get_by_role("button", name=what, exact=True).click()
    ready = {"nothing": "0 of 28 steps cached", "guided": "uncond", "hostile": "onerror"}.get(what, "Step 16")
    expect(page.locator("#timeline")).to_contain_text(ready)


def box(place: Locator) -> FloatRect:
    found = place.bounding_box()
    assert found, place
    return found


# ---- what text may do ----

def test_text_is_shown_and_never_run(view: Page) -> None:
    show(view, "hostile")
    for name in hostile():
        expect(view.locator(f"#{name}")).to_contain_text(HOSTILE)
        assert view.locator(f"#{name} img").count() == 0
    view.locator(".cl-step").nth(3).hover()
    expect(view.locator(".cl-readout")).to_contain_text(HOSTILE)
    assert view.evaluate("window.hacked") is None


@pytest.mark.parametrize("make", [header, status, headline, timeline, times, difference, runs, recipe])
def test_templates_are_constants_and_scripts_make_no_markup(make: Any) -> None:
    empty, full = ((made.html_template, made.css_template, made.js_on_load) for made in (make(), make({"title": HOSTILE})))
    assert empty == full
    for template in empty[:2]:
        assert not [sign for sign in ("${", "{{", "`", "\\") if sign in template]
    ways = ("innerHTML", "outerHTML", "insertAdjacent", "document.write", "eval(", "Function(")
    assert not [way for way in ways if way in empty[2]]


# ---- the timeline ----

def test_columns_follow_the_schedule(view: Page) -> None:
    show(view, "plain")
    modes = view.locator(".cl-step").evaluate_all("columns => columns.map(column => column.dataset.mode)")
    assert ["c" if mode == "cached" else "C" for mode in modes] == list(PLAIN.accelerated.schedule)
    assert view.locator(".cl-step[data-mode=cached]").count() == 16
    bars = view.locator(".cl-bar").evaluate_all("bars => bars.map(bar => bar.getBoundingClientRect().height)")
    limit, ground = box(view.locator(".cl-limit")), box(view.locator(".cl-step .plot").first)
    line = ground["y"] + ground["height"] - (limit["y"] + 8.75)  # pixels from the ground to the middle of the dashed line
    decided = [(mode, bar) for mode, bar in zip(modes, bars) if mode in ("cached", "computed")]
    assert all((bar < line) == (mode == "cached") for mode, bar in decided)
    expect(view.locator(".cl-limit output")).to_have_text("0.12")


def test_hover_tells_and_leaves_no_trace(view: Page) -> None:
    show(view, "plain")
    at_rest = view.locator(".cl-readout").inner_text()
    view.locator(".cl-step").nth(14).hover()
    expect(view.locator(".cl-readout")).to_contain_text("Step 14")
    expect(view.locator(".cl-readout")).to_contain_text("computed: 3 in a row is the most (change 0.112)")
    view.locator("h1").hover()
    expect(view.locator(".cl-readout")).to_have_text(at_rest, use_inner_text=True)
    expect(view.locator("#heard textarea")).to_have_value("")


def test_a_click_pins_and_tells_python(view: Page) -> None:
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
        of_row = f"all => all.map(one => one.querySelectorAll('.cl-cell')[{row}].dataset.shade)"
        shades = view.locator(".cl-step").evaluate_all(of_row)
        assert ["c" if shade == "cached" else "C" for shade in shades] == list(modes)
    expect(view.locator(".cl-readout")).to_contain_text("uncond: ")


def test_a_running_side_fills_in_without_being_drawn_anew(view: Page) -> None:
    show(view, "plain")
    view.locator(".cl-step").nth(9).evaluate("column => { window.ninth = column }")
    view.get_by_role("button", name="stages", exact=True).click()
    expect(view.locator(".cl-step[data-mode]")).to_have_count(17)
    expect(view.locator(".cl-cell[data-shade=none]")).to_have_count(11)
    told = "Step 16, cached: change 0.048 is below 0.12, second in a row"
    expect(view.locator(".cl-step[aria-current]")).to_have_attribute("aria-label", told)
    assert view.evaluate("window.ninth.isConnected")
    view.locator(".cl-step").nth(20).hover()
    expect(view.locator(".cl-readout")).to_contain_text("Step 20")
    expect(view.locator(".cl-readout")).to_contain_text("not run yet")


def test_nothing_cached_says_why_where_the_readout_stands(view: Page) -> None:
    show(view, "nothing")
    expect(view.locator(".cl-readout .banner")).to_contain_text("0.03 would cache the first step.")
    view.locator(".cl-step").nth(9).hover()
    expect(view.locator(".cl-readout .banner")).to_be_hidden()
    expect(view.locator(".cl-readout")).to_contain_text("Step 9")


# ---- the others ----

def test_headline_says_what_was_measured_and_what_counted(view: Page) -> None:
    show(view, "plain")
    assert view.locator("[data-card=speed] .num").inner_text() == "2.13×"
    assert view.locator("[data-card=flops] .num").inner_text() == "978"
    assert view.locator("[data-card=psnr] .num").inner_text() == "33.6 dB"
    assert view.locator("[data-card=ssim] .num").inner_text() == "0.962"
    assert view.locator("#headline .metric .cl-kind").evaluate_all("all => all.map(one => one.dataset.kind)") == [
        "measured", "counted", "measured", "measured"]
    mark, scale = box(view.locator(".scale em")), box(view.locator(".scale"))
    assert (mark["x"] + mark["width"] / 2 - scale["x"]) / scale["width"] == pytest.approx((33.6123 - 20) / 25, abs=0.01)
    view.get_by_text("How it was measured").click()
    expect(view.locator("#headline details")).to_contain_text("33.6123 dB PSNR")
    expect(view.locator("#headline .published")).to_contain_text("published: 871.39 TFLOPs")


def test_a_run_is_chosen_by_mouse_and_by_keyboard(view: Page) -> None:
    show(view, "plain")
    view.locator(".cl-runs [data-index='1'] td").nth(2).click()
    expect(view.locator("#heard textarea")).to_have_value("choose 1")
    view.locator(".cl-runs [data-index='0'] button").focus()
    view.keyboard.press("Enter")
    expect(view.locator("#heard textarea")).to_have_value("choose 0")
    assert view.locator(".cl-runs [aria-current=true]").count() == 1


def test_status_keeps_its_place(view: Page) -> None:
    before = box(view.locator(".cl-status"))
    show(view, "plain")
    assert box(view.locator(".cl-status"))["height"] == before["height"]
    expect(view.locator(".cl-status [role=progressbar]")).to_have_attribute("aria-valuenow", "25")
    expect(view.locator(".cl-status")).to_have_attribute("data-kind", "running")


def test_the_dark_switch_is_remembered(view: Page) -> None:
    ground = "getComputedStyle(document.body).backgroundColor"
    light = view.evaluate(ground)
    view.get_by_role("button", name="Dark theme").click()
    dark = view.evaluate(ground)
    assert (light, dark) == ("rgb(246, 247, 249)", "rgb(14, 17, 22)")
    view.reload()
    expect(view.get_by_role("button", name="Dark theme")).to_have_attribute("aria-pressed", "true")
    assert view.evaluate(ground) == dark


def test_small_pictures_are_scaled_by_whole_numbers(view: Page) -> None:
    expect(view.locator("#small")).to_have_attribute("data-whole", "")
    shown = box(view.locator("#small img").first)
    assert shown["width"] == shown["height"]
    assert shown["width"] > 64
    assert shown["width"] % 64 == 0
    assert view.locator("#small img").first.evaluate("one => getComputedStyle(one).imageRendering") == "pixelated"
    view.get_by_role("button", name="wide", exact=True).click()
    view.wait_for_function("document.querySelector('#small img').naturalWidth === 96")
    expect(view.locator("#small img").first).to_have_js_property("offsetWidth", 2 * box(view.locator("#small img").first)["height"])
    assert box(view.locator("#small img").first)["width"] % 96 == 0


@pytest.mark.parametrize("width", [390, 1024, 1440])
def test_no_sideways_scroll(view: Page, width: int) -> None:
    view.set_viewport_size({"width": width, "height": 900})
    for what in ("plain", "guided", "nothing", "hostile"):
        show(view, what)
        assert view.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, what


def test_every_constructor_is_documented() -> None:
    names = set(plain())
    assert all(callable(getattr(components, name)) and f"\n{name} " in (components.__doc__ or "") for name in names)
