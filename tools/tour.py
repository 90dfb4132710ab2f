"""Photograph the page as it opens, light and dark, for the README: docs/pictures/light.png and dark.png.

make tour
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.e2e.conftest import FLAGS, Server
from tools import browser

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "pictures"
WIDTH, HEIGHT = 1440, 900
COLOURS = 256  # of a picture: a fifth of the bytes, and nothing to see of it
MOST_BYTES = 300_000  # of both pictures


def photographs(address: str, chromium: str) -> dict[str, bytes]:
    """PNGs of the page in both themes, once its recorded example is drawn."""
    found: dict[str, bytes] = {}
    with sync_playwright() as play:
        window = play.chromium.launch(executable_path=chromium, args=FLAGS)
        page = window.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(address)
        page.locator("#generate").wait_for(timeout=60_000)
        page.wait_for_function("document.querySelector('.cl-engine')?.textContent?.length > 0")
        page.wait_for_load_state("networkidle")
        for name in ("light", "dark"):
            if name == "dark":
                page.get_by_role("button", name="Dark theme").click()
            page.mouse.move(0, 0)
            page.wait_for_timeout(600)  # transitions end
            found[name] = page.screenshot()
        window.close()
    return found


def main() -> None:
    chromium = browser.find()
    if chromium is None:
        raise SystemExit(browser.ADVICE)
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder))
        server.start()
        try:
            pictures = photographs(server.address, chromium)
        finally:
            server.kill()
    FOLDER.mkdir(parents=True, exist_ok=True)
    size = 0
    for name, png in pictures.items():
        path = FOLDER / f"{name}.png"
        drawn = Image.open(io.BytesIO(png)).convert("RGB")
        drawn.quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
        size += path.stat().st_size
    print(f"{FOLDER}: {size / 1000:.0f} kB")
    if size > MOST_BYTES:
        sys.exit(f"{FOLDER}: {size} bytes are more than the {MOST_BYTES} that a README should load.")


if __name__ == "__main__":
    main()
