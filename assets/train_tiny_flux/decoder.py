"""Trains the decoder: latents of 128 x 128 renders -> the same renders at 256 x 256. Resumable at any time.

A third of the latents are exact, a third have noise, and a third are the trained denoiser's own: otherwise
the decoder would sharpen the denoiser's errors. The loss is the mean absolute error, that of the steps
between neighbouring pixels, the mean squared error, and 1 - SSIM. A second, shorter part of the training
weighs the steps across the borders between tokens more: it removes the last traces of seams.
"""

from __future__ import annotations

import json
import math
import random
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from diffusers import FluxPipeline
from torch import Tensor, nn

from cache_engine.models.patch_autoencoder import PatchAutoencoder
from cache_engine.models.patch_decoder import PIXELS

from .domain import BACKGROUNDS, DRAWN, GRID, SIZE, TEXT_TOKENS, TOKEN, Light, Sampler, Spec, caption, offset
from .export import TRUE_CFG_SCALE
from .render import render, sprite

NOISE = 0.25  # standard deviation of the strongest noise on latents; latents have about 1
CHECKPOINT_MINUTES = 3.0
FAR = 0.15  # from this mean squared distance on, the denoiser did not draw the requested picture
RUNS = (28, 12)  # steps of the runs whose final latents train the decoder
PROMPTS = 400  # prompts for each number of steps
BATCH = 16  # samples per update
OWN = 0.3  # share of the latents that the denoiser made; half of the others have no noise


class Finals(NamedTuple):
    """The denoiser's own latents (N, 64, 96), with the spec and the light of the picture that each shows."""

    latents: Tensor
    specs: list[tuple[Spec, Light]]


@torch.no_grad()
def light_of(tokens: Tensor, spec: Spec, vae: PatchAutoencoder) -> Light:
    """The light (shade and slope) with which the spec's background fits latents (64, 96) best.

    Only pixels that the thing leaves free count: the colour there is linear in shade and slope.
    """
    drawn = (
        nn.functional.fold(vae.patches(tokens).T[None], SIZE, TOKEN, stride=TOKEN)[0].permute(1, 2, 0).numpy()
    )
    free = np.ones((SIZE, SIZE, 1), np.float32)
    _, clear = sprite(spec.thing, spec.size)
    x, y = (TOKEN * n for n in offset(spec.place, spec.size))
    free[y : y + len(clear), x : x + len(clear)] = clear == 1
    down = np.broadcast_to(np.linspace(-0.5, 0.5, SIZE, dtype=np.float32)[:, None, None], drawn.shape)
    colour = free * np.array(BACKGROUNDS[spec.background], np.float32) / 255
    columns = np.stack([colour.ravel(), (colour * down).ravel()], 1)
    found = np.linalg.lstsq(columns, (free * (drawn + 1) / 2).ravel(), rcond=None)[0]
    return Light(*map(float, found))


def finals(pipe: FluxPipeline, count: int, steps: int, seed: int, size: int = 20) -> Finals:
    """Draw `count` training prompts with the denoiser. Return the latents that show the requested picture.

    steps: number of scheduler steps.
    """
    sampler, latents, specs = Sampler(seed), [], []
    for start in range(0, count, size):
        drawn = [sampler.draw() for _ in range(min(size, count - start))]
        texts = [text or caption(spec, sampler.rng) for spec, _, text in drawn]
        made = pipe(
            texts,
            negative_prompt=[""] * len(texts),
            true_cfg_scale=TRUE_CFG_SCALE,
            num_inference_steps=steps,
            width=DRAWN,
            height=DRAWN,
            max_sequence_length=TEXT_TOKENS,
            generator=[torch.Generator().manual_seed(seed * 100_000 + start + i) for i in range(len(texts))],
            output_type="latent",
        ).images
        for (spec, _, _), tokens in zip(drawn, made):
            wanted = Spec(spec.thing, spec.background, spec.place, spec.size)
            light = light_of(tokens, wanted, pipe.vae)
            ideal = pipe.vae.tokens(picture([render(wanted, light)]))[0]
            if (tokens - ideal).square().mean() < FAR:  # otherwise thing, place or size is wrong
                latents.append(tokens)
                specs.append((wanted, light))
    return Finals(torch.stack(latents) if latents else made.new_zeros(0, *made.shape[1:]), specs)


def finals_of(pipe: FluxPipeline, folder: Path, prompts: int) -> Finals:
    """Return the denoiser's latents of full and of short runs, for training. The folder stores them."""
    file = folder / f"finals-{prompts}.pt"
    if not file.exists():
        made = [finals(pipe, prompts, steps, seed=steps) for steps in RUNS]
        specs = [(tuple(spec), tuple(light)) for part in made for spec, light in part.specs]
        torch.save({"latents": torch.cat([part.latents for part in made]), "specs": specs}, file)
    kept = torch.load(file, weights_only=True)
    return Finals(kept["latents"], [(Spec(*spec), Light(*light)) for spec, light in kept["specs"]])


class Part(NamedTuple):
    """A part of the training: about 20 minutes on one core for 1,000 updates.

    rate: the highest learning rate. seed: of the first batch. border: the weight of a step across the border
    between two tokens, in the loss; other steps between pixels have the weight 1.
    """

    name: str
    steps: int
    rate: float
    seed: int
    border: float = 1.0


PARTS = (Part("decoder", 3000, 1.5e-3, seed=1000), Part("borders", 1000, 5e-4, seed=10_000, border=6.0))


