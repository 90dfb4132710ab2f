"""Presets are named settings: from the files in ``presets/``, and from files that the user saved.

A preset sets only a method's knobs. A preset's published figures are those that its source printed; CacheLens
did not measure them.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cache_engine import EngineError, Method, method_from, writable, write_whole

from .engine.store import user_folder

MOST_LETTERS = 60
MOST_PRESETS = 200  # of this user; every one is a chip on the page
log = logging.getLogger(__name__)
FOLDER = Path(__file__).resolve().parent.parent / "presets"


class Published(BaseModel):
    """A source's figures about a setting. Times are in seconds; ratios compare with the source's own
    baseline.

    ``psnr_as_printed``: cache-dit's script lets 8-bit differences wrap around, so its values below about 31
    dB are too high.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    source: str = Field(min_length=1)
    configs: tuple[str, ...] = Field(min_length=1)  # names of rows in published.csv
    tflops: float = Field(gt=0)
    speedup_tflops: float | None = None
    latency_s: float | None = None
    speedup_latency: float | None = None
    clip_score: float | None = None
    image_reward: float | None = None
    psnr_as_printed: float | None = None
    ssim: float | None = None
    lpips: float | None = None


class Preset(BaseModel):
    """One preset file.

    ``models``: None if the setting suits every model. steps: the number of steps that the setting was made
    for, as a hint.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    title: str = Field(min_length=1, max_length=MOST_LETTERS)
    description: str = Field(min_length=1, max_length=300)
    models: tuple[str, ...] | None
    steps: int | None = Field(ge=1, le=200)
    method: dict[str, Any]
    published: Published | None = None

    @cached_property
    def setting(self) -> Method:
        """Return the preset's method; it is made once.

        Raises EngineError for a method that ``read`` would have refused.
        """
        return method_from(self.method)

    def suits(self, model: str) -> bool:
        """Return whether the preset is offered for a model."""
        return self.models is None or model in self.models


def read(path: Path) -> Preset:
    """Read a preset file. Raises EngineError with one sentence that names the file and the key."""
    name = f"{path.parent.name}/{path.name}"
    try:
        preset = Preset.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the whole file"
        reason = first["msg"][0].lower() + first["msg"][1:]
        raise EngineError(f"{name}: {key}: {reason}; correct the file, or remove it.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise EngineError(
            f"{name}: cannot be read ({type(error).__name__}); correct the file, or remove it."
        ) from None
    try:
        _ = preset.setting
    except EngineError as error:
        raise EngineError(f"{name}: method.{error}") from None
    return preset


class OwnPresets(NamedTuple):
    """This user's presets, and a sentence for each file that is no preset."""

    presets: tuple[Preset, ...]
    skipped: tuple[str, ...]


@lru_cache
def _own(folder: Path) -> OwnPresets:
    presets, skipped = [], []
    for path in sorted(folder.glob("*.json")):
        try:
            presets.append(read(path))
        except EngineError as error:
            log.warning("%s", error)
            skipped.append(str(error))
    return OwnPresets(tuple(presets), tuple(skipped))


def own_presets() -> OwnPresets:
    """Return the presets that this user saved. A file that is no preset must not stop the page."""
    return _own(own_folder())


@lru_cache
def presets(folder: Path = FOLDER) -> tuple[Preset, ...]:
    """Return a folder's presets in the order of their file names.

    Raises EngineError for the first wrong file.
    """
    return tuple(read(path) for path in sorted(folder.glob("*.json")))


def own_folder() -> Path:
    """Return the folder of this user's presets."""
    return user_folder() / "presets"


def save(title: str, description: str, model: str, steps: int, method: Mapping[str, Any]) -> Preset:
    """Save a preset of this user. Raises EngineError if the name is empty, too long or taken."""
    title, description = writable(title), writable(description)
    if not 1 <= len(title) <= MOST_LETTERS:
        raise EngineError(
            f"name: {title[:20]!r} is not valid; give the preset a name of 1 to {MOST_LETTERS} characters."
        )
    if len(own_presets().presets) >= MOST_PRESETS:
        raise EngineError(
            f"presets: {MOST_PRESETS} are stored already; remove some from presets in CACHELENS_DIR."
        )
    if any(preset.title == title for preset in (*presets(), *own_presets().presets)):
        raise EngineError(f"name: a preset “{title}” exists already; choose another name.")
    preset = Preset(
        title=title, description=description[:300], models=(model,), steps=steps, method=dict(method)
    )
    plain = "".join(
        letter if letter.isascii() and letter.isalnum() else "-" for letter in title.lower()
    ).strip("-")[:40]
    path = own_folder() / f"{plain}-{sha256(title.encode()).hexdigest()[:6]}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, f"{preset.model_dump_json(indent=1, exclude_none=False)}\n".encode())
    except OSError as error:
        raise EngineError(
            f"presets: {path.parent} cannot be written to ({error.strerror}); make room, or set "
            "CACHELENS_DIR."
        ) from None
    _own.cache_clear()
    return preset


def presets_for(model: str, method: str | None = None) -> dict[str, Preset]:
    """Return the presets that suit a model, by title. With ``method``, only presets of this method."""
    return {
        preset.title: preset
        for preset in (*presets(), *own_presets().presets)
        if preset.suits(model) and method in (None, preset.method["name"])
    }


def preset_title(model: str, method: Method) -> str:
    """Return the title of the model's first preset that has exactly this method, or ""."""
    return next((title for title, preset in presets_for(model).items() if preset.setting == method), "")
