"""A benchmark's folder: job.json, engine.json, table.jsonl and images/. Rows that are written survive any
failure.
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
    """A benchmark's folder while one process writes into it. Use the class as a context manager."""

    def __init__(self, path: Path, job: BenchmarkJob) -> None:
        """Make the folder, or continue in a folder of the same job. Raises EngineError if the folder cannot
        be used.
        """
        self.path, self.job = path, job
        with writing(path):
            path.mkdir(parents=True, exist_ok=True)
            if (path / JOB).exists():
                earlier = job_from(read_text(path / JOB), f"{path / JOB}")
                if difference := earlier.differs(job):
                    raise EngineError(
                        f"out: {path} was made with {difference}; give the same arguments, or choose another "
                        f"folder."
                    )
            elif any(path.iterdir()):
                raise EngineError(f"out: {path} holds files that no benchmark wrote; choose another folder.")
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
        """Refuse an engine that differs from the folder's: all rows of a table must come from one engine."""
        note_engine(self.path, engine)

    @property
    def rows(self) -> dict[Key, Row]:
        return self._table.rows

    def add(self, row: Row, png: bytes) -> None:
        """Write the picture, then add its row to the table."""
        with writing(self.path):
            self._table.add(row, png)

    def picture(self, key: Key) -> bytes:
        """Return the PNG of the row with this key."""
        return self._table.picture(key)


def read_folder(path: Path) -> tuple[BenchmarkJob, Engine | None, list[Row]]:
    """Read a benchmark's folder: its job, its engine, and its rows in the job's order.

    Raises EngineError if the folder is not a benchmark's.
    """
    if not (path / JOB).is_file():
        raise EngineError(
            f"{path} is not a benchmark's folder, because it holds no {JOB}; name a folder that "
            "`benchmark --out` wrote."
        )
    job = job_from(read_text(path / JOB), f"{path / JOB}")
    engine = read_engine(path)
    rows = {key_of(row): row for row in read_rows(path / TABLE)[0]}
    return job, engine, [rows[key] for key in job.keys if key in rows]
