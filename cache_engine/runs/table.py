"""Rows and their pictures on disk: a row is safe once written, whatever happens next.

A picture is written under another name, then renamed; after that its row is appended and synced. A kill
leaves at most one torn last line, which is cut when the table is opened again. One process writes to a folder
at a time.
"""

from __future__ import annotations

import json
import os
import sqlite3
from pathlib import Path

from ..strict import EngineError
from .disk import write_whole
from .row import Key, Row, key_of

TABLE, LOCK = "table.jsonl", ".lock"


class Table:
    """``table.jsonl`` of a folder, open for writing until it is closed, and the pictures beside it.

    Raises EngineError where it is open elsewhere, and what the system raises: see ``disk.writing``.
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
        write_whole(picture, png)
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
