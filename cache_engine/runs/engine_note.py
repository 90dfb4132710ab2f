"""engine.json names the engine that made a folder's runs. Times of different engines
must not share a table.
"""

from __future__ import annotations

import json
from pathlib import Path

from ..records import Engine
from ..strict import EngineError
from .disk import read_text, write_whole, writing

ENGINE = "engine.json"


def note_engine(folder: Path, engine: Engine) -> None:
    """Write the folder's engine.json, or check an existing one. Raises EngineError if the file names another
    engine.
    """
    path = folder / ENGINE
    if not path.exists():
        with writing(folder):
            write_whole(path, engine.model_dump_json(indent=1).encode())
    elif difference := engine_difference(_engine_from(path), engine):
        raise EngineError(
            f"out: {folder} was made on another engine ({difference}); use that engine, or choose "
            "another folder."
        )


def read_engine(folder: Path) -> Engine | None:
    """Return the engine of a folder, or None if it has no engine.json. Raises EngineError if the file is
    damaged.
    """
    path = folder / ENGINE
    return _engine_from(path) if path.exists() else None


def engine_difference(first: Engine, second: Engine) -> str | None:
    """Name the first fact in which two engines differ, with both values. Return None if the engines are
    equal.
    """
    facts, others = first.model_dump(), second.model_dump()
    return next(
        (f"{name} {facts[name]}, not {others[name]}" for name in facts if facts[name] != others[name]), None
    )


def _engine_from(path: Path) -> Engine:
    try:
        return Engine(**json.loads(read_text(path)))
    except (ValueError, TypeError, EngineError):
        raise EngineError(
            f"out: {path} is not an engine.json that a benchmark or tune wrote; choose another folder."
        ) from None
