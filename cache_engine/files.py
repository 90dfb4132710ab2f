"""Files that a request names: a LoRA or an input picture. Two files are equal only if their contents are
equal.
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BeforeValidator, Field

from .strict import EngineError, Strict

if TYPE_CHECKING:
    from PIL.Image import Image

SAFETENSORS = (".safetensors", ".sft")
HEX = r"^[0-9a-f]{64}$"
LEAST_SIDE, MOST_SIDE = 16, 8192  # pixels
MOST_PIXELS = 25_000_000  # a picture with transparency takes 19 bytes for each pixel while it is decoded
# Pillow knows more formats; for one of them, it starts another program.
FORMATS = ("PNG", "JPEG", "WEBP", "AVIF", "GIF", "BMP", "TIFF", "PPM")
MOST_LORAS = 8


_DECODING = threading.Lock()


class HashedFile(Strict):
    """A file's path and the hash of its contents.

    Without ``sha256``, the file is read and hashed. Raises EngineError if the file cannot be read.
    """

    file: str = Field(min_length=1, max_length=1000)
    sha256: str = Field(pattern=HEX)

    def __init__(self, /, **data: Any) -> None:
        if "sha256" not in data and isinstance(data.get("file"), str):
            data["sha256"] = self.hashed(data["file"])
        super().__init__(**data)

    @classmethod
    def hashed(cls, file: str) -> str:
        """Return the hash of the file's present contents. Raises EngineError if the file cannot be read."""
        path = Path(file)
        try:
            stat = path.stat()
            return _hash(path, stat.st_size, stat.st_mtime_ns)
        except (OSError, ValueError) as error:
            raise EngineError(
                f"file: {file[:200]} cannot be read "
                f"({getattr(error, 'strerror', None) or type(error).__name__}); name a file that exists."
            ) from None

    def unchanged(self) -> Path:
        """Return the file's path. Raises EngineError if the contents have changed since the request named the
        file.
        """
        if self.hashed(self.file) != self.sha256:
            raise EngineError(f"file: {self.file} has changed since it was named; name it again.")
        return Path(self.file)


class Lora(HashedFile):
    """A LoRA file: its weights are multiplied by ``weight`` and added to the model's own weights."""

    weight: float = Field(default=1.0, ge=-4, le=4)

    def __init__(self, /, **data: Any) -> None:
        if isinstance(file := data.get("file"), str) and not file.lower().endswith(SAFETENSORS):
            raise EngineError(
                f"loras: {file[:200]} is not a .safetensors file, and other formats can run code; "
                "convert it first."
            )
        super().__init__(**data)


class Picture(HashedFile):
    """The input picture of a model that edits pictures."""

    def __init__(self, /, **data: Any) -> None:
        super().__init__(**data)
        if "sha256" not in data:
            _opens(self)  # pyright: ignore[reportArgumentType]  # a frozen model has a hash

    def opened(self) -> Image:
        """Return the picture upright, in RGB with 8 bits. Transparent parts become white.

        Of an animation, this is the first frame. One picture at a time is decoded, so that many at once
        cannot fill the memory.

        Raises EngineError for a file that is not a picture, is damaged, or has changed since it was named,
        and for a picture whose value for white is not known.
        """
        from PIL import Image, ImageOps

        path = self.unchanged()
        Image.init()
        formats = [name for name in FORMATS if name in Image.OPEN]  # a Pillow can be built without AVIF
        try:
            with _DECODING, Image.open(path, formats=formats) as picture:
                within = all(LEAST_SIDE <= side <= MOST_SIDE for side in picture.size)
                if not within or picture.width * picture.height > MOST_PIXELS:
                    raise EngineError(
                        f"image: {path.name} has {picture.width} x {picture.height} pixels; choose a "
                        f"picture with sides of {LEAST_SIDE} to {MOST_SIDE} pixels, and at most "
                        f"{MOST_PIXELS // 1_000_000} million pixels."
                    )
                tags = getattr(picture, "tag_v2", {})  # of a TIFF; a turned picture has lost them
                upright = ImageOps.exif_transpose(picture)
                return _on_white(_eight_bits(upright, path.name, picture.format, tags))
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise EngineError(
                f"image: {path.name} is not a picture, or is damaged ({type(error).__name__}); choose a "
                "PNG, JPEG or WebP file."
            ) from None


@lru_cache(maxsize=64)
def _opens(picture: Picture) -> None:
    """Raise EngineError if the picture cannot be opened. A file that could is not decoded again."""
    picture.opened()


def _eight_bits(picture: Image, name: str, kind: str | None, tags: Mapping[int, Any]) -> Image:
    """Return a picture of larger or fractional numbers in 8 bits, scaled by their range. Other pictures are
    returned unchanged.

    kind: the picture's file format. tags: those of a TIFF, otherwise empty. They tell how many bits a number
    has, and whether 0 is white. Raises EngineError if the numbers do not tell which value is white.
    """
    import numpy as np
    from PIL import Image
    from PIL.TiffImagePlugin import BITSPERSAMPLE, PHOTOMETRIC_INTERPRETATION

    # Pillow scales the numbers of PNG and PPM to 65535; those of a TIFF with 12 bits end at 4095
    deep = picture.mode.startswith("I;16") or (picture.mode == "I" and kind == "PPM")
    if picture.mode == "I" and not deep:
        raise EngineError(
            f"image: {name} has 32-bit or signed integers, so its white is not known; save it as a PNG."
        )
    if not deep and picture.mode != "F":
        return picture
    values = np.asarray(picture, np.float32)
    low, high = values.min(), values.max()
    if not deep and not 0 <= low <= high <= 1:
        raise EngineError(
            f"image: {name} has fractional numbers from {low:g} to {high:g}; scale them to 0 to 1, or save "
            "it as a PNG."
        )
    white = 2 ** tags.get(BITSPERSAMPLE, (16,))[0] - 1 if deep else 1
    scaled = values * (255 / white)
    if tags.get(PHOTOMETRIC_INTERPRETATION) == 0:  # 0 is white
        scaled = 255 - scaled
    grey = Image.fromarray(np.round(scaled).astype(np.uint8))
    if (hidden := picture.info.get("transparency")) is not None:
        grey.putalpha(Image.fromarray((values != hidden).astype(np.uint8) * 255))
    return grey


def _on_white(picture: Image) -> Image:
    """Return the picture in RGB on a white background, because transparent pixels may have any colour."""
    from PIL import Image

    if not picture.has_transparency_data:
        return picture.convert("RGB")
    layer = picture.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer).convert("RGB")


def _lora(value: object) -> object:
    return Lora(**value) if isinstance(value, Mapping) else value


def _loras(value: object) -> object:
    return tuple(map(_lora, value)) if isinstance(value, list | tuple) else value


def _picture(value: object) -> object:
    return Picture(**value) if isinstance(value, Mapping) else value


# Both types also accept dictionaries in the form of JSON and ``model_dump``.
Loras = Annotated[tuple[Lora, ...], BeforeValidator(_loras)]
Input = Annotated[Picture | None, BeforeValidator(_picture)]


@lru_cache(maxsize=64)
def _hash(path: Path, size: int, modified: int) -> str:
    """Hash the file. A cached hash is returned while path, size and time of change stay the same."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
