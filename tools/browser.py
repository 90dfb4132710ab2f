"""Find a Chromium or Chrome for the browser tests; with --install, get Debian's packages where that is
possible.

python tools/browser.py [--install]     prints its path
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
    "~/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "${PROGRAMFILES}/Google/Chrome/Application/chrome.exe",
    "${PROGRAMFILES(X86)}/Google/Chrome/Application/chrome.exe",
    "${LOCALAPPDATA}/Google/Chrome/Application/chrome.exe",
    "${PROGRAMFILES(X86)}/Microsoft/Edge/Application/msedge.exe",
)
ADVICE = (
    "The browser tests found no Chromium or Chrome. Install one (Debian: `apt-get install chromium` as root; "
    "macOS: `brew install --cask chromium`; Windows: Chrome), or set CHROMIUM to its path; then `make test` "
    "again."
)


def find() -> str | None:
    """Its path: CHROMIUM if set, else the first on PATH, else where macOS and Windows put it."""
    if named := os.environ.get("CHROMIUM"):
        return shutil.which(named)
    on_path = (shutil.which(name) for name in NAMES)
    placed = (str(path) for place in PLACES if (path := Path(expanded(place))).is_file())
    return next((found for found in (*on_path, *placed) if found), None)


def expanded(place: str) -> str:
    for name in ("PROGRAMFILES(X86)", "PROGRAMFILES", "LOCALAPPDATA"):
        place = place.replace(f"${{{name}}}", os.environ.get(name, ""))
    return os.path.expanduser(place)


def has_emoji() -> bool:
    """Whether Noto Color Emoji can be opened by its name, as the smoke run of the training does."""
    from PIL import ImageFont

    try:
        ImageFont.truetype("NotoColorEmoji.ttf", 109)
    except OSError:
        return False
    return True


def install() -> None:
    """Debian and Ubuntu as root: the browser where there is none, a font family, and the emoji that training
    draws.
    """
    apt = shutil.which("apt-get")
    if apt and getattr(os, "geteuid", lambda: 1)() == 0:
        quiet = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        subprocess.run([apt, "update", "-qq"], env=quiet)
        packages = ["fonts-liberation", "fonts-noto-color-emoji", *(["chromium"] if not find() else [])]
        subprocess.run([apt, "install", "-y", "-qq", "--no-install-recommends", *packages], env=quiet)


if __name__ == "__main__":
    if "--install" in sys.argv and not (find() and has_emoji()):
        install()
    print(find() or ADVICE)
    sys.exit(find() is None)
