"""A survey is the record of a baseline run. From a survey, ``simulate`` estimates other settings without
running them.

A survey holds activations of the image tokens: before the first block, and after every block. If a tensor is
too large, only some of its values are recorded, at the same random positions for all steps and streams. A
position in a channel of large values is drawn with a higher probability, and its value is weighted by the
inverse of that probability (Horvitz and Thompson 1952). In large transformers, the values of a few channels
are hundreds of times larger than all others; a draw with equal probabilities would miss them. The code uses
numpy, not torch.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..plans import ModelFacts, Signal
from ..strict import EngineError

VERSION = 3
BUDGET = 56_000_000  # bytes of activations in one survey; for FLUX.1-dev at 50 steps: 9,491 positions
_HALF_TOP = 1024.0  # largest value stored as float16, whose range is about 6e-8 to 65504


def most_positions(elements: int, tensors: int, budget: int = BUDGET) -> int:
    """Return the number of values that a survey records of each tensor: all of them, if the budget allows.

    elements: number of values of one tensor.
    tensors: number of tensors in the survey.
    budget: bytes for all tensors together, stored as float16.
    """
    return max(1, min(elements, budget // (2 * tensors)))


def in_half(values: np.ndarray) -> tuple[np.ndarray, float]:
    """Return scaled ``values`` as float16, and their scale, a power of two. Multiply the scaled values by the
    scale to get ``values`` back.
    """
    top = float(np.abs(values).max(initial=0.0))
    scale = 2.0 ** np.ceil(np.log2(top / _HALF_TOP)) if top > 0 else 1.0
    return (values / scale).astype(np.float16), scale


def _nothing() -> np.ndarray:
    return np.zeros(0, np.float32)


@dataclass(eq=False)
class Survey:
    """The record of one baseline run.

    Axes of the arrays: s streams, t steps, k blocks, n recorded positions. An array of shape ``(0,)`` was not
    recorded. "Image tensor" means the tensor that carries the image tokens from block to block.

    The run:

    ``facts``: the model's facts that a method's plan may depend on.
    ``request``, ``engine``: the request, and the engine that ran it.
    ``mix``: for each stream, the weight of its output in the guided output. Without guidance: (1.0,).
    ``sigmas``: the scheduler's noise levels before each step and after the last step; () if unknown.

    Recorded values, as float16. Multiply them by their scale:

    ``entry`` (s, t, n): the image tensor before the first block. Scale: ``entry_scale``.
    ``residuals`` (k, s, t, n): the image tensor after each block, minus ``entry``. Scale: ``scales`` (k,).
    ``modulated`` (s, t, n): TeaCache's signal, if the model has it. Scale: ``modulated_scale``.

    The last layer, recorded if its class is known and every position of the image tensor was recorded:

    ``last`` (outputs, channels): the weights of the last layer.
    ``modulation`` (s, t, channels): the factors of the norm before the last layer.

    The effect of errors on the end of the run; ``error_propagation.ErrorPropagation`` explains these arrays:

    ``mixtures`` (tokens, e + d, outputs), ``patterns`` (d, tokens * e), ``levels`` (c,), ``products`` (c, s,
    k, d, t, k).

    Sums over all positions, recorded or not:

    ``weights`` (n,): weights of the recorded positions. The sum of weight times |value| estimates the mean of
    |value| over all positions.
    ``mean_abs`` (k, s, t): the exact mean of |residual|.
    ``exact`` (s, t): the exact change of the first block's residual since the step before; NaN at step 0.

    Costs:

    ``call_seconds`` (s, t), ``block_seconds`` (k, s, t): measured times of calls and blocks.
    ``loop_seconds``: measured time of the denoising loop.
    ``call_tflops``: TFLOPs of a call that computes every block.
    ``block_tflops`` (k,): TFLOPs of each block.

    ``memo``: results that were calculated from the arrays, so that each is calculated once.
    """

    facts: ModelFacts
    request: dict[str, Any]
    engine: dict[str, Any]
    mix: tuple[float, ...]
    sigmas: tuple[float, ...]
    loop_seconds: float
    call_tflops: float
    entry_scale: float
    modulated_scale: float
    entry: np.ndarray
    residuals: np.ndarray
    modulated: np.ndarray
    scales: np.ndarray
    last: np.ndarray
    modulation: np.ndarray
    weights: np.ndarray
    mean_abs: np.ndarray
    exact: np.ndarray
    call_seconds: np.ndarray
    block_seconds: np.ndarray
    block_tflops: np.ndarray
    mixtures: np.ndarray = field(default_factory=_nothing)
    patterns: np.ndarray = field(default_factory=_nothing)
    levels: np.ndarray = field(default_factory=_nothing)
    products: np.ndarray = field(default_factory=_nothing)
    memo: dict[Any, Any] = field(default_factory=dict, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "memo": {}}

    @property
    def nbytes(self) -> int:
        return sum(getattr(self, name).nbytes for name in ARRAYS)

    def changes(self, signal: Signal, front: int) -> list[list[list[float]]] | None:
        """Return the signal's change between every two steps, as [stream][reference step][step].

        A change is the mean of |value at the step - value at the reference step|, divided by the mean of
        |value at the reference step|.

        front: the number of first blocks whose residual is the signal. Only a ``front_residual`` uses it.

        Returns None if this run did not record the signal.
        """
        if signal.kind == "modulated_input":
            if not self.modulated.size:
                return None
            key, values, means = "modulated", self.modulated, None
        elif front > 0:
            key, values = front, self.residuals[front - 1]
            means = self.mean_abs[front - 1] / self.scales[front - 1]
        else:
            return None
        if key not in self.memo:
            self.memo[key] = [
                self._changes(values[s].astype(np.float32), None if means is None else means[s])
                for s in range(len(values))
            ]
        return self.memo[key]

    def _changes(self, values: np.ndarray, means: np.ndarray | None) -> list[list[float]]:
        """Return the changes of one stream as [reference step][step]. The change is 0 at the reference step
        and at the steps before it.

        values: the recorded signal, (steps, positions).
        means: the mean of |value| at each step, (steps,); None: it is estimated from ``values``.
        """
        means = np.abs(values) @ self.weights if means is None else means
        changes = np.zeros((len(values), len(values)))
        for then in range(len(values) - 1):
            changes[then, then + 1 :] = np.abs(values[then + 1 :] - values[then]) @ self.weights / means[then]
        return changes.tolist()

    def added(self, start: int, stop: int) -> np.ndarray:
        """Return the residual of the blocks ``start`` to ``stop - 1`` at every recorded position, as float32:
        (streams, steps, positions).
        """
        value = self.residuals[stop - 1].astype(np.float32) * self.scales[stop - 1]
        if start > 0:
            value -= self.residuals[start - 1].astype(np.float32) * self.scales[start - 1]
        return value

    def gram(self, start: int, stop: int) -> np.ndarray:
        """Return the inner product of every two residuals of the blocks ``start`` to ``stop - 1``. Each
        residual belongs to one stream and one step: (streams * steps, streams * steps).
        """
        key = (start, stop)
        if key not in self.memo:
            flat = self.added(start, stop).reshape(-1, self.weights.size)
            self.memo[key] = (flat * self.weights) @ flat.T
        return self.memo[key]

    @property
    def sampling_error(self) -> float | None:
        """Return the typical relative error of a change that was calculated from the recorded positions only.

        The error is the root mean square of (sampled change / exact change - 1). The changes are those of the
        first block's residual from each step to the next.

        Returns None if the run has only one step.
        """
        changes = self.changes(Signal("front_residual", "computed"), 1)
        if changes is None or self.facts.steps < 2:
            return None
        sampled = np.array([[stream[t - 1][t] for t in range(1, self.facts.steps)] for stream in changes])
        return float(np.sqrt(np.mean((sampled / self.exact[:, 1:] - 1) ** 2)))

    def save(self, path: Path) -> None:
        """Write the survey as an .npz file, for ``survey_file.load``. Raises EngineError if that is
        impossible.
        """
        plain = {name: getattr(self, name) for name in _PLAIN} | {
            "facts": self.facts._asdict(),
            "version": VERSION,
        }
        try:
            with path.open("wb") as file:
                np.savez(file, facts=json.dumps(plain), **{name: getattr(self, name) for name in ARRAYS})
        except OSError as error:
            raise EngineError(
                f"survey: {path} cannot be written ({error.strerror or type(error).__name__}); choose "
                "another folder, or make room."
            ) from None


ARRAYS = (
    "entry",
    "residuals",
    "modulated",
    "scales",
    "last",
    "modulation",
    "weights",
    "mean_abs",
    "exact",
    "call_seconds",
    "block_seconds",
    "block_tflops",
    "mixtures",
    "patterns",
    "levels",
    "products",
)
_PLAIN = tuple(item.name for item in fields(Survey) if item.name not in (*ARRAYS, "facts", "memo"))
