"""A row holds the figures of one run (one prompt with one setting). Each row is one
line of ``table.jsonl``.
"""

from __future__ import annotations

import io
from typing import Any

from PIL import Image

from ..records import RunResult
from .setting import Setting

IMAGES = "images"
Row = dict[str, Any]
Key = tuple[int, str]  # the prompt's number and the setting's key


def key_of(row: Row) -> Key:
    """Return the key that distinguishes a row from all other rows of its table."""
    return row["prompt"], row["setting"]


def row_of(number: int, setting: Setting, result: RunResult) -> Row:
    """Return the row of a run. ``number``: the prompt's place in its list."""
    return {
        "prompt": number,
        "setting": setting.key,
        "text": result.request.prompt,
        "seed": result.request.seed,
        "steps": result.effective.steps,
        "computed": result.schedule.count("C"),
        "schedules": result.schedules,
        "tflops": result.tflops,
        "seconds": result.seconds._asdict(),
        "peak_bytes": result.peak_bytes,
        "cache_bytes": result.cache_bytes,
        "picture": f"{IMAGES}/{setting.folder}/{number:05d}.png",
    }


def png_of(picture: Image.Image) -> bytes:
    """Return the picture as the bytes of a PNG file."""
    file = io.BytesIO()
    picture.save(file, format="PNG")
    return file.getvalue()
