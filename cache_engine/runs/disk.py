"""Reads and writes the files of a run folder. Every fault becomes one sentence for the user."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ..strict import EngineError


def read_text(path: Path) -> str:
    """Read a UTF-8 file. Raises EngineError if the file cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise EngineError(
            f"out: {path} cannot be read ({type(error).__name__}); restore it, or choose another folder."
        ) from None


def write_whole(path: Path, data: bytes) -> None:
    """Write a file so that readers see either the complete new file or the old file. Raises OSError."""
    part = path.with_name(f"{path.name}.part")
    try:
        with part.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(part, path)
    except OSError:
        part.unlink(missing_ok=True)
        raise


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Turn a system error while writing to ``folder`` into one EngineError."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise EngineError(
            f"out: {folder} cannot be written to ({reason}); make room or choose another folder: rows "
            "written so far are kept, and the same command continues after them."
        ) from None
