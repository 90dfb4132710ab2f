"""Finds models by name: the rows in this folder's files, and other diffusers folders, weight files and hub
ids.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from ..model import Coefficients, ModelSpec, Section
from ..plans import ModelFacts
from ..records import RunRequest
from ..registry import Registry, modules_of
from ..strict import EngineError, short_repr
from . import folder, generic


def _rows() -> dict[str, ModelSpec]:
    """Return every row that a file in ``models/`` lists in its ``ROWS``, smaller models first."""
    rows = [row for module in modules_of("cache_engine.models") for row in getattr(module, "ROWS", ())]
    return {row.name: row for row in sorted(rows, key=lambda row: row.blocks)}


MODELS: Registry[ModelSpec] = Registry(_rows, "model")  # maps a model's name to its row


@cache
def _spec_of_source(source: str) -> ModelSpec:
    return folder.row(source, tuple(MODELS.values()))


def spec_of(name: str) -> ModelSpec:
    """Return a row of ``MODELS``, or the description of a diffusers folder, a hub id or a weight file.

    The page must look in ``MODELS`` instead, because its visitors may name rows only. Raises EngineError for
    an unknown name, and for a model that cannot be cached.
    """
    if name in MODELS:
        return MODELS[name]
    if not folder.is_source(name):
        raise EngineError(
            f"model: {short_repr(name, 120)} is not known; choose one of {', '.join(MODELS)}, or name a "
            "diffusers folder, a hub id, or a .safetensors file."
        )
    return _spec_of_source(name)


def resolve(request: RunRequest) -> RunRequest:
    """Return the request with every None replaced by its model's default."""
    return spec_of(request.model).resolve(request)


def facts_of(request: RunRequest) -> ModelFacts:
    """Return the blocks, steps and streams of the run that the request describes."""
    return spec_of(request.model).facts(resolve(request))


def sections_of(transformer: Any) -> tuple[Section, ...]:
    """Return the block lists of a transformer. The transformer's class, or the class of its blocks, must be
    known.

    Raises EngineError for a class that is not described.
    """
    sections = generic.known_sections(transformer)
    if sections is None:
        raise EngineError(
            f"{type(transformer).__name__} is not described; known transformers are "
            f"{', '.join(sorted(generic.TRANSFORMERS))}. One line in cache_engine/models/generic.py "
            "makes a class known."
        )
    return sections


def coefficients_of(transformer: str, config: Mapping[str, Any]) -> Coefficients:
    """Return the fitted coefficients of the row that has this transformer class and exactly this
    configuration.

    Coefficients hold for the weights of one model, so other models of the same class get empty ones.
    """

    def same_model(row: ModelSpec) -> bool:
        return row.transformer == transformer and all(
            _as_tuple(config.get(name)) == _as_tuple(value) for name, value in row.config.items()
        )

    return next((row.coefficients for row in MODELS.values() if same_model(row)), Coefficients())


def _as_tuple(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value
