"""The student: the frozen transformer with low-rank changes of all its linear layers, without guidance."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import NamedTuple

import torch
from diffusers import FluxPipeline
from torch import Tensor, nn

from assets.train_tiny_flux.domain import TOKEN

from .paths import KEPT, Paths, Texts, Velocity, encode, noise_levels

RANK = 24
NUMBERS = 3 * TOKEN**2  # number of values in a token's pixels


class Recipe(NamedTuple):
    """How long and how fast a student learns.

    In the first phase (slopes), the student learns the slopes between the teacher's states. In the second
    phase (walks), the student draws with all its steps and learns from the error of its final state.
    """

    steps: int  # steps of the student's runs
    slopes: int  # number of updates in the first phase
    walks: int  # number of updates in the second phase
    start: int | None = None  # begin with the weights of the student with this many steps
    slope_batch: int = 16
    walk_batch: int = 8
    slope_rate: float = 2e-3
    walk_rate: float = 6e-4
    warmup: int = 40
    average: float = 0.99
    seed: int = 0
    checkpoint_minutes: float = 3.0


class Adapted(nn.Module):
    """A linear layer whose frozen weight is changed by the product of two small matrices."""

    def __init__(self, linear: nn.Linear, rank: int, generator: torch.Generator) -> None:
        super().__init__()
        self.linear = linear
        first = torch.randn(rank, linear.in_features, generator=generator) / linear.in_features**0.5
        self.down = nn.Parameter(first)
        self.up = nn.Parameter(torch.zeros(linear.out_features, rank))

    def forward(self, inputs: Tensor) -> Tensor:
        """Return the layer's outputs with the changed weight."""
        weight = torch.addmm(self.linear.weight, self.up, self.down)
        return nn.functional.linear(inputs, weight, self.linear.bias)


def adapt(transformer: nn.Module, rank: int = RANK, seed: int = 0) -> dict[str, Adapted]:
    """Freeze the transformer and adapt all its linear layers in place; return them by name."""
    transformer.requires_grad_(False)
    generator = torch.Generator().manual_seed(seed)
    linear = {name: part for name, part in transformer.named_modules() if isinstance(part, nn.Linear)}
    adapted = {name: Adapted(part, rank, generator) for name, part in linear.items()}
    for name, part in adapted.items():
        transformer.set_submodule(name, part)
    return adapted


