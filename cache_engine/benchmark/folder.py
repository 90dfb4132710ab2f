"""A benchmark's folder: job.json, engine.json, table.jsonl and images/. Every row is safe once written,
whatever happens next.
"""

from __future__ import annotations

import json
from pathlib import Path

from ..records import Engine, EngineError
from ..runs.table import TABLE, Row, Table, read_rows, read_text, replace, written
from .job import Job, Key, job_from, key_of

JOB, ENGINE = "job.json", "engine.json"


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
                    raise EngineError(
                        f"out: {path} was made with {difference}; give the same arguments, or choose another "
                        f"folder."
                    )
            elif any(path.iterdir()):
                raise EngineError(
                    f"out: {path} has files in it that are no benchmark's; choose another folder."
                )
            self._table = Table(path)
            try:
                if not (path / JOB).exists():
                    replace(path / JOB, job.model_dump_json(indent=1).encode())
                self._table.load()
            except BaseException:
                self.__exit__()
                raise

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *error: object) -> None:
        self._table.close()

    def accept(self, engine: Engine) -> None:
        """Rows of one table are of one engine: refuse another than the first."""
        accept(self.path, engine)

    @property
    def rows(self) -> dict[Key, Row]:
        return self._table.rows

    def add(self, row: Row, png: bytes) -> None:
        """The picture, then its row."""
        with written(self.path):
            self._table.add(row, png)

    def picture(self, key: Key) -> bytes:
        """The PNG of a row that is there."""
        return self._table.picture(key)


def accept(folder: Path, engine: Engine) -> None:
    """Note the engine in a folder without one. Raises EngineError where the folder's is another."""
    path = folder / ENGINE
    if not path.exists():
        with written(folder):
            replace(path, engine.model_dump_json(indent=1).encode())
    elif difference := unlike(read_engine(path), engine):
        raise EngineError(
            f"out: {folder} was made on another engine ({difference}); use that one, or choose another "
            f"folder."
        )


def unlike(one: Engine, other: Engine) -> str | None:
    """The first fact in which two engines differ."""
    facts, others = one.model_dump(), other.model_dump()
    return next(
        (f"{name} {facts[name]}, not {others[name]}" for name in facts if facts[name] != others[name]), None
    )


def read(path: Path) -> tuple[Job, Engine | None, list[Row]]:
    """A benchmark's folder, for who only reads it; its rows in the job's order. Raises EngineError where it
    is none.
    """
    if not (path / JOB).is_file():
        raise EngineError(
            f"{path} is no benchmark's folder: it holds no {JOB}; name one that `benchmark --out` wrote."
        )
    job = job_from(read_text(path / JOB), f"{path / JOB}")
    engine = read_engine(path / ENGINE) if (path / ENGINE).exists() else None
    rows = {key_of(row): row for row in read_rows(path / TABLE)[0]}
    return job, engine, [rows[key] for key in job.keys if key in rows]


def read_engine(path: Path) -> Engine:
    try:
        return Engine(**json.loads(read_text(path)))
    except (ValueError, TypeError, EngineError):
        raise EngineError(f"out: {path} is not what a benchmark writes; choose another folder.") from None
