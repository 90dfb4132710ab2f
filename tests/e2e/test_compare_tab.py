"""Tests the main task in a real browser: generate, read the numbers, move a knob, stop, and read an error."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from .conftest import Visit

RUN = 240_000  # milliseconds: the first run loads the model


def generate(page: Page) -> None:
    page.locator("#generate button, button#generate").first.click()
    expect(page.locator("#status .cl-status")).to_have_attribute("data-kind", "done", timeout=RUN)


def figure(page: Page, card: str) -> float:
    number = page.locator(f"[data-card={card}] .num")
    expect(number).to_have_text(re.compile(r"\d"))  # drawn a moment after the status
    return float(re.sub(r"[^\d.]", "", number.inner_text()))


def knob(page: Page, name: str, value: float) -> None:
    """Type a value into the number field beside a knob's slider."""
    box = page.locator(f"#knob-dbcache-{name} input[type=number]")
    box.fill(str(value))
    box.press("Enter")
    box.blur()


def recipe(page: Page, text: str) -> None:
    field = page.locator("#recipe-text input, #recipe-text textarea").first
    field.fill(text)
    field.press("Enter")


def test_a_newcomer_generates_and_reads_the_comparison(visit: Visit) -> None:
    page = visit.page
    recipe(page, "F1B0_W4MC3_R0.3_T1O1")
    expect(page.locator("#knob-dbcache-max_continuous_cached_steps input[type=number]")).to_have_value("3")
    generate(page)
    assert figure(page, "speed") > 0
    assert (
        "TFLOPs" in page.locator("[data-card=flops]").inner_text()
        or "GFLOPs" in page.locator("[data-card=flops]").inner_text()
    )
    assert 5 < figure(page, "psnr") < 99
    assert 0 < figure(page, "ssim") <= 1
    steps = page.locator("#timeline .cl-step")
    expect(steps).to_have_count(28)
    assert page.locator("#timeline [data-mode=cached]").count() > 0
    assert page.locator("#pair img").count() >= 2

    # after a knob moves, only the accelerated side runs again, and the page says so
    knob(page, "residual_diff_threshold", 0)
    expect(page.locator("#recipe-text input, #recipe-text textarea").first).to_have_value(re.compile("_R0_"))
    generate(page)
    expect(page.locator("#status")).to_contain_text("was reused; only the accelerated side ran")
    expect(page.locator("[data-card=psnr] .num")).to_have_text("identical")
    expect(
        page.locator("#timeline .cl-step [data-mode=cached], #timeline .cl-step[data-mode=cached]")
    ).to_have_count(0)
    expect(page.locator("#runs [data-index]")).to_have_count(2)

    # a click shows the earlier run again
    page.locator("#runs [data-index='1']").click()
    expect(page.locator("[data-card=psnr] .num")).to_contain_text("dB")


def test_the_embedded_few_step_model_compares_in_its_own_steps(visit: Visit) -> None:
    page = visit.page
    page.locator("#model input").click()
    page.get_by_role("option", name="tiny FLUX Lightning, 8 steps (embedded)").click()
    expect(page.locator("#steps input")).to_have_value("8")
    expect(page.locator("#recipe-text input, #recipe-text textarea").first).to_have_value(
        "F3B3_W4I1M0MC2_R0.5_T0O0"
    )  # its first preset
    recipe(page, "F1B0_W4MC1_R1_T0")
    generate(page)
    expect(page.locator("#timeline .cl-step")).to_have_count(8)
    assert page.locator("#timeline [data-mode=cached]").count() > 0
    assert figure(page, "speed") > 0
    assert 15 < figure(page, "psnr") < 99


