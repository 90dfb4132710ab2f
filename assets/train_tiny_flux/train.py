"""The trainer: rectified flow on rendered pictures, transformer and text encoders together, resumable at any time."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from diffusers import FluxPipeline
from torch import Tensor, nn

from .domain import GRID, TEXT_TOKENS, Sampler
from .muon import Muon
from .render import render

PARTS = ("transformer", "text_encoder", "text_encoder_2")


class Recipe(NamedTuple):
    """What a sitting of training needs. Time is wall-clock: a sitting ends when it said it would."""

    minutes: float
    batch: int = 16
    learning_rate: float = 1.5e-3
    muon_rate: float = 6e-4  # for the matrices inside the blocks; 0 = AdamW for all
    warmup_steps: int = 150
    decay_share: float = 0.3  # the last part of the sitting, in which the learning rate falls to nothing
    ema: float = 0.999
    noise_shift: float = 2.0  # training noise levels: logit-normal, shifted like the scheduler's
    weight_decay: float = 0.01
    checkpoint_minutes: float = 4.0
    seed: int = 0
    compile: bool = True


class Trainer:
    """Holds what is trained. `folder` keeps checkpoint.pt, log.jsonl and, while it should sleep, a file named `pause`."""

    def __init__(self, pipe: FluxPipeline, folder: Path, recipe: Recipe) -> None:
        self.pipe, self.folder, self.recipe = pipe, folder, recipe
        folder.mkdir(parents=True, exist_ok=True)
        self.parts = nn.ModuleDict({name: getattr(pipe, name) for name in PARTS}).train().requires_grad_(True)
        self.parameters = [p for p in self.parts.parameters()]
        self.average = [p.detach().clone() for p in self.parameters]
        inner = {id(p) for name, p in pipe.transformer.named_parameters()
                 if p.ndim == 2 and "blocks" in name and ".norm" not in name}
        if not recipe.muon_rate:
            inner = set()
        self.inner = [p for p in self.parameters if id(p) in inner]
        outer = [p for p in self.parameters if id(p) not in inner]
        decay = recipe.weight_decay
        self.optimizers: list[torch.optim.Optimizer] = [torch.optim.AdamW(
            [{"params": [p for p in outer if p.ndim > 1], "weight_decay": decay},
             {"params": [p for p in outer if p.ndim <= 1], "weight_decay": 0.0}],
            lr=recipe.learning_rate, betas=(0.9, 0.95), fused=True)]
        if inner:
            self.optimizers.append(Muon(self.inner, recipe.muon_rate, weight_decay=decay))
        self.step = self.samples = 0
        self.seconds = 0.0  # of training, over all sittings
        self.sitting = 0
        self.text_ids = torch.zeros(TEXT_TOKENS, 3)
        self.image_ids = pipe._prepare_latent_image_ids(1, GRID, GRID, "cpu", torch.float32)
        if recipe.compile:
            for block in (*pipe.transformer.transformer_blocks, *pipe.transformer.single_transformer_blocks):
                block.compile(dynamic=False)

    def draw(self, sampler: Sampler) -> tuple[Tensor, Tensor, Tensor]:
        """A batch: clean tokens (B, 64, 96), T5 ids (B, 16), CLIP ids (B, 16)."""
        drawn = [sampler.draw() for _ in range(self.recipe.batch)]
        pictures = torch.from_numpy(np.stack([render(spec, layout) for spec, layout, _ in drawn]))
        texts = [text for _, _, text in drawn]
        with torch.no_grad():
            tokens = self.pipe.vae.tokens(pictures.permute(0, 3, 1, 2) * 2 - 1)
        pad = {"padding": "max_length", "max_length": TEXT_TOKENS, "truncation": True, "return_tensors": "pt"}
        return tokens, self.pipe.tokenizer_2(texts, **pad).input_ids, self.pipe.tokenizer(texts, **pad).input_ids

    def noise_levels(self, generator: torch.Generator) -> Tensor:
        """Sigmas (B, 1, 1) in 0..1, spread evenly over the quantiles; one in eight is uniform."""
        batch = self.recipe.batch
        spread = ((torch.arange(batch) + torch.rand(batch, generator=generator)) / batch).clamp(1e-4, 1 - 1e-4)
        bell = torch.sigmoid(math.sqrt(2) * torch.erfinv(2 * spread - 1) + math.log(self.recipe.noise_shift))
        even = torch.rand(batch, generator=generator)
        return torch.where(torch.rand(batch, generator=generator) < 0.125, even, bell)[:, None, None]

    def loss(self, clean: Tensor, t5_ids: Tensor, clip_ids: Tensor, generator: torch.Generator) -> Tensor:
        """Mean squared error of the velocity (noise - clean), as FluxPipeline and the Euler scheduler use it."""
        noise = torch.randn(clean.shape, generator=generator)
        sigma = self.noise_levels(generator)
        velocity = self.pipe.transformer(
            hidden_states=torch.lerp(clean, noise, sigma), timestep=sigma[:, 0, 0],
            encoder_hidden_states=self.pipe.text_encoder_2(t5_ids)[0],
            pooled_projections=self.pipe.text_encoder(clip_ids).pooler_output,
            txt_ids=self.text_ids, img_ids=self.image_ids, return_dict=False)[0]
        return (velocity - (noise - clean)).square().mean()

    def update(self, sampler: Sampler, generator: torch.Generator, rate: float) -> tuple[float, float]:
        """One step; (loss, gradient norm)."""
        for optimizer, full in zip(self.optimizers, (self.recipe.learning_rate, self.recipe.muon_rate)):
            for group in optimizer.param_groups:
                group["lr"] = rate * full
        loss = self.loss(*self.draw(sampler), generator)
        self.parts.zero_grad(set_to_none=True)
        loss.backward()
        norm = nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        self.step, self.samples = self.step + 1, self.samples + self.recipe.batch
        keep = min(self.recipe.ema, self.step / (self.step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(self.average, self.parameters, 1 - keep)
        return float(loss.detach()), float(norm)

    def rate(self, progress: float, steps: int) -> float:
        """Share of the full learning rates at a share of the sitting: warm-up in steps, plateau, linear decay."""
        warm = min(1.0, (steps + 1) / self.recipe.warmup_steps)
        return warm * min(1.0, max(0.0, 1 - progress) / self.recipe.decay_share)

    def run(self) -> None:
        """Trains for one sitting, or what is left of it, with checkpoints; always ends with one."""
        recipe, begun = self.recipe, time.time()
        deadline, saved = begun + 60 * recipe.minutes, begun
        generator = torch.Generator().manual_seed(recipe.seed + self.step)
        sampler = Sampler(recipe.seed + self.step)
        recent: list[tuple[float, float]] = []
        mark, steps = begun, 0
        while (now := time.time()) < deadline:
            if (self.folder / "pause").exists():
                time.sleep(2)
                continue
            spent = self.sitting + now - begun
            progress = spent / (spent + deadline - now)
            rate = self.rate(progress, steps)
            recent.append(self.update(sampler, generator, rate))
            steps += 1
            self.seconds += time.time() - now
            if steps % 50 == 0:
                losses, norms = zip(*recent)
                self.log(loss=sum(losses) / len(losses), norm=sum(norms) / len(norms), rate=rate,
                         per_second=len(recent) * recipe.batch / (time.time() - mark))
                recent, mark = [], time.time()
            if time.time() - saved > 60 * recipe.checkpoint_minutes:
                self.save(spent)
                saved = time.time()
        self.save(0.0)

    def log(self, **facts: float) -> None:
        """Appends one line to log.jsonl and prints it."""
        line = json.dumps({"step": self.step, "samples": self.samples, "minutes": round(self.seconds / 60, 1),
                           **{k: float(f"{v:.5g}") for k, v in facts.items()}})
        print(line, flush=True)
        with (self.folder / "log.jsonl").open("a") as file:
            file.write(line + "\n")

    def save(self, sitting: float) -> None:
        """Writes checkpoint.pt in one go; `sitting` = seconds of the current sitting, 0 when it is over."""
        half = self.folder / "checkpoint.part"
        torch.save({"weights": [p.detach() for p in self.parameters], "average": self.average,
                    "optimizers": [o.state_dict() for o in self.optimizers], "step": self.step, "samples": self.samples,
                    "seconds": self.seconds, "sitting": sitting}, half)
        half.replace(self.folder / "checkpoint.pt")

    @torch.no_grad()
    def resume(self) -> bool:
        """Goes on from checkpoint.pt, if there is one."""
        file = self.folder / "checkpoint.pt"
        if not file.exists():
            return False
        state = torch.load(file, map_location="cpu", weights_only=True)
        for parameter, value in zip(self.parameters, state["weights"], strict=True):
            parameter.copy_(value)
        self.average = state["average"]
        for optimizer, value in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(value)
        self.step, self.samples, self.seconds = state["step"], state["samples"], state["seconds"]
        self.sitting = state["sitting"]
        return True

    @torch.no_grad()
    def use_average(self) -> None:
        """Puts the averaged weights into the pipeline (for export; not to train on)."""
        for parameter, value in zip(self.parameters, self.average, strict=True):
            parameter.copy_(value)
