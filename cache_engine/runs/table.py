"""Rows and their pictures on disk: a row is safe once written, whatever happens next.

A picture is written under another name, then renamed; after that its row is appended and synced. A kill
leaves at most one torn last line, which is cut when the table is opened again. One process writes to a folder
at a time.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..benchmark.job import Key, key_of
from ..records import EngineError

TABLE, IMAGES, LOCK = "table.jsonl", "images", ".lock"
Row = dict[str, Any]


class Table:
    """``table.jsonl`` of a folder, open for writing until it is closed, and the pictures beside it.

    Raises EngineError where it is open elsewhere, and what the system raises: see ``written``.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.rows: dict[Key, Row] = {}
        self._lock = _locked(folder)
        try:
            self._file = (folder / TABLE).open("ab", buffering=0)
        except OSError:
            self._lock.close()
            raise
        self._size = 0

    def load(self) -> None:
        """Take in what is there, less a torn last line. Raises EngineError for a line in the middle that
        cannot be read.
        """
        rows, self._size = read_rows(self.folder / TABLE)
        self._file.truncate(self._size)
        self.rows = {key_of(row): row for row in rows}

    def add(self, row: Row, png: bytes) -> None:
        """The picture, then its row."""
        picture = self.folder / row["picture"]
        picture.parent.mkdir(parents=True, exist_ok=True)
        replace(picture, png)
        line = json.dumps(row, ensure_ascii=False).encode() + b"\n"
        try:
            rest = memoryview(line)
            while rest:  # a disk that gets full takes a part of it first
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(self._size)
            raise
        self._size += len(line)
        self.rows[key_of(row)] = row

    def picture(self, key: Key) -> bytes:
        """The PNG of a row that is there. Raises EngineError where it is gone."""
        path = self.folder / self.rows[key]["picture"]
        try:
            return path.read_bytes()
        except OSError as error:
            raise EngineError(
                f"out: {path} cannot be read ({error.strerror}) though the table has its row; restore it, or "
                f"choose "
                "another folder."
            ) from None

    def close(self) -> None:
        self._file.close()
        self._lock.close()


def _locked(folder: Path) -> sqlite3.Connection:
    """A lock that every system has and that is gone with its process, however that ends. A job may be ended
    by another thread.
    """
    lock = sqlite3.connect(folder / LOCK, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        lock.close()
        if "locked" not in str(error):
            raise
        raise EngineError(
            f"out: something else is writing to {folder}; wait for it, or choose another folder."
        ) from None
    return lock


def read_rows(path: Path) -> tuple[list[Row], int]:
    """The table's rows and the bytes that they take: what follows is a line that was torn by a kill.

    Raises EngineError for a line in the middle that cannot be read.
    """
    data = path.read_bytes() if path.exists() else b""
    rows: list[Row] = []
    good = 0
    lines = data.splitlines(keepends=True)
    for number, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            key_of(row)
        except (ValueError, KeyError, TypeError):
            if number == len(lines):
                break
            raise EngineError(
                f"out: line {number} of {path} cannot be read; take it out, and the row is made again."
            ) from None
        if not line.endswith(b"\n"):
            break
        rows.append(row)
        good += len(line)
    return rows, good


def read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise EngineError(
            f"out: {path} cannot be read ({type(error).__name__}); restore it, or choose another folder."
        ) from None


def replace(path: Path, data: bytes) -> None:
    """The whole file or none of it."""
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
def written(folder: Path) -> Iterator[None]:
    """What the system says of a folder that cannot be written to, as one sentence."""
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise EngineError(
            f"out: {folder} cannot be written to ({reason}); make room or choose another folder: rows "
            f"written so far are "
            "kept, and the same command goes on after them."
        ) from None