def test_stop_leaves_no_half_picture_and_the_next_run_works(visit: Visit) -> None:
    page = visit.page
    pictures, speed = page.locator("#pair img"), page.locator("[data-card=speed] .num")
    before = (pictures.first.get_attribute("src"), pictures.last.get_attribute("src"), speed.inner_text())
    page.locator("#steps input").fill("200")
    page.locator("#steps input").blur()
    page.locator("#generate").click()
    expect(page.locator("#status")).to_contain_text(re.compile(r"step \d+ of 200"), timeout=RUN)
    page.locator("#stop").click()
    expect(page.locator("#status .cl-status")).to_have_attribute("data-kind", "stopped", timeout=20_000)
    expect(page.locator("#timeline .cl-step")).to_have_count(
        28
    )  # the recorded comparison that was shown before
    assert (
        pictures.first.get_attribute("src"),
        pictures.last.get_attribute("src"),
        speed.inner_text(),
    ) == before
    page.locator("#steps input").fill("6")
    page.locator("#steps input").blur()
    recipe(page, "F1B0_W2_R0.3_T0O0")
    generate(page)
    expect(page.locator("#timeline .cl-step")).to_have_count(6)


@pytest.mark.parametrize(
    ("field", "value", "sentence"),
    [
        ("#steps", "28.5", "steps: 28.5"),
        ("#steps", "0", "steps: 0"),
        ("#seed", "-1", "seed: -1"),
        ("#seed", "", "seed: ''"),
    ],
)
def test_a_bad_field_is_named_and_nothing_runs(visit: Visit, field: str, value: str, sentence: str) -> None:
    page = visit.page
    page.locator(f"{field} input").fill(value)
    page.locator(f"{field} input").blur()
    page.locator("#generate").click()
    expect(page.locator("#status .cl-status")).to_have_attribute("data-kind", "error", timeout=30_000)
    expect(page.locator("#status")).to_contain_text(sentence)


def test_a_bad_recipe_changes_nothing(visit: Visit) -> None:
    page = visit.page
    before = page.locator("#knob-dbcache-max_warmup_steps input[type=number]").input_value()
    recipe(page, "F1B0_W3_nonsense")
    expect(page.locator("#status")).to_contain_text("recipe: 'nonsense' cannot be read")
    page.locator("#generate").click()  # neither this value nor another value in its place is run
    page.wait_for_timeout(500)
    expect(page.locator("#status")).to_contain_text("recipe: 'nonsense' cannot be read")
    expect(page.locator("#runs [data-index]")).to_have_count(0)
    assert page.locator("#knob-dbcache-max_warmup_steps input[type=number]").input_value() == before


def test_a_prompt_is_text_and_nothing_else(visit: Visit) -> None:
    page = visit.page
    canary = "<img src=x onerror=window.__hit=1> ${window.__hit=1} `{{window.__hit=1}}` 日本語 🦊"
    page.locator("#prompt textarea").fill(canary)
    page.locator("#steps input").fill("2")
    page.locator("#steps input").blur()
    recipe(page, "F1B0_W1_R0.3_T0O0")
    expect(page.locator("#knob-dbcache-max_warmup_steps input[type=number]")).to_have_value("1")
    generate(page)
    assert page.evaluate("window.__hit") is None
    expect(page.locator("#unknown")).to_contain_text("does not know")


def test_a_value_beyond_its_bounds_is_one_sentence_of_ours(visit: Visit) -> None:
    """gradio's own slider would answer with an error of the page."""
    page = visit.page
    knob(page, "Fn_compute_blocks", 99)
    expect(page.locator("#status")).to_contain_text("Fn_compute_blocks")
    knob(page, "Fn_compute_blocks", 2)
    expect(page.locator("#status")).not_to_contain_text("Fn_compute_blocks")


def test_the_page_opens_with_a_recorded_comparison(visit: Visit) -> None:
    """No run has been made. The shown comparison says where it was recorded, can only be viewed, and is
    replaced by the first run.
    """
    page = visit.page
    expect(page.locator("#stale")).to_contain_text("Recorded example: tiny FLUX (embedded)")
    assert figure(page, "speed") > 1
    expect(page.locator("[data-card=speed]")).to_contain_text("recorded, not run here")
    expect(page.locator("#timeline .cl-step")).to_have_count(28)
    before = page.locator("#heat img").get_attribute("src")
    page.locator("#gain input[type=number]").fill("32")
    page.locator("#gain input[type=number]").press("Enter")
    expect(page.locator("#heat img")).not_to_have_attribute("src", before or "")
    generate(page)
    expect(page.locator("#stale")).not_to_contain_text("Recorded")
    expect(page.locator("[data-card=speed]")).not_to_contain_text("recorded")


