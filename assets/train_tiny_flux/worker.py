"""One process of the training. It draws its part of each batch, and updates its part of the weights."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from diffusers import FluxPipeline
from torch import Tensor, nn

from cache_engine.models.patch_autoencoder import PatchAutoencoder

from .build import build
from .domain import GRID, TEXT_TOKENS, Sampler
from .optimizers import adam, muon
from .render import render

RUNNING = "running"  # a file that is touched before every step
PARTS = ("transformer", "text_encoder", "text_encoder_2")


class Recipe(NamedTuple):
    """The parameters of one sitting of training. A sitting ends after a given wall-clock time."""

    minutes: float
    steps: int = 10**9  # the largest number of steps
    workers: int = 2
    batch: int = 8  # samples per step, in each worker
    adam_rate: float = 1.5e-3
    muon_rate: float = 8e-4  # learning rate of the matrices inside the blocks
    warmup_steps: int = 150
    decay_share: float = 0.4  # the last part of the sitting, in which the learning rate falls to nothing
    ema: float = 0.999
    noise_shift: float = 2.0  # training noise levels: logit-normal, shifted like the scheduler's
    checkpoint_minutes: float = 4.0
    seed: int = 0
    compile: bool = True


class Shared(NamedTuple):
    """The tensors that all workers share, in shared memory: one entry for each parameter."""

    values: list[Tensor]
    average: list[Tensor]
    momentum: list[Tensor]
    square: list[Tensor]  # used by AdamW only
    slopes: list[list[Tensor]]  # one entry for each worker
    rate: Tensor  # share of the full learning rates for the next step; below 0: the sitting is over
    step: Tensor

    @classmethod
    def of(cls, values: Sequence[Tensor], workers: int) -> Shared:
        def like(fresh: bool) -> list[Tensor]:
            return [(torch.zeros_like(v) if fresh else v.detach().clone()).share_memory_() for v in values]

        return cls(
            like(False),
            like(False),
            like(True),
            like(True),
            [like(True) for _ in range(workers)],
            torch.zeros(1).share_memory_(),
            torch.zeros(1, dtype=torch.int64).share_memory_(),
        )


def parameters_of(pipe: FluxPipeline) -> dict[str, nn.Parameter]:
    """Return all trained parameters by name."""
    return {f"{part}.{name}": p for part in PARTS for name, p in getattr(pipe, part).named_parameters()}


class Worker:
    """The part of each step that one process computes."""

    def __init__(self, pipe: FluxPipeline, recipe: Recipe, shared: Shared, rank: int, barrier: Any) -> None:
        self.pipe, self.recipe, self.shared, self.rank, self.meet = pipe, recipe, shared, rank, barrier.wait
        named = parameters_of(pipe)
        for parameter, value, slope in zip(named.values(), shared.values, shared.slopes[rank], strict=True):
            parameter.requires_grad_(True).data = value
            parameter.grad = slope
        inner = [
            i
            for i, (name, p) in enumerate(named.items())
            if p.ndim == 2 and name.startswith("transformer.") and "blocks" in name and ".norm" not in name
        ]
        inner.sort(key=lambda i: sorted(shared.values[i].shape))  # each worker then gets part of every shape
        outer = [i for i in range(len(named)) if i not in set(inner)]
        self.inner, self.outer = inner[rank :: recipe.workers], outer[rank :: recipe.workers]
        seed = recipe.seed + 1000 * rank + int(shared.step)
        self.sampler, self.generator = Sampler(seed), torch.Generator().manual_seed(seed)
        self.text_ids = torch.zeros(TEXT_TOKENS, 3)
        self.image_ids = pipe._prepare_latent_image_ids(1, GRID, GRID, "cpu", torch.float32)
        for part in PARTS:
            getattr(pipe, part).train()
        if recipe.compile:
            for block in (*pipe.transformer.transformer_blocks, *pipe.transformer.single_transformer_blocks):
                block.compile(dynamic=False)

    def draw(self) -> tuple[Tensor, Tensor, Tensor]:
        """Draw a batch: clean tokens (B, 64, 96), T5 ids (B, 16) and CLIP ids (B, 16)."""
        drawn = [self.sampler.draw() for _ in range(self.recipe.batch)]
        pictures = torch.from_numpy(np.stack([render(spec, light) for spec, light, _ in drawn]))
        texts = [text for _, _, text in drawn]
        with torch.no_grad():
            tokens = self.pipe.vae.tokens(pictures.permute(0, 3, 1, 2) * 2 - 1)
        pad = {"padding": "max_length", "max_length": TEXT_TOKENS, "truncation": True, "return_tensors": "pt"}
        return (
            tokens,
            self.pipe.tokenizer_2(texts, **pad).input_ids,
            self.pipe.tokenizer(texts, **pad).input_ids,
        )

    def noise_levels(self) -> Tensor:
        """Draw sigmas (B, 1, 1) in 0..1, spread evenly over the quantiles of their distribution.

        One sigma in eight is uniform instead.
        """
        batch = self.recipe.batch
        spread = ((torch.arange(batch) + torch.rand(batch, generator=self.generator)) / batch).clamp(
            1e-4, 1 - 1e-4
        )
        bell = torch.sigmoid(math.sqrt(2) * torch.erfinv(2 * spread - 1) + math.log(self.recipe.noise_shift))
        even = torch.rand(batch, generator=self.generator)
        return torch.where(torch.rand(batch, generator=self.generator) < 0.125, even, bell)[:, None, None]

    def loss(self, clean: Tensor, t5_ids: Tensor, clip_ids: Tensor) -> Tensor:
        """Mean squared error of the velocity (noise - clean), as FluxPipeline and the Euler scheduler use
        it.
        """
        noise = torch.randn(clean.shape, generator=self.generator)
        sigma = self.noise_levels()
        velocity = self.pipe.transformer(
            hidden_states=torch.lerp(clean, noise, sigma),
            timestep=sigma[:, 0, 0],
            encoder_hidden_states=self.pipe.text_encoder_2(t5_ids)[0],
            pooled_projections=self.pipe.text_encoder(clip_ids).pooler_output,
            txt_ids=self.text_ids,
            img_ids=self.image_ids,
            return_dict=False,
        )[0]
        return (velocity - (noise - clean)).square().mean()

    def update(self, step: int, rate: float) -> tuple[float, float]:
        """Take one step, counted from 1. Return (loss, gradient norm) of this worker's samples."""
        torch._foreach_zero_(self.shared.slopes[self.rank])
        loss = self.loss(*self.draw())
        loss.backward()
        norm = nn.utils.clip_grad_norm_(list(parameters_of(self.pipe).values()), 1.0)
        self.meet()  # now all workers have written their gradients
        with torch.no_grad():
            self.move(step, rate)
        self.meet()  # now all workers have updated their weights
        return float(loss.detach()), float(norm)

    def move(self, step: int, rate: float) -> None:
        """Update this worker's part of the weights, and of the averaged weights."""
        shared, recipe = self.shared, self.recipe

        def pick(tensors: list[Tensor], which: list[int]) -> list[Tensor]:
            return [tensors[i] for i in which]

        for which in (self.inner, self.outer):
            slopes = pick(shared.slopes[0], which)
            for others in shared.slopes[1:]:
                slopes = torch._foreach_add(slopes, pick(others, which))
            slopes = torch._foreach_div(slopes, recipe.workers)
            values, momentum = pick(shared.values, which), pick(shared.momentum, which)
            if which is self.inner:
                muon(values, slopes, momentum, rate * recipe.muon_rate)
            else:
                adam(values, slopes, momentum, pick(shared.square, which), rate * recipe.adam_rate, step)
            keep = min(recipe.ema, step / (step + 10))
            torch._foreach_lerp_(pick(shared.average, which), values, 1 - keep)

    def follow(self) -> None:
        """Take steps until the first worker ends the sitting."""
        while self.meet() is not None and self.shared.rate >= 0:
            self.update(int(self.shared.step) + 1, float(self.shared.rate))
            self.meet()


def assist(rank: int, folder: Path, recipe: Recipe, shared: Shared, barrier: Any) -> None:
    """Run a process other than the first."""
    torch.set_num_threads(1)
    torch.set_flush_denormal(True)
    try:
        Worker(
            build(PatchAutoencoder.from_pretrained(folder / "vae")), recipe, shared, rank, barrier
        ).follow()
    except BaseException:
        barrier.abort()  # otherwise the other workers would wait for ever
        raise
