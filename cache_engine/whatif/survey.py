"""A survey is the record of a baseline run from which other settings are estimated without running them.

A survey holds the image stream's activations before the first block and after every block, at the same
positions for all steps and streams. Positions are drawn at random. The probability of a position follows the
size of its channel, and its value is weighted by the inverse of the probability (Horvitz and Thompson 1952).
In large transformers, a few channels are hundreds of times larger than the others; a uniform draw would miss
them. The code uses numpy, not torch.
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
_HALF_TOP = 1024.0  # the largest stored value; it is far from both ends of float16's range


def most_positions(elements: int, tensors: int, budget: int = BUDGET) -> int:
    """Return how many of a tensor's ``elements`` are recorded: all of them, if ``tensors`` such tensors fit
    the budget.

    budget: bytes for all tensors in float16.
    """
    return max(1, min(elements, budget // (2 * tensors)))


def in_half(values: np.ndarray) -> tuple[np.ndarray, float]:
    """Return ``values`` as float16, and the power of two by which they must be multiplied."""
    top = float(np.abs(values).max(initial=0.0))
    scale = 2.0 ** np.ceil(np.log2(top / _HALF_TOP)) if top > 0 else 1.0
    return (values / scale).astype(np.float16), scale


def _nothing() -> np.ndarray:
    return np.zeros(0, np.float32)


@dataclass(eq=False)
class Survey:
    """The record of one baseline run. Axes: streams s, steps t, blocks k, positions n. The shape ``(0,)``
    marks an array that is absent.

    ``facts``: the facts that plans depend on.
    ``request``, ``engine``: the run's request and the engine that made it.
    ``mix``: the weight of each stream in the velocity.
    ``sigmas``: the scheduler's noise levels, one more than steps, or none.

    ``entry`` (s, t, n): the image stream before the first block, in float16, to be multiplied by
    ``entry_scale``.
    ``residuals`` (k, s, t, n): the image stream after each block, minus the entry, in float16, to be
    multiplied by ``scales`` (k,).
    ``modulated`` (s, t, n) or (0,): TeaCache's signal in float16, to be multiplied by ``modulated_scale``.
    ``last`` (outputs, channels): the last layer's weights.
    ``modulation`` (s, t, channels): the factors of the norm before the last layer. Both ``last`` and
    ``modulation`` are (0,) unless the last layer is of a known kind and the whole image stream was recorded.
    ``mixtures`` (tokens, e + d, outputs), ``patterns`` (d, tokens * e), ``levels`` (c,), ``products`` (c, s,
    k, d, t, k): the effect of errors on the end of the run, as in ``error_propagation.ErrorPropagation``;
    (0,) if it was not computed.

    ``weights`` (n,): the sum of weight times |value| is the mean over the whole image stream.
    ``mean_abs`` (k, s, t): the exact mean size of the residuals over the whole image stream.
    ``exact`` (s, t): the exact change of the first block's residual since the step before, over the whole
    image stream; NaN at step 0.
    ``call_seconds`` (s, t), ``block_seconds`` (k, s, t): measured times of calls and blocks.
    ``loop_seconds``: the time of the denoising loop.
    ``call_tflops``: TFLOPs of one full call.
    ``block_tflops`` (k,): TFLOPs of each block.
    ``memo``: results derived from the arrays, so that each is computed once.
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
        """Return the signal's relative change, mean|now - then| / mean|then|, as [stream][reference
        step][step].

        front: the number of blocks at the front whose residual is the signal, if the signal is a front
        residual. Returns None if this run did not record the signal.
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
        """Return the changes as [reference][step] from values (t, n) and means, (t,) or None. Changes up to
        the reference are zero.
        """
        means = np.abs(values) @ self.weights if means is None else means
        changes = np.zeros((len(values), len(values)))
        for then in range(len(values) - 1):
            changes[then, then + 1 :] = np.abs(values[then + 1 :] - values[then]) @ self.weights / means[then]
        return changes.tolist()

    def added(self, start: int, stop: int) -> np.ndarray:
        """Return the residual of the blocks ``start`` to ``stop - 1`` at every position: (s, t, n) in
        float32.
        """
        value = self.residuals[stop - 1].astype(np.float32) * self.scales[stop - 1]
        if start > 0:
            value -= self.residuals[start - 1].astype(np.float32) * self.scales[start - 1]
        return value

    def gram(self, start: int, stop: int) -> np.ndarray:
        """Return the inner products of the residuals of the blocks ``start`` to ``stop
        - 1``: (s * t, s * t).
        """
        key = (start, stop)
        if key not in self.memo:
            flat = self.added(start, stop).reshape(-1, self.weights.size)
            self.memo[key] = (flat * self.weights) @ flat.T
        return self.memo[key]

    @property
    def sampling_error(self) -> float | None:
        """Return the root mean square of (sampled change / exact change - 1), for the first block from each
        step to the next.

        Returns None if the run has only one step.
        """
        changes = self.changes(Signal("front_residual", "computed"), 1)
        if changes is None or self.facts.steps < 2:
            return None
        sampled = np.array([[stream[t - 1][t] for t in range(1, self.facts.steps)] for stream in changes])
        return float(np.sqrt(np.mean((sampled / self.exact[:, 1:] - 1) ** 2)))

    def save(self, path: Path) -> None:
        """Write the survey as an .npz file. Raises EngineError if the file cannot be written."""
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
                "another folder, or make room."
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
            f"survey: {path} is not a survey, or is damaged; `compare --out DIR` writes DIR/survey.npz."
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
