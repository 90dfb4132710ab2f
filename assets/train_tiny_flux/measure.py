"""Measures the embedded model with a cache.

Three measurements: the change of the first block's residual, DBCache's PSNR at rising thresholds, and the
curvature of the path from noise to picture.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np
import torch
from diffusers import FluxPipeline

from cache_engine import METHODS, attached
from cache_engine.quality import psnr

from .domain import DRAWN
from .evaluate import held_out

THRESHOLDS = (0.05, 0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4)
COMPUTED, OUT_OF = 12, 50  # "curved enough": computed steps, and steps of the reference
# The best of DBCache's whole space at these two numbers, found on other prompts (docs/quality.md).
SEARCHED = "10000010000010000010000010000100001000010001001011"


class Run(NamedTuple):
    """One picture (DRAWN, DRAWN, 3) uint8, its first stream's schedule, and its change per step (None where
    unknown).
    """

    picture: np.ndarray
    schedule: str
    changes: list[float | None]


class Outcome(NamedTuple):
    """Means over prompts: share of cached steps, number of computed steps, PSNR in dB to the reference."""

    cached: float
    computed: float
    psnr_db: float


@torch.no_grad()
def run(pipe: FluxPipeline, method: Any, prompt: str, seed: int, scale: float, steps: int) -> Run:
    """Draw a picture with the stock pipeline under a method of the engine."""
    with attached(pipe, method) as session:
        picture = pipe(
            prompt,
            negative_prompt="",
            true_cfg_scale=scale,
            num_inference_steps=steps,
            width=DRAWN,
            height=DRAWN,
            max_sequence_length=pipe.tokenizer_2.model_max_length,
            generator=torch.Generator().manual_seed(seed),
        ).images[0]
    calls = [call for call in session.trace if call.stream == session.trace[0].stream]
    return Run(np.asarray(picture), "".join(call.mode for call in calls), [call.change for call in calls])


def dbcache(**knobs: Any) -> Any:
    """Make a DBCache. Its defaults here are F1, W2 and no limits."""
    return METHODS["dbcache"](
        **{"Fn_compute_blocks": 1, "max_warmup_steps": 2, "taylorseer_order": 0, **knobs}
    )


class Bench:
    """Held-out prompts and their references, drawn once for each number of steps."""

    def __init__(self, pipe: FluxPipeline, scale: float, prompts: int) -> None:
        self.pipe, self.scale = pipe, scale
        self.prompts = [text for _, text in held_out(prompts)]
        self._references: dict[int, list[Run]] = {}

    def runs(self, method: Any, steps: int) -> list[Run]:
        return [
            run(self.pipe, method, text, seed, self.scale, steps) for seed, text in enumerate(self.prompts)
        ]

    def references(self, steps: int) -> list[Run]:
        """Draw the references, with every step computed. The change is recorded at each step."""
        if steps not in self._references:
            self._references[steps] = self.runs(dbcache(residual_diff_threshold=0.0), steps)
        return self._references[steps]

    def outcome(self, runs: Iterable[Run], against: int) -> Outcome:
        pairs = list(zip(runs, self.references(against)))
        cached = float(np.mean([run.schedule.count("c") / len(run.schedule) for run, _ in pairs]))
        computed = float(np.mean([run.schedule.count("C") for run, _ in pairs]))
        likeness = [psnr(reference.picture, run.picture) for run, reference in pairs]
        return Outcome(
            cached, computed, float(np.mean([100.0 if value is None else value for value in likeness]))
        )

    def grading(self, steps: int) -> dict[str, Outcome]:
        """Return the outcome of DBCache (F1, W2, no limits) for each threshold."""
        return {
            f"{limit:g}": self.outcome(self.runs(dbcache(residual_diff_threshold=limit), steps), steps)
            for limit in THRESHOLDS
        }

    def curvature(self, computed: int, steps: int) -> dict[str, Outcome]:
        """The plain model with few steps, and DBCache with as many computed of `steps`, against all
        `steps`.
        """
        found = {f"plain, {computed} steps": self.outcome(self.runs(METHODS["baseline"](), computed), steps)}
        for warmup in (2, 4, 6):
            even = np.linspace(warmup - 1, steps - 1, computed - warmup + 1).round().astype(int)[1:]
            mask = "".join("1" if step < warmup or step in even else "0" for step in range(steps))
            for order in (0, 1, 2):
                method = dbcache(
                    max_warmup_steps=warmup,
                    taylorseer_order=order,
                    steps_computation_mask=mask,
                    steps_computation_policy="static",
                )
                found[f"DBCache F1 W{warmup}, T{order}, even mask"] = self.outcome(
                    self.runs(method, steps), steps
                )
        if (computed, steps) == (COMPUTED, OUT_OF):
            method = dbcache(
                max_warmup_steps=4,
                taylorseer_order=1,
                predictor="dmd",
                steps_computation_mask=SEARCHED,
                steps_computation_policy="static",
            )
            found["DBCache F1, dmd, searched mask"] = self.outcome(self.runs(method, steps), steps)
        return found


def change_per_step(runs: list[Run]) -> list[tuple[float, float, float]]:
    """Return the (least, mean, largest) change over the prompts, for each step that has a change."""
    rows = [[change for change in run.changes if change is not None] for run in runs]
    table = np.array(rows)
    return [(float(column.min()), float(column.mean()), float(column.max())) for column in table.T]
