"""Scores pictures: compares the prompt with the rendered reference that is nearest to the picture."""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path
from random import Random
from typing import NamedTuple

import numpy as np
import torch
from diffusers import FluxPipeline

from .domain import (
    BACKGROUNDS,
    DRAWN,
    GRID,
    PLACES,
    SIZE,
    SIZES,
    THINGS,
    TOKEN,
    Spec,
    caption,
    held_out_pairs,
    offset,
)
from .render import backdrop, sprite
from .train import RUNNING

STEPS = 28
PURE = GRID**2 - max(SIZES.values()) ** 2  # at least this many tokens show only background


class Found(NamedTuple):
    """The reference that is nearest to a picture, and the PSNR between the two."""

    thing: str
    background: str
    size: str
    x: int
    y: int
    psnr_db: float


def held_out(count: int, seed: int = 7) -> list[tuple[Spec, str]]:
    """Return specs of held-out pairs, with captions. Each pair, place and size occurs about equally often."""
    rng = Random(seed)
    pairs: list[tuple[str, str]] = []
    while len(pairs) < count:
        fresh = held_out_pairs()
        rng.shuffle(fresh)
        pairs += fresh
    specs = [Spec(*pair, rng.choice(list(PLACES)), rng.choice(list(SIZES))) for pair in pairs[:count]]
    return [(spec, caption(spec, rng)) for spec in specs]


@cache
def backdrops() -> tuple[list[str], np.ndarray]:
    """Return the name and one column of pixels, (K, SIZE, 3), of each background in each light."""
    lights = [
        (shade, slope) for shade in np.linspace(0.84, 1.10, 14) for slope in np.linspace(-0.16, 0.16, 9)
    ]
    names = [name for name in BACKGROUNDS for _ in lights]
    return names, np.stack([backdrop(name, *light)[:, 0] for name in BACKGROUNDS for light in lights])


def nearest_backdrop(picture: np.ndarray) -> tuple[str, np.ndarray]:
    """Return name and column (SIZE, 3) of the background that fits best on its PURE best-fitting tokens."""
    names, columns = backdrops()
    rows = picture.reshape(GRID, TOKEN, GRID, TOKEN, 3)
    light = columns.reshape(-1, GRID, TOKEN, 3)
    squares = np.einsum("yiXjc,yiXjc->yX", rows, rows)
    cross = np.einsum("yiXc,kyic->kyX", rows.sum(3), light, optimize=True)
    own = TOKEN * np.einsum("kyic,kyic->ky", light, light)
    error = (squares[None] - 2 * cross + own[..., None]).reshape(len(names), -1)
    best = int(np.partition(error, PURE, axis=1)[:, :PURE].sum(1).argmin())
    return names[best], columns[best]


@cache
def sprites(size: str) -> tuple[list[str], np.ndarray, np.ndarray]:
    """Return the names of all things, with their colours and transparencies, (n, side * side * 3) each."""
    drawn = [sprite(thing, size) for thing in THINGS]
    colour = np.stack([c for c, _ in drawn]).reshape(len(drawn), -1)
    clear = np.stack([np.broadcast_to(t, c.shape) for c, t in drawn]).reshape(len(drawn), -1)
    return list(THINGS), colour, clear


def windows(field: np.ndarray, places: list[tuple[int, int]], tokens: int) -> np.ndarray:
    """Cut a square from the picture at each offset in whole tokens: (places, side * side * 3)."""
    side = tokens * TOKEN
    cut = [field[y * TOKEN : y * TOKEN + side, x * TOKEN : x * TOKEN + side] for x, y in places]
    return np.stack(cut).reshape(len(cut), -1)


def reduced(picture: np.ndarray) -> np.ndarray:
    """Shrink a drawn picture (DRAWN, DRAWN, 3) to the references' size: a new pixel is the mean of a
    square.
    """
    factor = DRAWN // SIZE
    return picture.reshape(SIZE, factor, SIZE, factor, 3).mean((1, 3))


