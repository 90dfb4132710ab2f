"""Presets: each file of ``presets/``, and those that the user saved, is a setting with a name. They set a
method's knobs alone.

Published figures are carried along as printed by their source; none of them was measured here.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property, lru_cache
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cache_engine import EngineError, Method, method_from

from .engine.store import user_folder

MOST_LETTERS = 60
FOLDER = Path(__file__).resolve().parent.parent / "presets"


class Published(BaseModel):
    """What a source printed about a setting. Times in seconds, ratios over the source's own baseline.

    ``psnr_as_printed``: cache-dit's script wraps 8-bit differences, so its values under about 31 dB are too
    high.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    source: str = Field(min_length=1)
    configs: tuple[str, ...] = Field(min_length=1)  # the names of the rows in published.csv
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
    """One file. ``models`` is None where the setting suits any; ``steps`` is what it was made for, a hint
    only.
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
        """Its method, made once. Raises EngineError for a method that ``read`` would have refused."""
        return method_from(self.method)

    def suits(self, model: str) -> bool:
        return self.models is None or model in self.models


def read(path: Path) -> Preset:
    """One preset file.

    Raises EngineError: one sentence that names the file and the key.
    """
    name = f"{path.parent.name}/{path.name}"
    try:
        preset = Preset.model_validate_json(path.read_text(encoding="utf-8"))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(map(str, first["loc"])) or "the whole file"
        reason = first["msg"][0].lower() + first["msg"][1:]
        raise EngineError(f"{name}: {key}: {reason}; correct the file or remove it.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise EngineError(
            f"{name}: cannot be read ({type(error).__name__}); correct the file or remove it."
        ) from None
    try:
        _ = preset.setting
    except EngineError as error:
        raise EngineError(f"{name}: method.{error}") from None
    return preset


@lru_cache
def presets(folder: Path = FOLDER) -> tuple[Preset, ...]:
    """Those of a folder, in the order of their file names. Raises EngineError for the first that is wrong."""
    return tuple(read(path) for path in sorted(folder.glob("*.json")))


def own() -> Path:
    """Where this user's are kept."""
    return user_folder() / "presets"


def save(title: str, description: str, model: str, steps: int, method: Mapping[str, Any]) -> Preset:
    """A new preset of this user's. Raises EngineError where there is no name, or another has it."""
    if not 1 <= len(title) <= MOST_LETTERS:
        raise EngineError(
            f"name: {title[:20]!r} is not valid; give the preset a name of 1 to {MOST_LETTERS} characters."
        )
    if any(one.title == title for one in (*presets(), *presets(own()))):
        raise EngineError(f"name: there is a preset “{title}” already; choose another name.")
    preset = Preset(
        title=title, description=description[:300], models=(model,), steps=steps, method=dict(method)
    )
    plain = "".join(
        letter if letter.isascii() and letter.isalnum() else "-" for letter in title.lower()
    ).strip("-")[:40]
    path = own() / f"{plain}-{sha256(title.encode()).hexdigest()[:6]}.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(preset.model_dump_json(indent=1, exclude_none=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise EngineError(
            f"presets: {path.parent} cannot be written to ({error.strerror}); make room, or set "
            f"CACHELENS_DIR."
        ) from None
    presets.cache_clear()
    return preset


def presets_for(model: str, method: str | None = None) -> dict[str, Preset]:
    """The presets that suit a model, by title; with ``method``, that method's alone."""
    return {
        preset.title: preset
        for preset in (*presets(), *presets(own()))
        if preset.suits(model) and method in (None, preset.method["name"])
    }


def preset_title(model: str, method: Method) -> str:
    """Title of the first preset that suits the model and sets exactly this method; "" where there is none."""
    return next((title for title, preset in presets_for(model).items() if preset.setting == method), "")
