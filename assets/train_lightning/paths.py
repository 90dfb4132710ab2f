"""The teacher's paths from noise to picture, with guidance, kept at the student's noise levels."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import NamedTuple

import torch
from diffusers import FluxPipeline
from torch import Tensor

from assets.train_tiny_flux.domain import GRID, TEXT_TOKENS, Sampler

STEPS = 16  # second-order steps of the teacher; closer to 100 Euler steps than 28 Euler steps are
KEPT = 8  # intervals between the kept states; the student's steps are KEPT or a divisor of it
SHARD = 64  # paths per file


class Texts(NamedTuple):
    """Encoded prompts: T5 states (B, 16, width) and CLIP's pooled state (B, width)."""

    states: Tensor
    pooled: Tensor

    def pick(self, rows: Tensor) -> Texts:
        """Return some of the prompts."""
        return Texts(self.states[rows], self.pooled[rows])


class Paths(NamedTuple):
    """Prompts, and the teacher's states (B, KEPT + 1, 64, 96) from noise to clean latent."""

    prompts: list[str]
    states: Tensor

    def first(self, count: int) -> Paths:
        """Return the first paths."""
        return Paths(self.prompts[:count], self.states[:count])


def noise_levels(pipe: FluxPipeline, steps: int) -> list[float]:
    """Return the sigmas of the pipeline's scheduler, with the 0 at the end: `steps` + 1 numbers."""
    even = torch.linspace(1, 1 / steps, steps)
    shift = pipe.scheduler.config.shift
    return [*(shift * even / (1 + (shift - 1) * even)).tolist(), 0.0]


def encode(pipe: FluxPipeline, prompts: list[str]) -> Texts:
    """Return the encoded prompts."""
    pad = {"padding": "max_length", "max_length": TEXT_TOKENS, "truncation": True, "return_tensors": "pt"}
    with torch.no_grad():
        return Texts(
            pipe.text_encoder_2(pipe.tokenizer_2(prompts, **pad).input_ids)[0],
            pipe.text_encoder(pipe.tokenizer(prompts, **pad).input_ids).pooler_output,
        )


class Velocity:
    """The transformer as a function of state, noise level and prompt."""

    def __init__(self, pipe: FluxPipeline) -> None:
        self.transformer = pipe.transformer
        self.text_ids = torch.zeros(TEXT_TOKENS, 3)
        self.image_ids = pipe._prepare_latent_image_ids(1, GRID, GRID, "cpu", torch.float32)

    def __call__(self, states: Tensor, sigma: Tensor, texts: Texts) -> Tensor:
        """Return velocities (B, 64, 96) of states (B, 64, 96) at noise levels (B,)."""
        return self.transformer(
            hidden_states=states,
            timestep=sigma,
            encoder_hidden_states=texts.states,
            pooled_projections=texts.pooled,
            txt_ids=self.text_ids,
            img_ids=self.image_ids,
            return_dict=False,
        )[0]


@torch.no_grad()
def follow(
    pipe: FluxPipeline, texts: Texts, noise: Tensor, scale: float, steps: int = STEPS, order: int = 2
) -> Tensor:
    """Return the states (B, steps + 1, 64, 96) of guided runs, solved by Adams-Bashforth of order 1 or 2."""
    count, velocity = len(noise), Velocity(pipe)
    empty = encode(pipe, [""])
    both = Texts(
        torch.cat([texts.states, empty.states.expand(count, -1, -1)]),
        torch.cat([texts.pooled, empty.pooled.expand(count, -1)]),
    )
    levels, states = noise_levels(pipe, steps), [noise]
    last: tuple[Tensor, float] | None = None
    for sigma, following in pairwise(levels):
        asked, unasked = velocity(states[-1].repeat(2, 1, 1), torch.full((2 * count,), sigma), both).chunk(2)
        slope, width = torch.lerp(unasked, asked, scale), following - sigma
        ahead = slope if last is None or order == 1 else slope + width / (2 * last[1]) * (slope - last[0])
        states.append(states[-1] + width * ahead)
        last = slope, width
    return torch.stack(states, 1)


def shard(pipe: FluxPipeline, number: int, scale: float, count: int = SHARD) -> Paths:
    """Return the paths of one shard. Its number seeds the prompts (training pairs only) and the noise."""
    sampler, prompts = Sampler(10_000 + number), []
    while len(prompts) < count:
        prompts += filter(None, [sampler.draw()[2]])
    noise = torch.randn(
        count, GRID**2, pipe.transformer.config.in_channels, generator=torch.Generator().manual_seed(number)
    )
    parts = [
        follow(pipe, encode(pipe, prompts[at : at + 16]), noise[at : at + 16], scale)[:, :: STEPS // KEPT]
        for at in range(0, count, 16)
    ]
    return Paths(prompts, torch.cat(parts))


def make(pipe: FluxPipeline, folder: Path, shards: int, scale: float, count: int = SHARD) -> None:
    """Write the shards that are missing in `folder`, as float16."""
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(shards):
        file = folder / f"paths-{number:03}.pt"
        if not file.exists():
            paths = shard(pipe, number, scale, count)
            torch.save({"prompts": paths.prompts, "states": paths.states.half()}, file.with_suffix(".part"))
            file.with_suffix(".part").replace(file)
            print(f"{file.name}: {count} paths", flush=True)


def read(folder: Path, numbers: range) -> Paths:
    """Read the paths of these shards as float32."""
    parts = [torch.load(folder / f"paths-{number:03}.pt", weights_only=True) for number in numbers]
    return Paths(
        [p for part in parts for p in part["prompts"]], torch.cat([part["states"] for part in parts]).float()
    )