class Student:
    """Trains the low-rank changes for one number of steps. `folder` keeps the checkpoint and the log."""

    def __init__(self, pipe: FluxPipeline, folder: Path, recipe: Recipe) -> None:
        self.pipe, self.recipe, self.name = pipe, recipe, f"lightning-{recipe.steps}"
        self.folder = folder
        self.layers = adapt(pipe.transformer, seed=recipe.seed)
        self.weights: list[Tensor] = [
            weight for layer in self.layers.values() for weight in (layer.up, layer.down)
        ]
        self.mean = [weight.detach().clone() for weight in self.weights]
        self.optimizer = torch.optim.AdamW(self.weights, lr=0.0, betas=(0.9, 0.98), weight_decay=0.0)
        self.velocity, self.step, self.seconds = Velocity(pipe), 0, 0.0
        self.levels = noise_levels(pipe, recipe.steps)
        spread = pipe.vae.scale.detach()
        self.importance = spread / spread.mean()  # weight of each latent value in the picture

    def run(self, paths: Paths, test: Paths) -> None:
        """Train to the end of the recipe and write checkpoints. `test`: paths that measure the progress."""
        texts, asked = encode(self.pipe, paths.prompts), encode(self.pipe, test.prompts)
        recipe, saved, recent = self.recipe, time.time(), []
        while self.step < recipe.slopes + recipe.walks:
            begun = time.time()
            recent.append(self.update(texts, paths.states[:, :: KEPT // recipe.steps]))
            self.seconds += time.time() - begun
            if self.step % 50 == 0 or self.step == recipe.slopes + recipe.walks:
                psnr = self.likeness(asked, test.states)
                self.log(loss=sum(recent) / len(recent), test_psnr_db=psnr)
                recent = []
            if time.time() - saved > 60 * recipe.checkpoint_minutes:
                self.save()
                saved = time.time()
        self.save()

    def rate(self) -> float:
        """Return the learning rate. In each of the two phases it warms up and then falls linearly."""
        recipe = self.recipe
        walking = self.step >= recipe.slopes
        at, length = (self.step - recipe.slopes, recipe.walks) if walking else (self.step, recipe.slopes)
        top = recipe.walk_rate if walking else recipe.slope_rate
        floor = 0.0 if walking else 0.15
        return top * min(1.0, (at + 1) / recipe.warmup) * (floor + (1 - floor) * (1 - at / length))

    def update(self, texts: Texts, states: Tensor) -> float:
        """Take one step of the optimizer; return the loss. The batch depends on seed and step alone."""
        recipe = self.recipe
        walking = self.step >= recipe.slopes
        generator = torch.Generator().manual_seed(1_000_000 * recipe.seed + self.step)
        batch = recipe.walk_batch if walking else recipe.slope_batch
        rows = torch.randint(len(states), (batch,), generator=generator)
        if walking:
            loss = self.walk_loss(texts.pick(rows), states[rows])
        else:
            loss = self.slope_loss(texts.pick(rows), states[rows], generator)
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.weights, 1.0)
        for group in self.optimizer.param_groups:
            group["lr"] = self.rate()
        self.optimizer.step()
        keep = min(recipe.average, (self.step + 1) / (self.step + 10))
        with torch.no_grad():
            torch._foreach_lerp_(self.mean, self.weights, 1 - keep)
        self.step += 1
        return float(loss.detach())

    def slope_loss(self, texts: Texts, states: Tensor, generator: torch.Generator) -> Tensor:
        """Return the velocity's distance, at a teacher's state, from the straight line to the next state."""
        batch, steps = len(states), self.recipe.steps
        at = torch.randperm(batch, generator=generator) * steps // batch  # draw every step equally often
        levels, rows = torch.tensor(self.levels), torch.arange(batch)
        line = (states[rows, at + 1] - states[rows, at]) / (levels[at + 1] - levels[at])[:, None, None]
        return self.distance(self.velocity(states[rows, at], levels[at], texts), line)

    def walk_loss(self, texts: Texts, states: Tensor) -> Tensor:
        """Return the distance between the final states of the student's own run and of the teacher's run."""
        return self.distance(self.walk(texts, states[:, 0]), states[:, -1])

    def distance(self, left: Tensor, right: Tensor) -> Tensor:
        """Return the mean squared difference. Each value is weighted by its importance for the picture."""
        return ((left - right).square() * self.importance).mean()

    def walk(self, texts: Texts, noise: Tensor) -> Tensor:
        """Run all steps of the student and return the final states."""
        state = noise
        for sigma, following in zip(self.levels, self.levels[1:]):
            level = torch.full((len(state),), sigma)
            state = state + (following - sigma) * self.velocity(state, level, texts)
        return state

    @torch.no_grad()
    def likeness(self, texts: Texts, states: Tensor) -> float:
        """Return the mean PSNR in dB between the pictures of the averaged weights and of the teacher.

        The pictures are decoded linearly.
        """
        kept = [weight.detach().clone() for weight in self.weights]
        torch._foreach_copy_(self.weights, self.mean)
        ends = self.walk(texts, states[:, 0])
        torch._foreach_copy_(self.weights, kept)
        error = ((ends - states[:, -1]) * self.pipe.vae.scale).square().sum(-1).mean(-1)
        return float((10 * torch.log10(4 * NUMBERS / error)).mean())

    def log(self, **facts: float) -> None:
        """Append one line to the log and print it."""
        about = {"step": self.step, "minutes": round(self.seconds / 60, 1), "rate": self.rate()}
        line = json.dumps({"name": self.name} | about | {k: float(f"{v:.5g}") for k, v in facts.items()})
        print(line, flush=True)
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    @property
    def checkpoint(self) -> Path:
        """The file that holds the state of the training."""
        return self.folder / f"{self.name}.pt"

    def save(self) -> None:
        """Write the checkpoint completely or not at all."""
        half = self.checkpoint.with_suffix(".part")
        state = {
            "weights": [weight.detach() for weight in self.weights],
            "mean": self.mean,
            "optimizer": self.optimizer.state_dict(),
            "step": self.step,
            "seconds": self.seconds,
        }
        torch.save(state, half)
        half.replace(self.checkpoint)

    @torch.no_grad()
    def resume(self) -> bool:
        """Resume from the checkpoint. If none exists, load the recipe's first weights and return False."""
        if not self.checkpoint.exists():
            if self.recipe.start:
                self.begin(self.folder / f"lightning-{self.recipe.start}.pt")
            return False
        state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
        torch._foreach_copy_(self.weights, state["weights"])
        torch._foreach_copy_(self.mean, state["mean"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step, self.seconds = state["step"], state["seconds"]
        return True

    @torch.no_grad()
    def begin(self, checkpoint: Path) -> None:
        """Begin with the averaged weights of another student."""
        mean = torch.load(checkpoint, map_location="cpu", weights_only=True)["mean"]
        torch._foreach_copy_(self.weights, mean)
        torch._foreach_copy_(self.mean, mean)

    def lora(self) -> dict[str, Tensor]:
        """Return the averaged weights as the tensors of a LoRA file: float16, for a strength of 1."""
        named = {}
        for (name, _), up, down in zip(self.layers.items(), self.mean[::2], self.mean[1::2], strict=True):
            named[f"transformer.{name}.lora_up.weight"] = up.half().contiguous()
            named[f"transformer.{name}.lora_down.weight"] = down.half().contiguous()
        return named
