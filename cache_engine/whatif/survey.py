"""Survey: the record of a baseline run from which other settings are judged without running them.

It holds the image stream's activations before the first block and after every block, at the same positions
for every step and stream. A position is drawn with a probability that follows the size of its channel, and is
weighted by the inverse of that probability (Horvitz and Thompson 1952). Large transformers have a few
channels hundreds of times the rest, which a uniform draw would miss. numpy, no torch.
"""

from __future__ import annotations

import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np

from ..plans import ModelFacts, Signal
from ..strict import EngineError

VERSION = 3
BUDGET = 56_000_000  # bytes of activations in one survey: FLUX.1-dev over 50 steps gets 9,491 positions
_HALF_TOP = 1024.0  # the largest stored value; far from float16's ends at both sides


def most_positions(elements: int, tensors: int, budget: int = BUDGET) -> int:
    """Return how many of a tensor's ``elements`` are recorded: all, if ``tensors`` of them fit the budget.

    budget: bytes for all tensors in float16.
    """
    return max(1, min(elements, budget // (2 * tensors)))


def in_half(values: np.ndarray) -> tuple[np.ndarray, float]:
    """Return ``values`` as float16, and the power of two to multiply them by."""
    top = float(np.abs(values).max(initial=0.0))
    scale = 2.0 ** np.ceil(np.log2(top / _HALF_TOP)) if top > 0 else 1.0
    return (values / scale).astype(np.float16), scale


def _nothing() -> np.ndarray:
    return np.zeros(0, np.float32)


@dataclass(eq=False)
class Survey:
    """One baseline run. Axes: streams s, steps t, blocks k, positions n. ``(0,)`` marks an absent array.

    facts: the facts that plans depend on.
    request, engine: the run and the engine that made it.
    mix: the weight of each stream in the velocity.
    sigmas: the scheduler's noise levels, one more than steps, or none.
    entry (s, t, n): before the first block.
    residuals (k, s, t, n): after each block, minus the entry.
    modulated (s, t, n) or (0,): TeaCache's signal.
    These three are float16, to be multiplied by entry_scale, scales (k,), modulated_scale.
    last (outputs, channels): the last layer's weights. modulation (s, t, channels): the factors of the norm
    before it. Both are (0,) unless that layer is of a known kind and the whole image stream was recorded.
    mixtures (tokens, e + d, outputs), patterns (d, tokens * e), levels (c,), products (c, s, k, d, t, k): the
    effect of errors on the end, as in ``error_propagation.ErrorPropagation``; (0,) if it was not computed.
    weights (n,): the sum of weight times |value| is the mean over the whole image stream.
    mean_abs (k, s, t): of the residuals over the whole image stream, exact.
    exact (s, t): the change of the first block's residual from the step before over the whole image stream;
    NaN at step 0.
    call_seconds (s, t), block_seconds (k, s, t): measured. loop_seconds: of the denoise loop.
    call_tflops: of one full call. block_tflops (k,): of each block.
    memo: results derived from the arrays, computed once.
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
        return sum(getattr(self, name).nbytes for name in _ARRAYS)

    def changes(self, signal: Signal, front: int) -> list[list[list[float]]] | None:
        """[stream][reference step][step]: the signal's relative change mean|now - then| / mean|then|.

        front: the number of first blocks whose residual is the signal, for a front-residual signal.
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
        """values (t, n), means (t,) or None -> [reference][step], zero up to the reference."""
        means = np.abs(values) @ self.weights if means is None else means
        changes = np.zeros((len(values), len(values)))
        for then in range(len(values) - 1):
            changes[then, then + 1 :] = np.abs(values[then + 1 :] - values[then]) @ self.weights / means[then]
        return changes.tolist()

    def added(self, start: int, stop: int) -> np.ndarray:
        """Return the residual of the blocks ``start..stop-1`` at every position: (s, t, n) in float32."""
        value = self.residuals[stop - 1].astype(np.float32) * self.scales[stop - 1]
        if start > 0:
            value -= self.residuals[start - 1].astype(np.float32) * self.scales[start - 1]
        return value

    def gram(self, start: int, stop: int) -> np.ndarray:
        """Return the inner products (s * t, s * t) of the residual of the blocks ``start..stop-1``.

        They are means over the image stream.
        """
        key = (start, stop)
        if key not in self.memo:
            flat = self.added(start, stop).reshape(-1, self.weights.size)
            self.memo[key] = (flat * self.weights) @ flat.T
        return self.memo[key]

    @property
    def sampling_error(self) -> float | None:
        """Return the root mean square of (sampled change / exact change - 1): first block, step to step.

        None if the run has a single step.
        """
        changes = self.changes(Signal("front_residual", "computed"), 1)
        if changes is None or self.facts.steps < 2:
            return None
        sampled = np.array([[stream[t - 1][t] for t in range(1, self.facts.steps)] for stream in changes])
        return float(np.sqrt(np.mean((sampled / self.exact[:, 1:] - 1) ** 2)))

    def save(self, path: Path) -> None:
        """Write one .npz file. Raises EngineError where it cannot be written."""
        plain = {name: getattr(self, name) for name in _PLAIN} | {
            "facts": self.facts._asdict(),
            "version": VERSION,
        }
        try:
            with path.open("wb") as file:
                np.savez(file, facts=json.dumps(plain), **{name: getattr(self, name) for name in _ARRAYS})
        except OSError as error:
            raise EngineError(
                f"survey: {path} cannot be written ({error.strerror or type(error).__name__}); choose "
                f"another "
                "folder, or make room."
            ) from None


_ARRAYS = (
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
_PLAIN = tuple(item.name for item in fields(Survey) if item.name not in (*_ARRAYS, "facts", "memo"))


def load(path: Path) -> Survey:
    """Read a file that ``Survey.save`` wrote. Raises EngineError for any other file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            plain: dict[str, Any] = json.loads(str(file["facts"]))
            if plain.pop("version") != VERSION:
                raise EngineError(f"survey: {path} was written by another version; run the baseline again.")
            facts = ModelFacts(**{name: _tuples(value) for name, value in plain.pop("facts").items()})
            return Survey(
                facts=facts,
                **{name: _tuples(value) for name, value in plain.items()},
                **{name: file[name] for name in _ARRAYS},
            )
    except FileNotFoundError:
        raise EngineError(
            f"survey: {path} does not exist; `compare --out DIR` writes DIR/survey.npz."
        ) from None
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        raise EngineError(
            f"survey: {path} is not a survey, or damaged; `compare --out DIR` writes DIR/survey.npz."
        ) from None


def _tuples(value: Any) -> Any:
    """Turn JSON's lists back into tuples."""
    return (
        tuple(map(_tuples, value))
        if isinstance(value, list)
        else dict(value)
        if isinstance(value, Mapping)
        else value
    )
