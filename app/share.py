"""Writes a comparison's settings as text into its pictures, a link and result.json, and reads them back.

The text holds only the fields below: no file, no path, and no name of a machine.
"""

from __future__ import annotations

import base64
import binascii
import io
import json
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image, UnidentifiedImageError
from PIL.PngImagePlugin import PngInfo

from cache_engine import Comparison, EngineError, Method, RunRequest, comparison_json, difference

from . import form
from .words import beside, other_size

KEY = "cachelens"  # name of the text chunk in a PNG
QUERY = "c"  # name of the link's parameter
FIELDS = (
    "model",
    "prompt",
    "negative_prompt",
    "seed",
    "steps",
    "width",
    "height",
    "guidance",
    "true_cfg_scale",
    "max_sequence_length",
)
MOST_LETTERS = 20_000  # letters of a description; the longest prompts and masks take a quarter of these
# Bytes of a result.json, and of a PNG before its pixels. A run of 200 steps takes a tenth of these.
MOST_BYTES = 2_000_000
FILES = (".png", ".json")


class Carried(NamedTuple):
    """The settings in a file or a link. ``left``: the parts of the comparison that it does not contain."""

    request: RunRequest
    method: Method
    left: tuple[str, ...] = ()


def sentence(left: Iterable[str]) -> str:
    """Return a sentence that names the missing parts, or "" if nothing is missing."""
    parts = list(left)
    return f" Not included: {', '.join(parts)}." if parts else ""


def text_of(comparison: Comparison) -> str:
    """Return request and method as JSON."""
    request = comparison.baseline.request
    fields = {name: value for name in FIELDS if (value := getattr(request, name)) not in (None, "")}
    left = beside(request)
    return json.dumps(
        {"request": fields, "method": comparison.accelerated.method} | ({"left": left} if left else {}),
        ensure_ascii=False,
    )


def query_of(comparison: Comparison) -> str:
    """Return ``?c=...``. Added to the page's address, it opens the page with this setting."""
    return f"?{QUERY}={base64.urlsafe_b64encode(text_of(comparison).encode()).decode().rstrip('=')}"


def from_query(packed: str) -> Carried:
    """Read the value of ``c=``. Raises EngineError if the value cannot be read."""
    try:
        text = base64.b64decode(
            packed[: MOST_LETTERS * 2].encode() + b"==", altchars=b"-_", validate=False
        ).decode()
    except (ValueError, binascii.Error):
        raise EngineError("link: it is incomplete; copy it again from the page that made it.") from None
    return from_text(text, "link")


def from_text(text: str, source: str) -> Carried:
    """Read a text that ``text_of`` wrote, or a result.json, whose other fields are ignored. Raises
    EngineError.
    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    if (
        not isinstance(data, dict)
        or not isinstance(data.get("request"), dict)
        or not isinstance(data.get("method"), dict)
    ):
        raise EngineError(
            f"{source}: it holds no setting of a comparison; choose a file or link that CacheLens made."
        )
    given = data["request"]
    left = data.get("left")
    missing = [word for word, name in (("LoRA", "loras"), ("input picture", "image")) if given.get(name)]
    missing += [str(word)[:40] for word in left[:4]] if isinstance(left, list) else []
    fields = {name: given[name] for name in FIELDS if given.get(name) is not None}
    if size := other_size(str(given.get("model")), given.get("width"), given.get("height")):
        fields = {name: value for name, value in fields.items() if name not in ("width", "height")}
        missing.append(size)
    request = form.request_from(fields)
    return Carried(
        request, form.method_of(data["method"], request), tuple(dict.fromkeys([*missing, *beside(request)]))
    )


def from_file(path: str) -> Carried:
    """Read the setting from a PNG or a result.json. Pixels are not decoded. Raises EngineError."""
    is_picture = Path(path).suffix.lower() == ".png"
    try:
        with Path(path).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES and not is_picture:
            raise EngineError(
                f"file: it is larger than {MOST_BYTES // 1_000_000} MB; choose a PNG or a result.json "
                "that CacheLens made."
            )
        text = _inside(data) if is_picture else data.decode()
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError):
        raise EngineError(
            "file: it cannot be read; choose a PNG or a result.json that CacheLens made."
        ) from None
    return from_text(text, "file")


def _inside(data: bytes) -> str:
    """Return the text that a PNG carries before its pixels. ``data``: the file's first bytes."""
    with Image.open(io.BytesIO(data), formats=["PNG"]) as picture:
        # ``picture.text`` would decode all pixels and frames, to find texts behind them.
        return str(picture.info.get(KEY, ""))


def archive(comparison: Comparison, *, inside: bool = True) -> bytes:
    """Pack baseline.png, accelerated.png, difference.png and result.json into a zip.

    inside: True if the pictures carry the setting too.
    """
    before, after = comparison.baseline.image, comparison.accelerated.image
    note = PngInfo()
    if inside:
        note.add_itxt(KEY, text_of(comparison))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as files:
        for name, picture in (
            ("baseline", before),
            ("accelerated", after),
            ("difference", difference(before, after)),
        ):
            drawn = io.BytesIO()
            picture.save(drawn, "PNG", pnginfo=note)
            files.writestr(f"{name}.png", drawn.getvalue())
        files.writestr("result.json", json.dumps(_figures(comparison), indent=1, ensure_ascii=False))
    return packed.getvalue()


def _figures(comparison: Comparison) -> dict[str, Any]:
    """Return the contents of result.json, with file names instead of this machine's paths."""
    result = comparison_json(comparison)
    for request in (result["request"], result["baseline"]["effective"], result["accelerated"]["effective"]):
        for file in (*request["loras"], *filter(None, [request["image"]])):
            file["file"] = Path(file["file"]).name
    return result
