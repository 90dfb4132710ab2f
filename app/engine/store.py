"""What outlives the server: long jobs in an sqlite table, each with a folder for its runs; presets that users
saved.

The folder is CACHELENS_DIR, or .cachelens in the user's home. It is made with the first thing that is kept.
One server at a time uses it.
"""

from __future__ import annotations

import json
import os
import secrets
import shutil
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from cache_engine import EngineError

RESULT, FILES = "result.json", "files"
TABLE = """CREATE TABLE IF NOT EXISTS jobs (
    key TEXT PRIMARY KEY, kind TEXT NOT NULL, title TEXT NOT NULL, task TEXT NOT NULL, budget REAL,
    state TEXT NOT NULL, said TEXT NOT NULL DEFAULT '', made INTEGER NOT NULL DEFAULT 0,
    left INTEGER NOT NULL DEFAULT 0, spent REAL NOT NULL DEFAULT 0, created REAL NOT NULL)"""


def user_folder() -> Path:
    """Where this user's things are kept."""
    given = os.environ.get("CACHELENS_DIR")
    return Path(given) if given else Path.home() / ".cachelens"


class LongJob(NamedTuple):
    """A long job as the table has it. ``task``: JSON.  budget, spent: seconds.  made, left: pictures.  said:
    what it does, or why it ended.

    state: waiting, running, stopping; ended: done, stopped, failed; interrupted: the server ended while it
    was on its way.
    """

    key: str
    kind: str
    title: str
    task: str
    budget: float | None
    state: str
    said: str
    made: int
    left: int
    spent: float
    created: float


class JobStore:
    """Long jobs on disk. Any thread may ask.

    Every method raises EngineError where the folder cannot be written to, or is another server's.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = user_folder() if folder is None else folder
        self._lock = threading.Lock()
        self._held: sqlite3.Connection | None = None

    @staticmethod
    def new_key() -> str:
        return secrets.token_urlsafe(9)

    def add(self, key: str, kind: str, title: str, task: str, budget: float | None) -> LongJob:
        job = LongJob(
            key, kind, title, task, budget, "waiting", said="", made=0, left=0, spent=0.0, created=time.time()
        )
        with self._table() as table:
            table.execute(
                f"INSERT INTO jobs ({', '.join(LongJob._fields)}) VALUES ({', '.join('?' * len(job))})", job
            )
        return job

    def copy_file(self, key: str, file: Path) -> Path:
        """A copy of the file, which is the job's own: an upload is deleted within a day. Not below ``jobs``,
        which the page serves.
        """
        with _as_engine_error(self.folder):
            with self._lock:
                self._hold()
            files = self.folder / FILES / key
            files.mkdir(parents=True, exist_ok=True)
            place = files / f"{len(list(files.iterdir()))}-{file.name}"
            shutil.copyfile(file, place)
        return place

    def jobs(self) -> list[LongJob]:
        """The newest first."""
        if not self._path.is_file():  # nothing is made by looking
            return []
        with self._table() as table:
            return [
                LongJob(*row)
                for row in table.execute(
                    f"SELECT {', '.join(LongJob._fields)} FROM jobs ORDER BY created DESC"
                )
            ]

    def update(self, key: str, **fields: Any) -> None:
        with self._table() as table:
            table.execute(
                f"UPDATE jobs SET {', '.join(f'{name} = ?' for name in fields)} WHERE key = ?",
                (*fields.values(), key),
            )

    def remove(self, key: str) -> None:
        """The job, all its pictures and files."""
        with self._table() as table:
            table.execute("DELETE FROM jobs WHERE key = ?", (key,))
            self.remove_files(key)

    def remove_files(self, key: str) -> None:
        """Its folder and its files are gone."""
        for folder in (self.folder_of(key), self.folder / FILES / key):
            shutil.rmtree(folder, ignore_errors=True)

    def folder_of(self, key: str) -> Path:
        """A job's folder."""
        return self.folder / "jobs" / key

    def save_snapshot(self, key: str, snapshot: dict[str, Any]) -> None:
        """The newest standing of a job: the whole file or none of it."""
        path = self.folder_of(key) / RESULT
        with _as_engine_error(self.folder):
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            part.write_text(json.dumps(snapshot, ensure_ascii=False), encoding="utf-8")
            os.replace(part, path)

    def snapshot(self, key: str) -> dict[str, Any] | None:
        """What ``save_snapshot`` was given last."""
        try:
            return json.loads((self.folder_of(key) / RESULT).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return None

    @property
    def _path(self) -> Path:
        return self.folder / "jobs.sqlite"

    @contextmanager
    def _table(self) -> Iterator[sqlite3.Connection]:
        with self._lock, _as_engine_error(self.folder):
            self._hold()
            with closing(sqlite3.connect(self._path, timeout=10)) as table, table:
                yield table

    def _hold(self) -> None:
        """Once: take the folder for this process (a lock that is gone with it, however it ends), and note
        what its last one left undone.
        """
        if self._held:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        held = sqlite3.connect(
            self.folder / ".lock", timeout=0, isolation_level=None, check_same_thread=False
        )
        try:
            held.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError:
            held.close()
            raise EngineError(
                f"jobs: another CacheLens keeps its jobs in {self.folder}; stop it, or set CACHELENS_DIR to "
                f"another "
                "folder."
            ) from None
        self._held = held
        with closing(sqlite3.connect(self._path)) as table, table:
            table.execute("PRAGMA journal_mode = WAL")
            table.execute(TABLE)
            table.execute(
                "UPDATE jobs SET state = 'interrupted' WHERE state IN ('waiting', 'running', 'stopping')"
            )


@contextmanager
def _as_engine_error(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise EngineError(
            f"jobs: {folder} cannot be written to ({reason}); make room, or set CACHELENS_DIR to another "
            f"folder."
        ) from None