def nearest(picture: np.ndarray) -> Found:
    """Return the reference (SIZE, SIZE, 3) with the least squared pixel distance.

    First find the background and its light, then the thing, its size and its offset.
    """
    background, column = nearest_backdrop(picture)
    empty = np.broadcast_to(column[:, None], picture.shape)
    whole = float(((picture - empty) ** 2).sum())
    best: tuple[float, str, str, int, int] = (np.inf, "", "", 0, 0)
    for size, tokens in SIZES.items():
        names, colour, clear = sprites(size)
        places = [(x, y) for y in range(GRID - tokens + 1) for x in range(GRID - tokens + 1)]

        p, b = windows(picture, places, tokens), windows(empty, places, tokens)
        # |p - (b clear + colour)|^2 - |p - b|^2, multiplied out
        gain = (
            (b * b) @ (clear * clear - 1).T
            - 2 * (p * b) @ (clear - 1).T
            - 2 * p @ colour.T
            + 2 * b @ (clear * colour).T
            + (colour * colour).sum(1)
        )
        at, which = np.unravel_index(int(gain.argmin()), gain.shape)
        if gain[at, which] < best[0]:
            best = (float(gain[at, which]), names[which], size, *places[at])
    error = max(whole + best[0], 1e-6) / picture.size
    return Found(best[1], background, best[2], best[3], best[4], float(-10 * np.log10(error)))


def judge(spec: Spec, found: Found) -> dict[str, float]:
    """Return 1 (right) or 0 (wrong) for each of thing, background, place and size."""
    return {
        "thing": found.thing == spec.thing,
        "background": found.background == spec.background,
        "place": (found.x, found.y) == offset(spec.place, found.size),
        "size": found.size == spec.size,
        "psnr_db": found.psnr_db,
    }


@torch.no_grad()
def draw(
    pipe: FluxPipeline,
    prompts: list[str],
    seeds: list[int],
    scale: float,
    steps: int = STEPS,
    batch: int = 10,
) -> list[np.ndarray]:
    """Draw pictures (DRAWN, DRAWN, 3) in 0..1 with the stock pipeline."""
    drawn: list[np.ndarray] = []
    for start in range(0, len(prompts), batch):
        some = prompts[start : start + batch]
        generators = [torch.Generator().manual_seed(seed) for seed in seeds[start : start + batch]]
        pictures = pipe(
            some,
            negative_prompt=[""] * len(some),
            true_cfg_scale=scale,
            num_inference_steps=steps,
            width=DRAWN,
            height=DRAWN,
            max_sequence_length=pipe.tokenizer_2.model_max_length,
            generator=generators,
            output_type="np",
        ).images
        drawn += list(pictures)
    return drawn


def evaluate(
    pipe: FluxPipeline, count: int, scale: float, steps: int = STEPS
) -> tuple[dict[str, float], list[np.ndarray]]:
    """Return the scores over held-out prompts (shares from 0 to 1, PSNR in dB), and the pictures."""
    asked = held_out(count)
    pictures = draw(pipe, [text for _, text in asked], list(range(count)), scale, steps)
    verdicts = [judge(spec, nearest(reduced(picture))) for (spec, _), picture in zip(asked, pictures)]
    scores = {name: float(np.mean([verdict[name] for verdict in verdicts])) for name in verdicts[0]}
    return scores, pictures


def refuse_beside_training(folder: Path, patience: float = 600.0) -> None:
    """Raise SystemExit if a trainer worked in this folder within the last `patience` seconds.

    If training and scoring ran at once, neither would be measured correctly.
    """
    mark = folder / RUNNING
    if mark.exists() and time.time() - mark.stat().st_mtime < patience:
        raise SystemExit(
            f"{folder}: training is running here; wait for its end, or delete {mark} if it was killed."
        )