def learning_rate(step: int, steps: int, most: float, warmup: int = 200) -> float:
    """Return the learning rate: a warm-up over some steps, then a cosine that falls to zero."""
    return most * min(1.0, (step + 1) / warmup) * 0.5 * (1 + math.cos(math.pi * step / steps))


def picture(renders: list[np.ndarray]) -> Tensor:
    """Convert renders (n, n, 3) in 0..1 to one tensor (count, 3, n, n) in -1..1."""
    return torch.from_numpy(np.stack(renders)).permute(0, 3, 1, 2).contiguous() * 2 - 1


def grid(tokens: Tensor) -> Tensor:
    """Arrange packed tokens (batch, 64, 96) as a grid (batch, 96, 8, 8)."""
    return tokens.mT.reshape(len(tokens), -1, GRID, GRID)


def batch(vae: PatchAutoencoder, finals: Finals, size: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return training latents (size, 96, 8, 8) and their pictures (size, 3, 256, 256) in -1..1."""
    rng, sampler = random.Random(seed), Sampler(seed)
    noise = torch.Generator().manual_seed(seed)
    own = [rng.randrange(len(finals.specs)) for _ in range(round(OWN * size))] if finals.specs else []
    drawn = [sampler.draw()[:2] for _ in range(size - len(own))]
    latents = vae.tokens(picture([render(*sample) for sample in drawn]))
    strength = (torch.rand(len(drawn), 1, 1, generator=noise) * 2 - 1).clamp(min=0) * NOISE
    latents = latents + strength * torch.randn(latents.shape, generator=noise)
    wanted = drawn + [finals.specs[i] for i in own]
    return (
        grid(torch.cat([latents, finals.latents[own]])),
        picture([render(*sample, double=True) for sample in wanted]),
    )


def one_minus_ssim(a: Tensor, b: Tensor) -> Tensor:
    """1 - SSIM of pictures in -1..1: the uniform 7 x 7 window of the published tables, at every second
    pixel.
    """

    def mean(x: Tensor) -> Tensor:
        return nn.functional.avg_pool2d(x, 7, 2)

    mean_a, mean_b = mean(a), mean(b)
    both = torch.cat([a * a, b * b, a * b], 1)
    square_a, square_b, cross = mean(both).chunk(3, 1)
    spread = 49 / 48  # the unbiased variance of a sample
    variances = spread * (square_a + square_b - mean_a**2 - mean_b**2)
    covariance = spread * (cross - mean_a * mean_b)
    c1, c2 = (2 * 0.01) ** 2, (2 * 0.03) ** 2
    index = (2 * mean_a * mean_b + c1) * (2 * covariance + c2)
    return 1 - (index / ((mean_a**2 + mean_b**2 + c1) * (variances + c2))).mean()


def loss(drawn: Tensor, wanted: Tensor, border: float = 1.0) -> Tensor:
    """Return the training loss of pictures (batch, 3, 256, 256) in -1..1. border: see ``Part``."""
    error = drawn - wanted
    weights = torch.ones(error.shape[-1] - 1)
    weights[PIXELS - 1 :: PIXELS] = border
    slopes = (error.diff(dim=2).abs().mean(3) + error.diff(dim=3).abs().mean(2)).mul(weights).mean()
    return error.abs().mean() + slopes + 4 * error.square().mean() + 0.3 * one_minus_ssim(drawn, wanted)


def train(
    vae: PatchAutoencoder,
    finals: Finals,
    folder: Path,
    part: Part,
    size: int = BATCH,
    stop_at: int | None = None,
) -> float:
    """Train vae.decoder for one part. If the folder has a checkpoint, train for the remaining steps.

    Returns the seconds of all sittings.

    size: samples per step. stop_at: the step that ends this sitting.
    """
    folder.mkdir(parents=True, exist_ok=True)
    decoder = vae.decoder.train().requires_grad_().to(memory_format=torch.channels_last)
    parameters = list(decoder.parameters())
    average = [p.detach().clone() for p in parameters]
    optimizer = torch.optim.AdamW(parameters, lr=part.rate, betas=(0.9, 0.98), weight_decay=1e-3)
    file, step, seconds = folder / f"{part.name}.pt", 0, 0.0
    if file.exists():
        state = torch.load(file, map_location="cpu", weights_only=True)
        decoder.load_state_dict(state["decoder"])
        optimizer.load_state_dict(state["optimizer"])
        average, step, seconds = state["average"], state["step"], state["seconds"]

    def save() -> None:
        half = file.with_suffix(".part")
        facts = {"average": average, "step": step, "seconds": seconds}
        torch.save({"decoder": decoder.state_dict(), "optimizer": optimizer.state_dict(), **facts}, half)
        half.replace(file)

    saved, recent = time.time(), []
    last = min(part.steps, stop_at or part.steps)
    while step < last:
        begun = time.time()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, part.steps, part.rate)
        latents, wanted = batch(vae, finals, size, seed=part.seed + step)
        error = loss(decoder(latents), wanted, part.border)
        optimizer.zero_grad(set_to_none=True)
        error.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        step += 1
        torch._foreach_lerp_(average, [p.detach() for p in parameters], 1 - min(0.998, step / (step + 20)))
        recent.append(error.item())
        seconds += time.time() - begun
        if step % 50 == 0:
            facts = {
                "step": step,
                "loss": round(float(np.mean(recent)), 5),
                "minutes": round(seconds / 60, 1),
            }
            print(json.dumps(facts), flush=True)
            recent = []
        if time.time() - saved > 60 * CHECKPOINT_MINUTES or step == last:
            save()
            saved = time.time()
    for parameter, value in zip(parameters, average, strict=True):
        parameter.data.copy_(value)
    decoder.eval().requires_grad_(False)
    return seconds
