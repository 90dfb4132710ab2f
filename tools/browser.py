"""Finds Chromium or Chrome for the browser tests, and prints its path.

python tools/browser.py [--install]     --install first installs it with apt-get, on Debian and Ubuntu as root
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
    "The browser tests found no Chromium or Chrome. Install one (Debian: `apt-get install chromium` as "
    "root; macOS: `brew install --cask chromium`; Windows: Chrome), or set CHROMIUM to its path. Then "
    "run `make test` again."
)


def find() -> str | None:
    """Return the browser's path: from CHROMIUM, from PATH, or from the places where macOS and Windows install
    it. Return None if no browser is found.
    """
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
    """Return whether Noto Color Emoji can be opened by name: the smoke run of the training draws with it."""
    from PIL import ImageFont

    try:
        ImageFont.truetype("NotoColorEmoji.ttf", 109)
    except OSError:
        return False
    return True


def install() -> None:
    """Install with apt-get, as root: fonts, the emoji that training draws, and a browser if the machine has
    none.
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
