"""Makes a survey of random numbers without torch. tests/engine/surveys.py records real surveys."""

from __future__ import annotations

import numpy as np

from cache_engine.plans import ModelFacts
from cache_engine.records import RunRequest
from cache_engine.whatif.survey import Survey, in_half
from tests.engine.facts import facts

TOKENS, CHANNELS, OUTPUTS = 16, 32, 4
EACH, DIRECTIONS, LEVELS = 2, 2, 3  # mixtures of a token, directions, and noise levels with known gradients


def random_survey(seed: int = 0, run: ModelFacts | None = None) -> Survey:
    """Make a survey whose activations move by a tenth in each step. It is of a guided run of 12 steps and 6
    blocks, or as ``run`` describes.
    """
    draw, run = np.random.default_rng(seed), run or facts()
    streams, steps, blocks, values = len(run.streams), run.steps, run.blocks, TOKENS * CHANNELS
    moves = draw.normal(size=(blocks + 1, streams, steps, values)) * draw.uniform(0.02, 0.3, (1, 1, steps, 1))
    start = draw.normal(size=(blocks + 1, streams, 1, values))
    added = start + np.cumsum(moves, axis=2)  # changes made by the input, then by each block
    entry, entry_scale = in_half(added[0])
    residuals = np.cumsum(added[1:], axis=0)
    halves = [in_half(block) for block in residuals]
    modulated, modulated_scale = in_half(added[0] * 0.5)
    weights = np.full(values, 1 / values, np.float32)
    mean_abs = np.abs(residuals) @ weights
    exact = np.full((streams, steps), np.nan)
    exact[:, 1:] = np.abs(np.diff(residuals[0], axis=1)) @ weights / mean_abs[0, :, :-1]
    return Survey(
        facts=run,
        request=RunRequest(prompt="-", steps=steps, true_cfg_scale=3.0).model_dump(mode="json"),
        engine={"model": "tiny", "revision": "none", "dtype": "float32", "device": "cpu", "versions": "none"},
        mix=(3.0, -2.0),
        sigmas=tuple(np.linspace(1, 0, steps + 1).tolist()),
        loop_seconds=1.0,
        call_tflops=6.5,
        entry_scale=float(entry_scale),
        modulated_scale=float(modulated_scale),
        entry=entry,
        residuals=np.stack([half for half, _ in halves]),
        modulated=modulated,
        scales=np.array([scale for _, scale in halves], np.float32),
        last=draw.normal(size=(OUTPUTS, CHANNELS)).astype(np.float32),
        modulation=draw.normal(1, 0.1, (streams, steps, CHANNELS)).astype(np.float32),
        weights=weights,
        mean_abs=mean_abs.astype(np.float32),
        exact=exact,
        call_seconds=np.full((streams, steps), 1 / (streams * steps)),
        block_seconds=np.full((blocks, streams, steps), 0.9 / (blocks * streams * steps)),
        block_tflops=np.ones(blocks),
        mixtures=draw.normal(size=(TOKENS, EACH + DIRECTIONS, OUTPUTS)).astype(np.float32),
        patterns=draw.normal(size=(DIRECTIONS, TOKENS * EACH)).astype(np.float32),
        levels=np.linspace(0, 1, LEVELS).astype(np.float32),
        products=draw.normal(size=(LEVELS, streams, blocks, DIRECTIONS, steps, blocks)).astype(np.float32),
    )
