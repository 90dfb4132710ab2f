"""Scores of the few-step LoRAs on held-out prompts, beside the teacher's own pictures of the same noise."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import torch
from diffusers import FluxPipeline

from assets.train_tiny_flux import evaluate
from cache_engine.models.lora_files import fused
from cache_engine.placement import Placement
from cache_engine.quality import psnr


class Scores(NamedTuple):
    """Means over held-out prompts.

    thing, background, place, size: shares that are right. reference_db: PSNR to the nearest reference.
    teacher_db: PSNR to the teacher's picture of the same noise; None for the teacher itself.
    core_seconds: processor time of a picture drawn alone in one thread, median.
    """

    thing: float
    background: float
    place: float
    size: float
    reference_db: float
    teacher_db: float | None
    core_seconds: float


class Drawn(NamedTuple):
    """Pictures of the held-out prompts, (side, side, 3) in 0..1 each, and the core seconds of a picture."""

    pictures: list[np.ndarray]
    core_seconds: float


def with_lora(teacher: FluxPipeline, file: Path) -> FluxPipeline:
    """Fuse a LoRA file into the pipeline, with the code that loads the rows."""
    return fused(lambda: teacher, lambda: file, "tiny FLUX", Placement("cpu", "float32"))


def drawn(pipe: FluxPipeline, count: int, scale: float, steps: int, timed: int) -> Drawn:
    """Draw held-out prompts, each with its number as the seed; then time so many pictures, each alone."""
    prompts = [text for _, text in evaluate.held_out(count)]
    pictures = evaluate.draw(pipe, prompts, list(range(count)), scale, steps)
    threads, seconds = torch.get_num_threads(), []
    torch.set_num_threads(1)
    for number in range(timed):
        begun = time.process_time()
        evaluate.draw(pipe, prompts[:1], [number], scale, steps)
        seconds.append(time.process_time() - begun)
    torch.set_num_threads(threads)
    return Drawn(pictures, median(seconds))


def judged(ours: Drawn, teachers: Drawn | None) -> Scores:
    """Return the scores of pictures of the held-out prompts."""
    asked = evaluate.held_out(len(ours.pictures))
    verdicts = [
        evaluate.judge(spec, evaluate.nearest(picture))
        for (spec, _), picture in zip(asked, ours.pictures, strict=True)
    ]
    means = {name: float(np.mean([verdict[name] for verdict in verdicts])) for name in verdicts[0]}
    pairs = zip(ours.pictures, teachers.pictures, strict=True) if teachers else ()
    likeness = [psnr(levels(one), levels(other)) or np.inf for one, other in pairs]
    return Scores(
        means["thing"],
        means["background"],
        means["place"],
        means["size"],
        means["psnr_db"],
        float(np.mean(likeness)) if likeness else None,
        ours.core_seconds,
    )


def levels(picture: np.ndarray) -> np.ndarray:
    """Return a picture in levels of 8 bits."""
    return (255 * picture).round().clip(0, 255).astype(np.uint8)
