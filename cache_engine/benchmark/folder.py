"""A benchmark's folder: job.json, engine.json, table.jsonl and images/. Every row is safe once written,
whatever happens next.
"""

from __future__ import annotations

from pathlib import Path

from ..records import Engine
from ..runs.disk import read_text, write_whole, writing
from ..runs.engine_note import note_engine, read_engine
from ..runs.row import Key, Row, key_of
from ..runs.table import TABLE, Table, read_rows
from ..strict import EngineError
from .job import BenchmarkJob, job_from

JOB = "job.json"


class BenchmarkFolder:
    """Open for writing; one at a time. Use as a context manager."""

    def __init__(self, path: Path, job: BenchmarkJob) -> None:
        """Make the folder, or go on with one of the same job. Raises EngineError: one sentence."""
        self.path, self.job = path, job
        with writing(path):
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
                    write_whole(path / JOB, job.model_dump_json(indent=1).encode())
                self._table.load()
            except BaseException:
                self.__exit__()
                raise

    def __enter__(self) -> BenchmarkFolder:
        return self

    def __exit__(self, *error: object) -> None:
        self._table.close()

    def accept(self, engine: Engine) -> None:
        """Rows of one table are of one engine: refuse another than the first."""
        note_engine(self.path, engine)

    @property
    def rows(self) -> dict[Key, Row]:
        return self._table.rows

    def add(self, row: Row, png: bytes) -> None:
        """The picture, then its row."""
        with writing(self.path):
            self._table.add(row, png)

    def picture(self, key: Key) -> bytes:
        """The PNG of a row that is there."""
        return self._table.picture(key)


def read(path: Path) -> tuple[BenchmarkJob, Engine | None, list[Row]]:
    """A benchmark's folder, for who only reads it; its rows in the job's order. Raises EngineError where it
    is none.
    """
    if not (path / JOB).is_file():
        raise EngineError(
            f"{path} is no benchmark's folder: it holds no {JOB}; name one that `benchmark --out` wrote."
        )
    job = job_from(read_text(path / JOB), f"{path / JOB}")
    engine = read_engine(path)
    rows = {key_of(row): row for row in read_rows(path / TABLE)[0]}
    return job, engine, [rows[key] for key in job.keys if key in rows]
