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
DRAWN = "document.images.length > 1 && [...document.images].every((image) => image.naturalWidth > 0)"
COLOURS = 256  # number of colours in pictures that would otherwise be too large
MOST_BYTES = 300_000  # largest size of both pictures together


def photographs(address: str, chromium: str) -> dict[str, bytes]:
    """Return PNGs of the page in both themes, taken once the recorded example is drawn."""
    found: dict[str, bytes] = {}
    with sync_playwright() as play:
        window = play.chromium.launch(executable_path=chromium, args=FLAGS)
        page = window.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        page.goto(address)
        page.locator("#generate").wait_for(timeout=60_000)
        page.wait_for_function("document.querySelector('.cl-engine')?.textContent?.length > 0")
        page.wait_for_function(DRAWN)
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
    drawn = {name: Image.open(io.BytesIO(png)).convert("RGB") for name, png in pictures.items()}
    if (size := save(drawn)) > MOST_BYTES:
        drawn = {name: picture.quantize(COLOURS) for name, picture in drawn.items()}
        size = save(drawn)
    print(f"{FOLDER}: {size / 1000:.0f} kB")
    if size > MOST_BYTES:
        sys.exit(f"{FOLDER}: {size} bytes are more than the {MOST_BYTES} that a README should load.")


def save(pictures: dict[str, Image.Image]) -> int:
    """Write the PNGs and return their size in bytes."""
    paths = {FOLDER / f"{name}.png": picture for name, picture in pictures.items()}
    for path, picture in paths.items():
        picture.save(path, optimize=True)
    return sum(path.stat().st_size for path in paths)


if __name__ == "__main__":
    main()
