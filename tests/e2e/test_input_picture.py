"""Tests the optional input picture on the tab Compare in a real browser, on a tiny pipeline that edits
pictures: it is shown, used and counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image
from playwright.sync_api import Browser, Page, expect

from app.page import build_page, launch_options
from cache_engine import MODELS, loading
from cache_engine.models.catalog import spec_of
from tests.engine import editing

RUN = 240_000  # milliseconds
# Counts how often Generate became clickable again, because a run of four steps may end before the test looks.
ENDS = """() => {
  const button = document.querySelector('#generate');
  let off = button.disabled;
  window.ends = 0;
  new MutationObserver(() => {
    if (off && !button.disabled) window.ends += 1;
    off = button.disabled;
  }).observe(button, { attributes: true });
}"""


@pytest.fixture(scope="module")
def page(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """Yield a page whose second model is a tiny FLUX.1 Kontext with random weights."""
    folder = editing.kontext(tmp_path_factory.mktemp("kontext"))
    row = replace(
        spec_of(str(folder)),
        name="kontext",
        title="Kontext",
        sizes=((64, 64),),
        steps=4,
        max_sequence_length=16,
    )
    patch = pytest.MonkeyPatch()
    patch.setitem(MODELS._filled(), "kontext", row)
    patch.setenv("GRADIO_TEMP_DIR", str(tmp_path_factory.mktemp("gradio")))
    served = build_page()
    _, address, _ = served.launch(
        prevent_thread_lock=True, quiet=True, server_name="127.0.0.1", **launch_options(served)
    )
    context = browser.new_context(viewport={"width": 1440, "height": 1000})
    open_page = context.new_page()
    open_page.goto(address)
    open_page.locator("#generate").wait_for(timeout=60_000)
    yield open_page
    expect(open_page.locator(".cl-engine")).to_have_attribute(
        "data-state", "idle", timeout=RUN
    )  # its thread must end with the test
    context.close()
    served.close(verbose=False)
    patch.undo()
    loading.unload_model()


def test_a_picture_is_shown_for_a_model_that_takes_one_and_is_part_of_the_run(
    page: Page, tmp_path: Path
) -> None:
    fox, field = tmp_path / "fox.png", page.locator("#picture")
    Image.linear_gradient("L").resize((96, 64)).convert("RGB").save(fox)
    page.locator("#files button").first.click()
    expect(page.locator("#lora")).to_be_visible()
    expect(field).to_be_hidden()  # the embedded model takes no input picture
    page.locator("#model input").click()
    page.get_by_role("option", name="Kontext", exact=True).click()
    expect(field).to_be_visible()

    page.evaluate(ENDS)

    def baseline() -> float:
        """Return the compute of the shown baseline, in the unit of the headline."""
        before = page.evaluate("window.ends")
        page.locator("#generate").click()
        page.wait_for_function("before => window.ends > before", arg=before, timeout=RUN)
        expect(page.locator("#status .cl-status")).to_have_attribute("data-kind", "done", timeout=RUN)
        told = page.locator("[data-card=flops]").inner_text()
        match = re.search(r"([\d.,]+)\s*→", told) or pytest.fail(told)
        return float(match[1].replace(",", ""))

    without = baseline()
    field.locator("input[type=file]").set_input_files(fox)
    expect(field.locator("img")).to_be_visible()
    given = baseline()
    assert given != without
    field.locator("button[aria-label*=Clear], button[aria-label*=Remove]").first.click()
    expect(field.locator("img")).to_be_hidden()
    assert baseline() == without
    expect(page.locator("#status")).to_contain_text(
        "was reused; only the accelerated side ran"
    )  # the baseline of the run without a picture
    page.locator("#model input").click()
    page.get_by_role("option", name="tiny FLUX (embedded)").click()
    expect(field).to_be_hidden()
