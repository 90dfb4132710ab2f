"""The trainer: rectified flow on rendered pictures, transformer and text encoders together, resumable at any
time.

Each core runs one process with one thread. The processes share weights, gradients and optimizer state in
memory. Each process draws its own samples and updates its own part of the weights. Unlike threads, processes
lose nothing when other programs use the cores.
"""

from __future__ import annotations

import json
import time
from pathlib import Path

import torch
import torch.multiprocessing as processes
from diffusers import FluxPipeline

from .worker import RUNNING, Recipe, Shared, Worker, assist, parameters_of


class Trainer:
    """The first worker. `folder` holds checkpoint.pt and log.jsonl. Training sleeps while `folder` has a file
    `pause`.
    """

    def __init__(self, pipe: FluxPipeline, folder: Path, recipe: Recipe) -> None:
        self.pipe, self.folder, self.recipe = pipe, folder, recipe
        folder.mkdir(parents=True, exist_ok=True)
        pipe.vae.save_pretrained(folder / "vae")
        self.shared = Shared.of(list(parameters_of(pipe).values()), recipe.workers)
        self.step = self.samples = 0
        self.seconds = 0.0  # training time of all sittings
        self.sitting = 0.0  # training time of the current sitting

    def rate(self, progress: float, steps: int) -> float:
        """Share of the full learning rates at a share of the sitting: warm-up in steps, plateau, linear
        decay.
        """
        warm = min(1.0, (steps + 1) / self.recipe.warmup_steps)
        return warm * min(1.0, max(0.0, 1 - progress) / self.recipe.decay_share)

    def run(self) -> None:
        """Train for one sitting, or for the rest of it. Write checkpoints, the last of them at the end."""
        threads = torch.get_num_threads()
        torch.set_num_threads(1)
        self.shared.step[0] = self.step
        context = processes.get_context("spawn")
        barrier = context.Barrier(self.recipe.workers)
        others = [
            context.Process(
                target=assist, args=(rank, self.folder, self.recipe, self.shared, barrier), daemon=True
            )
            for rank in range(1, self.recipe.workers)
        ]
        for other in others:
            other.start()
        try:
            self.lead(Worker(self.pipe, self.recipe, self.shared, 0, barrier))
        except BaseException:
            barrier.abort()
            raise
        finally:
            (self.folder / RUNNING).unlink(missing_ok=True)
            torch.set_num_threads(threads)
        for other in others:
            other.join()

    def lead(self, worker: Worker) -> None:
        """Run the loop of the first worker, which keeps the clock, the log and the checkpoints."""
        recipe, begun = self.recipe, time.time()
        deadline, saved, mark, steps = begun + 60 * recipe.minutes, begun, begun, 0
        recent: list[tuple[float, float]] = []
        while (now := time.time()) < deadline and steps < recipe.steps:
            (self.folder / RUNNING).touch()
            if (self.folder / "pause").exists():
                time.sleep(2)
                continue
            spent = self.sitting + now - begun
            rate = self.rate(spent / (spent + deadline - now), steps)
            self.shared.rate[0], self.shared.step[0] = rate, self.step
            worker.meet()
            recent.append(worker.update(self.step + 1, rate))
            worker.meet()
            steps, self.step = steps + 1, self.step + 1
            self.samples += recipe.workers * recipe.batch
            self.seconds += time.time() - now
            if steps % 50 == 0:
                losses, norms = zip(*recent)
                self.log(
                    loss=sum(losses) / len(losses),
                    norm=sum(norms) / len(norms),
                    rate=rate,
                    per_second=len(recent) * recipe.workers * recipe.batch / (time.time() - mark),
                )
                recent, mark = [], time.time()
            if time.time() - saved > 60 * recipe.checkpoint_minutes:
                self.save(spent)
                saved = time.time()
        self.shared.rate[0] = -1
        worker.meet()
        self.save(0.0 if time.time() >= deadline else self.sitting + time.time() - begun)

    def log(self, **facts: float) -> None:
        """Append one line to log.jsonl, and print the line."""
        line = json.dumps(
            {
                "step": self.step,
                "samples": self.samples,
                "minutes": round(self.seconds / 60, 1),
                **{k: float(f"{v:.5g}") for k, v in facts.items()},
            }
        )
        print(line, flush=True)
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as file:
            file.write(line + "\n")

    def save(self, sitting: float) -> None:
        """Write checkpoint.pt completely or not at all.

        sitting: seconds of the current sitting; 0 once it is over.
        """
        half = self.folder / "checkpoint.part"
        tensors = {name: getattr(self.shared, name) for name in ("values", "average", "momentum", "square")}
        torch.save(
            {
                **tensors,
                "step": self.step,
                "samples": self.samples,
                "seconds": self.seconds,
                "sitting": sitting,
            },
            half,
        )
        half.replace(self.folder / "checkpoint.pt")

    @torch.no_grad()
    def resume(self) -> bool:
        """Resume from checkpoint.pt, if the file exists."""
        file = self.folder / "checkpoint.pt"
        if not file.exists():
            return False
        state = torch.load(file, map_location="cpu", weights_only=True)
        for name in ("values", "average", "momentum", "square"):
            torch._foreach_copy_(getattr(self.shared, name), state[name])
        self.step, self.samples, self.seconds = state["step"], state["samples"], state["seconds"]
        self.sitting = state["sitting"]
        return True


@torch.no_grad()
def use_average(pipe: FluxPipeline, folder: Path) -> dict[str, float]:
    """Puts the checkpoint's averaged weights into the pipeline; returns its step, samples and seconds."""
    state = torch.load(folder / "checkpoint.pt", map_location="cpu", weights_only=True)
    for parameter, value in zip(parameters_of(pipe).values(), state["average"], strict=True):
        parameter.copy_(value)
    return {name: state[name] for name in ("step", "samples", "seconds")}
