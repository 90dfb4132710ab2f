"""A benchmark's folder: job.json, engine.json, table.jsonl and images/. Every row is safe once written, whatever happens next.

A picture is written under another name, then renamed; after that its row is appended and synced. A kill leaves at most one torn
last line, which is cut when the folder is opened again.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from ..records import Engine, EngineError
from .job import Job, Key, job_from, key_of

JOB, ENGINE, TABLE, LOCK, IMAGES = "job.json", "engine.json", "table.jsonl", ".lock", "images"
Row = dict[str, Any]


class Folder:
    """Open for writing; one at a time. Use as a context manager."""

    def __init__(self, path: Path, job: Job) -> None:
        """Make the folder, or go on with one of the same job. Raises EngineError: one sentence."""
        self.path, self.job = path, job
        with written(path):
            path.mkdir(parents=True, exist_ok=True)
            if (path / JOB).exists():
                known = job_from(read_text(path / JOB), f"{path / JOB}")
                if difference := known.differs(job):
                    raise EngineError(f"out: {path} was made with {difference}; give the same arguments, or choose another folder.")
            elif any(path.iterdir()):
                raise EngineError(f"out: {path} has files in it that are no benchmark's; choose another folder.")
            self._table = (path / TABLE).open("ab", buffering=0)
            try:
                self._lock = self._locked()
            except BaseException:
                self._table.close()
                raise
            try:
                if not (path / JOB).exists():
                    replace(path / JOB, job.model_dump_json(indent=1).encode())
                rows, self._size = read_rows(path / TABLE)
                self._table.truncate(self._size)
            except BaseException:
                self.__exit__()
                raise
        self.rows: dict[Key, Row] = {key_of(row): row for row in rows}

    def _locked(self) -> sqlite3.Connection:
        """A lock that every system has and that is gone with its process, however that ends."""
        lock = sqlite3.connect(self.path / LOCK, timeout=0, isolation_level=None)
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            lock.close()
            if "locked" not in str(error):
                raise
            raise EngineError(f"out: another benchmark is writing to {self.path}; wait for it, or choose another folder.") from None
        return lock

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *error: object) -> None:
        self._table.close()
        self._lock.close()

    def accept(self, engine: Engine) -> None:
        """Rows of one table are of one engine: refuse another than the first."""
        path = self.path / ENGINE
        if not path.exists():
            with written(self.path):
                replace(path, engine.model_dump_json(indent=1).encode())
        elif difference := unlike(read_engine(path), engine):
            raise EngineError(f"out: {self.path} was made on another engine ({difference}); use that one, or choose another folder.")

    def add(self, row: Row, png: bytes) -> None:
        """The picture, then its row."""
        with written(self.path):
            picture = self.path / row["picture"]
            picture.parent.mkdir(parents=True, exist_ok=True)
            replace(picture, png)
            line = json.dumps(row, ensure_ascii=False).encode() + b"\n"
            try:
                rest = memoryview(line)
                while rest:  # a disk that gets full takes a part of it first
                    rest = rest[self._table.write(rest):]
                os.fsync(self._table.fileno())
            except OSError:
                self._table.truncate(self._size)
                raise
        self._size += len(line)
        self.rows[key_of(row)] = row

    def picture(self, key: Key) -> bytes:
        """The PNG of a row that is there."""
        path = self.path / self.rows[key]["picture"]
        try:
            return path.read_bytes()
        except OSError as error:
            raise EngineError(f"out: {path} cannot be read ({error.strerror}) though the table has its row; restore it, or choose "
                              "another folder.") from None


def unlike(one: Engine, other: Engine) -> str | None:
    """The first fact in which two engines differ."""
    facts, others = one.model_dump(), other.model_dump()
    return next((f"{name} {facts[name]}, not {others[name]}" for name in facts if facts[name] != others[name]), None)


def read(path: Path) -> tuple[Job, Engine | None, list[Row]]:
    """A benchmark's folder, for who only reads it; its rows in the job's order. Raises EngineError where it is none."""
    if not (path / JOB).is_file():
        raise EngineError(f"{path} is no benchmark's folder: it holds no {JOB}; name one that `benchmark --out` wrote.")
    job = job_from(read_text(path / JOB), f"{path / JOB}")
    engine = read_engine(path / ENGINE) if (path / ENGINE).exists() else None
    rows = {key_of(row): row for row in read_rows(path / TABLE)[0]}
    return job, engine, [rows[key] for key in job.keys if key in rows]


def read_engine(path: Path) -> Engine:
    try:
        return Engine(**json.loads(read_text(path)))
    except (ValueError, TypeError, EngineError):
        raise EngineError(f"out: {path} is not what a benchmark writes; choose another folder.") from None


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
            raise EngineError(f"out: line {number} of {path} cannot be read; take it out, and the row is made again.") from None
        if not line.endswith(b"\n"):
            break
        rows.append(row)
        good += len(line)
    return rows, good


def read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise EngineError(f"out: {path} cannot be read ({type(error).__name__}); restore it, or choose another folder.") from None


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
        raise EngineError(f"out: {folder} cannot be written to ({reason}); make room or choose another folder: rows written so far are "
                          "kept, and the same command goes on after them.") from None
