"""The table of a run folder: its rows and their pictures on disk. A written row survives any failure.

A picture is first written under another name and then renamed. After that, its row is appended and synced to
the disk. If the process is killed, at most the last line is torn; it is removed when the table is opened
again. Only one process at a time writes to a folder.
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
    """A folder's ``table.jsonl``, open for writing, and the pictures beside it.

    Raises EngineError if another process has the table open. Errors of the system are not caught here:
    ``disk.writing`` turns them into sentences.
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
        """Read the rows and remove a torn last line. Raises EngineError if any other line cannot be read."""
        rows, self._size = read_rows(self.folder / TABLE)
        self._file.truncate(self._size)
        self.rows = {key_of(row): row for row in rows}

    def add(self, row: Row, png: bytes) -> None:
        """Write the picture, then add its row."""
        picture = self.folder / row["picture"]
        picture.parent.mkdir(parents=True, exist_ok=True)
        write_whole(picture, png)
        line = json.dumps(row, ensure_ascii=False).encode() + b"\n"
        try:
            rest = memoryview(line)
            while rest:  # a nearly full disk takes only part of the line
                rest = rest[self._file.write(rest) :]
            os.fsync(self._file.fileno())
        except OSError:
            self._file.truncate(self._size)
            raise
        self._size += len(line)
        self.rows[key_of(row)] = row

    def picture(self, key: Key) -> bytes:
        """Return the PNG of a row. Raises EngineError if the file is missing."""
        path = self.folder / self.rows[key]["picture"]
        try:
            return path.read_bytes()
        except OSError as error:
            raise EngineError(
                f"out: {path} cannot be read ({error.strerror}), although the table has its row; "
                "restore it, or choose another folder."
            ) from None

    def close(self) -> None:
        self._file.close()
        self._lock.close()


def _locked(folder: Path) -> sqlite3.Connection:
    """Lock a folder with an sqlite file. An sqlite lock works on every system, and ends when its process
    ends.

    Another thread may close the lock.
    """
    lock = sqlite3.connect(folder / LOCK, timeout=0, isolation_level=None, check_same_thread=False)
    try:
        lock.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        lock.close()
        if "locked" not in str(error):
            raise
        raise EngineError(
            f"out: another process is writing to {folder}; wait until it ends, or choose another folder."
        ) from None
    return lock


def read_rows(path: Path) -> tuple[list[Row], int]:
    """Return the table's rows and the number of bytes they take. A torn last line lies after the counted
    bytes.

    Raises EngineError if any other line cannot be read.
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
                f"out: line {number} of {path} cannot be read; delete the line, and its row is made again."
            ) from None
        if not line.endswith(b"\n"):
            break
        rows.append(row)
        good += len(line)
    return rows, good
