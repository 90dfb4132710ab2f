"""Reads survey files. A survey is calculated with, so the sizes and types of its arrays are checked against
its facts first: a damaged file ends in one sentence.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from ..plans import ModelFacts
from ..records import Engine, RunRequest
from ..strict import EngineError
from .survey import ARRAYS, VERSION, Survey

MOST_BYTES = 2_000_000_000  # unpacked; the largest survey of the largest model has about 200 MB

# The axes of each array, one letter for each axis: s streams, t steps, k blocks, n positions, o outputs and
# c channels of the last layer, p tokens, m mixtures and directions, d directions, e mixtures of all tokens, l
# noise levels. The arrays of a group were recorded together or not at all.
AXES = {"entry": "stn", "residuals": "kstn", "scales": "k", "weights": "n", "mean_abs": "kst", "exact": "st"}
AXES |= {"call_seconds": "st", "block_seconds": "kst", "block_tflops": "k"}
GROUPS = (
    {"modulated": "stn"},
    {"last": "oc", "modulation": "stc"},
    {"mixtures": "pmo", "patterns": "de", "levels": "l", "products": "lskdtk"},
)


class Header(BaseModel):
    """The fields of a survey that are no arrays."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)

    facts: ModelFacts
    request: RunRequest
    engine: Engine
    mix: tuple[float, ...]
    sigmas: tuple[float, ...]
    loop_seconds: float
    call_tflops: float
    entry_scale: float
    modulated_scale: float


def load(path: Path) -> Survey:
    """Read a file that ``Survey.save`` wrote. Raises EngineError for any other file."""
    try:
        with np.load(path, allow_pickle=False) as file:
            if sum(member.file_size for member in file.zip.infolist()) > MOST_BYTES:
                raise ValueError("too large")
            plain: dict[str, Any] = json.loads(str(file["facts"]))
            if plain.pop("version") != VERSION:
                raise EngineError(f"survey: {path} was written by another version; run the baseline again.")
            header = Header(**plain)
            arrays = {name: file[name] for name in ARRAYS}
            _check(header, arrays)
    except FileNotFoundError:
        raise EngineError(
            f"survey: {path} does not exist; `compare --out DIR` writes DIR/survey.npz."
        ) from None
    except EngineError:
        raise
    except Exception:  # a damaged archive raises errors of many kinds
        raise EngineError(
            f"survey: {path} is not a survey, or is damaged; `compare --out DIR` writes DIR/survey.npz."
        ) from None
    fields = {name: getattr(header, name) for name in Header.model_fields}
    return Survey(**(fields | {"request": plain["request"], "engine": plain["engine"]}), **arrays)


def _check(header: Header, arrays: dict[str, np.ndarray]) -> None:
    """Raise ValueError if a size differs between two fields, or if an array holds no real numbers."""
    facts = header.facts
    sizes = {"s": len(facts.streams), "t": facts.steps, "k": facts.blocks}
    recorded = [AXES, *(group for group in GROUPS if any(arrays[name].size for name in group))]
    for name, axes in (item for group in recorded for item in group.items()):
        _check_array(arrays[name], axes, sizes)
    if not all(array.dtype.kind == "f" for array in arrays.values()):
        raise ValueError("real numbers")
    if not all(np.isfinite(array).all() for name, array in arrays.items() if name != "exact"):
        raise ValueError("finite numbers")
    tokens = sizes.get("p")
    if tokens and sizes["e"] != tokens * (sizes["m"] - sizes["d"]):
        raise ValueError("patterns")
    if tokens and "c" in sizes and sizes["n"] != tokens * sizes["c"]:
        raise ValueError("positions")
    if sum(facts.sections) != facts.blocks or min(facts.sections) < 1:
        raise ValueError("sections")
    if len(set(facts.streams)) != len(facts.streams) or len(header.mix) != len(facts.streams):
        raise ValueError("streams")
    if len(header.sigmas) != facts.steps + 1 and (header.sigmas or tokens):
        raise ValueError("sigmas")


def _check_array(array: np.ndarray, axes: str, sizes: dict[str, int]) -> None:
    """Raise ValueError if an axis has another size than in ``sizes``, which then holds all sizes so far."""
    if array.ndim != len(axes) or not array.size:
        raise ValueError(axes)
    for axis, size in zip(axes, array.shape, strict=True):
        if sizes.setdefault(axis, size) != size:
            raise ValueError(axes)
