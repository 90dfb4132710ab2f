"""Scores of the few-step LoRAs on held-out prompts, beside the teacher's own pictures of the same noise."""

from __future__ import annotations

import time
from pathlib import Path
from statistics import median
from typing import NamedTuple

import numpy as np
import torch
from diffusers import FluxPipeline
from torch import Tensor

from assets.train_tiny_flux import evaluate
from assets.train_tiny_flux import export as teacher
from assets.train_tiny_flux.domain import DRAWN, TEXT_TOKENS
from cache_engine.models.lora_files import fused
from cache_engine.placement import Placement
from cache_engine.quality import psnr

BATCH = 10
CPU = Placement("cpu", "float32")
TEACHER = Path(__file__).resolve().parents[1] / "tiny_flux"


class Scores(NamedTuple):
    """Means over held-out prompts.

    thing, background, place, size: share of pictures in which each is right. reference_db: PSNR against the
    nearest reference. teacher_db: PSNR against the teacher's picture from the same noise, None for the
    teacher itself.
    core_seconds: median processor time of a picture that is drawn alone in one thread.
    """

    thing: float
    background: float
    place: float
    size: float
    reference_db: float
    teacher_db: float | None
    core_seconds: float


class Drawn(NamedTuple):
    """Pictures of the held-out prompts, each (side, side, 3) in 0..1, and one picture's processor seconds."""

    pictures: list[np.ndarray]
    core_seconds: float


class Way(NamedTuple):
    """A way of drawing. lora: the file that is fused into the embedded model, if any."""

    title: str
    steps: int
    guidance: float
    lora: Path | None = None

    @property
    def calls(self) -> int:
        """Return the number of transformer calls in a step."""
        return 2 if self.guidance > 1 else 1

    def pipe(self) -> FluxPipeline:
        """Return the pipeline; a LoRA is fused with the code that loads the rows."""
        pipe, file = teacher.load(TEACHER), self.lora
        return pipe if file is None else fused(lambda: pipe, lambda: file, "tiny FLUX", CPU)

    def latents(self, pipe: FluxPipeline, prompts: list[str], seeds: list[int]) -> Tensor:
        """Return the final latents (B, 64, 96)."""
        return pipe(
            prompts,
            negative_prompt=[""] * len(prompts),
            true_cfg_scale=self.guidance,
            num_inference_steps=self.steps,
            width=DRAWN,
            height=DRAWN,
            max_sequence_length=TEXT_TOKENS,
            generator=[torch.Generator().manual_seed(seed) for seed in seeds],
            output_type="latent",
        ).images


def drawn(way: Way, count: int, timed: int, file: Path) -> Drawn:
    """Draw the held-out prompts, each with its number as the seed. Then time `timed` pictures, each alone.

    file: stores the final latents, so that another decoder can be scored without drawing again.
    """
    pipe = way.pipe()
    prompts = [text for _, text in evaluate.held_out(count)]
    if not file.exists():
        batches = [range(start, min(start + BATCH, count)) for start in range(0, count, BATCH)]
        parts = [way.latents(pipe, [prompts[at] for at in batch], list(batch)) for batch in batches]
        torch.save(torch.cat(parts), file)
    pictures = [picture for part in torch.load(file).split(BATCH) for picture in decoded(pipe, part)]
    return Drawn(pictures, median(core_seconds(way, pipe, prompts[0], number) for number in range(timed)))


@torch.no_grad()
def decoded(pipe: FluxPipeline, latents: Tensor) -> np.ndarray:
    """Return the pictures (B, side, side, 3) of final latents, as the pipeline decodes them."""
    config = pipe.vae.config
    spread = pipe._unpack_latents(latents, DRAWN, DRAWN, pipe.vae_scale_factor)
    pictures = pipe.vae.decode(spread / config.scaling_factor + config.shift_factor, return_dict=False)[0]
    return pipe.image_processor.postprocess(pictures, output_type="np")


def core_seconds(way: Way, pipe: FluxPipeline, prompt: str, seed: int) -> float:
    """Return the processor seconds of one picture in one thread, decoding included."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    begun = time.process_time()
    decoded(pipe, way.latents(pipe, [prompt], [seed]))
    seconds = time.process_time() - begun
    torch.set_num_threads(threads)
    return seconds


def judged(ours: Drawn, teachers: Drawn | None) -> Scores:
    """Return the scores of pictures of the held-out prompts."""
    asked = evaluate.held_out(len(ours.pictures))
    verdicts = [
        evaluate.judge(spec, evaluate.nearest(evaluate.reduced(picture)))
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
    """Return a picture in 8-bit levels (0 to 255)."""
    return (255 * picture).round().clip(0, 255).astype(np.uint8)