def test_a_knob_left_wrong_is_named_when_its_method_comes_back(visit: Visit) -> None:
    """The test chooses another method and then this method again: the list shows the setting that would run,
    and a recipe corrects it.
    """
    page, status = visit.page, visit.page.locator("#status")
    mask = page.locator(
        "#knob-dbcache-steps_computation_mask input, #knob-dbcache-steps_computation_mask textarea"
    ).first
    mask.press_sequentially("10x")
    expect(status).to_contain_text("steps_computation_mask")
    for title in ("TeaCache", "DBCache + TaylorSeer"):
        page.locator("#method input").click()
        page.get_by_role("option", name=title, exact=True).click()
        expect(page.locator("#method input")).to_have_value(title)
    expect(mask).to_be_visible()
    expect(status).to_contain_text("steps_computation_mask: '10x' is not valid")
    page.locator("#generate button, button#generate").first.click()
    expect(status).to_have_text(re.compile("steps_computation_mask: '10x' is not valid"))
    recipe(page, "F1B0_W4MC3_R0.3_T1O1")
    expect(mask).to_have_value("")
    expect(status).not_to_contain_text("not valid")


def test_several_runs_a_side_are_timed_in_turn(visit: Visit) -> None:
    page = visit.page
    page.locator("#steps input").fill("6")
    generate(page)
    expect(page.locator("[data-card=speed]")).to_contain_text("1 run a side, warm")
    page.locator("#repeats input").fill("3")
    expect(page.locator("#status")).to_contain_text("Generate runs both sides in turn")
    generate(page)
    expect(page.locator("[data-card=speed]")).to_contain_text(
        re.compile(r"median of 3 alternating runs, \d\.\d\d× to \d\.\d\d×")
    )
    expect(page.locator("[data-card=speed]")).not_to_contain_text("reused")
    page.locator("#repeats input").fill("0")
    page.locator("#generate button, button#generate").first.click()
    expect(page.locator("#status")).to_contain_text("repeats: 0 is not valid")


def test_a_second_run_is_not_begun_from_the_prompt(visit: Visit) -> None:
    page = visit.page
    page.locator("#generate button, button#generate").first.click()
    expect(page.locator("#stop button, button#stop").first).to_be_enabled()
    for _ in range(2):
        page.locator("#prompt textarea").press("Shift+Enter")
    expect(page.locator("#status .cl-status")).to_have_attribute("data-kind", "done", timeout=RUN)
    expect(page.locator("#runs [data-index]")).to_have_count(1)
    expect(page.locator("#stop button, button#stop").first).to_be_disabled()
    page.wait_for_timeout(1000)  # a second click would have started a run by now
    expect(page.locator("#status .cl-status")).to_have_attribute("data-kind", "done")


def test_the_click_at_the_very_moment_that_generate_comes_back_is_a_run(visit: Visit) -> None:
    page = visit.page
    page.locator("#steps input").fill("4")
    page.locator("#steps input").blur()
    page.evaluate("""() => {
      const button = document.querySelector('#generate');
      let off = button.disabled, more = 2;
      new MutationObserver(() => {
        if (off && !button.disabled && more-- > 0) button.click();
        off = button.disabled;
      }).observe(button, { attributes: true });
    }""")
    page.locator("#generate").click()
    expect(page.locator("#runs [data-index]")).to_have_count(3, timeout=RUN)
    expect(page.locator("#generate")).to_be_enabled()


def test_a_mask_is_typed_and_deleted_again(visit: Visit) -> None:
    page = visit.page
    mask, text = (
        page.locator(
            "#knob-dbcache-steps_computation_mask textarea, #knob-dbcache-steps_computation_mask input"
        ),
        page.locator("#recipe-text input, #recipe-text textarea").first,
    )
    before = text.input_value()
    mask.press_sequentially("1" * 28)
    expect(text).to_have_value(re.compile(f"_SCM{'1' * 28}_"))
    mask.press("Backspace")
    expect(page.locator("#status")).to_contain_text("has 27 digits for 28 steps")
    mask.press("ControlOrMeta+a")
    mask.press("Delete")
    expect(text).to_have_value(before)
    expect(page.locator("#status")).not_to_contain_text("digits")
