"""Pictures of the domain: emoji composed on coloured backgrounds, always aligned to the token grid."""

from __future__ import annotations

from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from .domain import BACKGROUNDS, SIZE, SIZES, THINGS, TOKEN, Light, Spec, offset

FONT = "NotoColorEmoji.ttf"  # Debian: fonts-noto-color-emoji
BITMAP = 109  # the only size at which the font has bitmaps


@cache
def glyph(thing: str) -> Image.Image:
    """Return the colour bitmap (RGBA) of the thing, without empty margins."""
    font = ImageFont.truetype(FONT, BITMAP)
    image = Image.new("RGBA", (160, 160))
    ImageDraw.Draw(image).text((8, 8), THINGS[thing][0], font=font, embedded_color=True)
    return image.crop(image.getbbox())


@cache
def sprite(thing: str, size: str, double: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """(premultiplied colour (n, n, 3), transparency (n, n, 1)), float32 0..1, n = pixels a side of that
    size; double: twice as many, with twice the margin.
    """
    single = SIZES[size] * TOKEN
    factor = 2 if double else 1
    side, inner = factor * single, factor * (single - 2 * max(1, single // 32))
    image = glyph(thing).convert("RGBa")  # premultiplied: no dark fringe
    scale = inner / max(image.size)
    image = image.resize(
        (max(1, round(image.width * scale)), max(1, round(image.height * scale))), Image.Resampling.LANCZOS
    )
    box = np.zeros((side, side, 4), np.float32)
    left, top = (side - image.width) // 2, (side - image.height) // 2
    box[top : top + image.height, left : left + image.width] = (
        np.frombuffer(image.tobytes(), np.uint8).reshape(image.height, image.width, 4) / 255
    )
    return np.ascontiguousarray(box[..., :3]), np.ascontiguousarray(1 - box[..., 3:])


def backdrop(background: str, shade: float = 1.0, slope: float = 0.0, side: int = SIZE) -> np.ndarray:
    """Return a picture of the background alone: (side, side, 3), float32 in 0..1.

    Its brightness changes slowly from top to bottom.
    """
    colour = np.array(BACKGROUNDS[background], np.float32) / 255
    rows = shade + slope * np.linspace(-0.5, 0.5, side, dtype=np.float32)
    return np.clip(np.broadcast_to(colour * rows[:, None, None], (side, side, 3)), 0, 1)


def render(spec: Spec, light: Light, double: bool = False) -> np.ndarray:
    """Render a picture (SIZE, SIZE, 3), float32 in 0..1. double: render it at twice the size."""
    factor = 2 if double else 1
    picture = backdrop(spec.background, *light, side=factor * SIZE).copy()
    colour, clear = sprite(spec.thing, spec.size, double)
    side = len(colour)
    x, y = (factor * TOKEN * n for n in offset(spec.place, spec.size))
    picture[y : y + side, x : x + side] = picture[y : y + side, x : x + side] * clear + colour
    return picture


def sheet(pictures: list[np.ndarray], columns: int = 8, gap: int = 4) -> Image.Image:
    """Put pictures (n, n, 3) in 0..1 side by side on white."""
    side = len(pictures[0])
    lines = -(-len(pictures) // columns)
    page = Image.new("RGB", (columns * (side + gap) - gap, lines * (side + gap) - gap), "white")
    for i, picture in enumerate(pictures):
        tile = Image.fromarray((np.clip(picture, 0, 1) * 255).round().astype(np.uint8))
        page.paste(tile, (i % columns * (side + gap), i // columns * (side + gap)))
    return page
