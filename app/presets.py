"""Presets: each file of ``presets/`` is a setting with a name. They set a method's knobs and nothing else of the page.

Published figures are carried along as printed by their source; none of them was measured here.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from cache_engine import EngineError, method_from

FOLDER = Path(__file__).resolve().parent.parent / "presets"


class Published(BaseModel):
    """What a source printed about a setting. Times in seconds, ratios over the source's own baseline.

    ``psnr_as_printed``: cache-dit's script wraps 8-bit differences, so its values under about 31 dB are too high.
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
    """One file. ``models`` is None where the setting suits any; ``steps`` is what it was made for, a hint only."""

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    title: str = Field(min_length=1, max_length=60)
    description: str = Field(min_length=1, max_length=300)
    models: tuple[str, ...] | None
    steps: int | None = Field(ge=1, le=200)
    method: dict[str, Any]
    published: Published | None = None

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
        raise EngineError(f"{name}: cannot be read ({type(error).__name__}); correct the file or remove it.") from None
    try:
        method_from(preset.method)
    except EngineError as error:
        raise EngineError(f"{name}: method.{error}") from None
    return preset


@lru_cache
def presets(folder: Path = FOLDER) -> tuple[Preset, ...]:
    """All of them, in the order of their file names. Raises EngineError for the first that is wrong."""
    return tuple(read(path) for path in sorted(folder.glob("*.json")))


def presets_for(model: str, method: str | None = None) -> dict[str, Preset]:
    """The presets that suit a model, by title; with ``method``, that method's alone."""
    return {preset.title: preset for preset in presets()
            if preset.suits(model) and method in (None, preset.method["name"])}
