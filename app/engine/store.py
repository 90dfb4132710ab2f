"""The store of long jobs. The store outlives the server: it is an sqlite table, and a folder of runs for each
job.

The store lies in the user's folder: CACHELENS_DIR, or .cachelens in the home directory. The first write
creates the folder. Only one server at a time uses it, so its rows are read once and then kept in memory: open
pages ask for them twice a second, also when the disk is full.
"""

from __future__ import annotations

import json
import logging
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

from cache_engine import EngineError, write_whole

log = logging.getLogger(__name__)
DAMAGED = "jobs: {} holds a damaged jobs.sqlite; restore it, or remove it (the jobs' pictures stay)."
ON_ITS_WAY = ("waiting", "running", "stopping")
RESULT, FILES = "result.json", "files"
TABLE = """CREATE TABLE IF NOT EXISTS jobs (
    key TEXT PRIMARY KEY, kind TEXT NOT NULL, title TEXT NOT NULL, task TEXT NOT NULL, budget REAL,
    state TEXT NOT NULL, said TEXT NOT NULL DEFAULT '', made INTEGER NOT NULL DEFAULT 0,
    left INTEGER NOT NULL DEFAULT 0, spent REAL NOT NULL DEFAULT 0, created REAL NOT NULL,
    owner TEXT NOT NULL DEFAULT '')"""
ADD_OWNER = "ALTER TABLE jobs ADD COLUMN owner TEXT NOT NULL DEFAULT ''"  # tables of earlier versions lack it


def everybody() -> str:
    """Return the owner of all jobs and runs, where the page is one person's or a shared board."""
    return ""


def user_folder() -> Path:
    """Return the folder of this user's jobs, runs and presets."""
    given = os.environ.get("CACHELENS_DIR")
    return Path(given) if given else Path.home() / ".cachelens"


class LongJob(NamedTuple):
    """One long job: a row of the table.

    task: JSON. budget, spent: seconds. made, left: numbers of pictures. said: the present activity, or why
    the job ended. state: waiting, running, stopping; done, stopped, failed; or interrupted, if the server
    ended before the job. owner: the visitor whose job it is; "" where visitors are not kept apart.
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
    owner: str = ""


class JobStore:
    """Stores long jobs on disk. Any thread may call it.

    Every method raises EngineError if the folder cannot be written to, or if another server uses it.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = user_folder() if folder is None else folder
        self._lock = threading.Lock()
        self._lock_file: sqlite3.Connection | None = None
        self._rows: dict[str, LongJob] = {}  # the table, once ``_hold`` has read it

    @staticmethod
    def new_key() -> str:
        """Return a key for a new job."""
        return secrets.token_urlsafe(9)

    def add(
        self, key: str, kind: str, title: str, task: str, budget: float | None, owner: str = ""
    ) -> LongJob:
        """Write a new job in the state "waiting"."""
        job = LongJob(key, kind, title, task, budget, "waiting", "", 0, 0, 0.0, time.time(), owner)
        with self._table() as table:
            table.execute(
                f"INSERT INTO jobs ({', '.join(LongJob._fields)}) VALUES ({', '.join('?' * len(job))})", job
            )
        self._rows[key] = job
        return job

    def copy_file(self, key: str, file: Path) -> Path:
        """Copy a file for a job and return the copy, because gradio deletes an upload within a day.

        The copy lies outside ``jobs``, because the page serves that folder.
        """
        with _as_engine_error(self.folder):
            with self._lock:
                self._hold()
            files = self.folder / FILES / key
            files.mkdir(parents=True, exist_ok=True)
            copy = files / f"{len(list(files.iterdir()))}-{file.name}"
            shutil.copyfile(file, copy)
        return copy

    def jobs(self) -> list[LongJob]:
        """Return all jobs, the newest first."""
        if not self._path.is_file():  # reading must not create the folder
            return []
        with self._lock, _as_engine_error(self.folder):
            self._hold()
        return sorted(self._rows.copy().values(), key=lambda job: job.created, reverse=True)

    def job(self, key: str) -> LongJob | None:
        """Return a job, or None for an unknown key."""
        return next((job for job in self.jobs() if job.key == key), None)

    def update(self, key: str, **fields: Any) -> None:
        """Change fields of a job."""
        with self._table() as table:
            table.execute(
                f"UPDATE jobs SET {', '.join(f'{name} = ?' for name in fields)} WHERE key = ?",
                (*fields.values(), key),
            )
        self._change_row(key, fields)

    def end(self, key: str, state: str, said: str) -> None:
        """Change the state of a job that has ended. If that cannot be written, this server still knows it,
        and the next server finds the job interrupted.
        """
        try:
            self.update(key, state=state, said=said)
        except EngineError:
            log.exception("job %s: its end could not be stored", key)
            self._change_row(key, {"state": state, "said": said})

    def _change_row(self, key: str, fields: dict[str, Any]) -> None:
        if key in self._rows:
            self._rows[key] = self._rows[key]._replace(**fields)

    def remove(self, key: str) -> None:
        """Delete a job with its pictures and files."""
        with self._table() as table:
            table.execute("DELETE FROM jobs WHERE key = ?", (key,))
            self.remove_files(key)
        self._rows.pop(key, None)

    def remove_files(self, key: str) -> None:
        """Delete a job's folder and files."""
        for folder in (self.folder_of(key), self.folder / FILES / key):
            shutil.rmtree(folder, ignore_errors=True)

    def folder_of(self, key: str) -> Path:
        """Return a job's folder."""
        return self.folder / "jobs" / key

    def save_snapshot(self, key: str, snapshot: dict[str, Any]) -> None:
        """Write a job's newest snapshot, either completely or not at all."""
        path = self.folder_of(key) / RESULT
        with _as_engine_error(self.folder):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, json.dumps(snapshot, ensure_ascii=False).encode())

    def snapshot(self, key: str) -> dict[str, Any] | None:
        """Return the last snapshot that was saved, or None."""
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
        """Lock the folder for this process, once. Read its jobs, and mark those that the previous process
        left unfinished.

        The lock ends with the process, even if the process is killed.
        """
        if self._lock_file:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        lock = sqlite3.connect(
            self.folder / ".lock", timeout=0, isolation_level=None, check_same_thread=False
        )
        try:
            lock.execute("PRAGMA journal_mode = MEMORY")  # a lock needs no room on the disk
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            lock.close()
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise
            raise EngineError(
                f"jobs: another CacheLens keeps its jobs in {self.folder}; stop it, or set CACHELENS_DIR to "
                "another folder."
            ) from None
        try:
            with closing(sqlite3.connect(self._path)) as table, table:
                table.execute("PRAGMA journal_mode = DELETE")  # reading then needs no room on the disk
                table.execute(TABLE)
                if "owner" not in {column[1] for column in table.execute("PRAGMA table_info(jobs)")}:
                    table.execute(ADD_OWNER)
                rows = table.execute(f"SELECT {', '.join(LongJob._fields)} FROM jobs").fetchall()
        except BaseException:
            lock.close()
            raise
        for job in map(LongJob._make, rows):
            self._rows[job.key] = job._replace(state="interrupted") if job.state in ON_ITS_WAY else job
        self._lock_file = lock


@contextmanager
def _as_engine_error(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
            raise EngineError(DAMAGED.format(folder)) from None
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise EngineError(
            f"jobs: {folder} cannot be written to ({reason}); make room, or set CACHELENS_DIR to another "
            "folder."
        ) from None
    except ValueError:  # sqlite cannot decode what it wants to say of a damaged file
        raise EngineError(DAMAGED.format(folder)) from None
