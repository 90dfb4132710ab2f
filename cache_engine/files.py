"""Files that a request names: a LoRA, an input picture. Two are equal only if their contents are."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field

from .strict import EngineError, Strict

if TYPE_CHECKING:
    from PIL.Image import Image

HEX = r"^[0-9a-f]{64}$"
LEAST_SIDE, MOST_SIDE = 16, 8192  # pixels
MOST_LORAS = 8


class Named(Strict):
    """A file by its path and what is in it. ``sha256`` is taken from the file where it is not given. Raises
    EngineError.
    """

    file: str = Field(min_length=1, max_length=1000)
    sha256: str = Field(pattern=HEX)

    def __init__(self, **data: Any) -> None:
        if "sha256" not in data and isinstance(data.get("file"), str):
            data["sha256"] = self.hashed(data["file"])
        super().__init__(**data)

    @classmethod
    def hashed(cls, file: str) -> str:
        """The hash of what the file holds now. Raises EngineError where there is none."""
        path = Path(file)
        try:
            found = path.stat()
            return _hash(path, found.st_size, found.st_mtime_ns)
        except (OSError, ValueError) as error:
            raise EngineError(
                f"file: {file[:200]} cannot be read "
                f"({getattr(error, 'strerror', None) or type(error).__name__}); name a file that is there."
            ) from None

    def unchanged(self) -> Path:
        """The file's path. Raises EngineError where it holds something else by now."""
        if self.hashed(self.file) != self.sha256:
            raise EngineError(f"file: {self.file} has changed since it was named; name it again.")
        return Path(self.file)


class Lora(Named):
    """Weights that are added to a model's own, and how strongly."""

    weight: float = Field(default=1.0, ge=-4, le=4)

    def __init__(self, **data: Any) -> None:
        if isinstance(file := data.get("file"), str) and not file.lower().endswith(".safetensors"):
            raise EngineError(
                f"loras: {file[:200]} is no .safetensors file; other kinds can run code, so convert it first."
            )
        super().__init__(**data)


class Picture(Named):
    """A picture to start from."""

    def __init__(self, **data: Any) -> None:
        super().__init__(**data)
        if "sha256" not in data:
            self.opened()

    def opened(self) -> Image:
        """Upright, in RGB. Raises EngineError for a file that is no picture, is damaged, or has changed
        since it was named.
        """
        from PIL import Image, ImageOps

        path = self.unchanged()
        try:
            with Image.open(path) as found:
                if not all(LEAST_SIDE <= side <= MOST_SIDE for side in found.size):
                    raise EngineError(
                        f"image: {path.name} has {found.width} x {found.height} pixels; choose one of "
                        f"{LEAST_SIDE} to {MOST_SIDE} a side."
                    )
                return ImageOps.exif_transpose(found).convert("RGB")
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise EngineError(
                f"image: {path.name} is no picture, or is damaged ({type(error).__name__}); choose a PNG, "
                "JPEG or WebP file."
            ) from None


def _lora(value: object) -> object:
    return Lora(**value) if isinstance(value, Mapping) else value


def _loras(value: object) -> object:
    return tuple(map(_lora, value)) if isinstance(value, list | tuple) else value


def _picture(value: object) -> object:
    return Picture(**value) if isinstance(value, Mapping) else value


# As JSON and ``model_dump`` have them, too.
Loras = Annotated[tuple[Lora, ...], BeforeValidator(_loras)]
Input = Annotated[Picture | None, BeforeValidator(_picture)]


@lru_cache(maxsize=64)
def _hash(path: Path, size: int, modified: int) -> str:
    """Read again only if the file's size or time is another."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
