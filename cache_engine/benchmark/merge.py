"""Merge the shards of one job into one folder, as if one process had made it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from ..runs.engine_note import engine_difference
from ..runs.row import Key, Row, key_of
from ..strict import EngineError
from .folder import BenchmarkFolder, read_folder


class MergeCounts(NamedTuple):
    rows: int
    missing: int  # number of rows of the whole job that no shard has


def merge(folders: list[Path], out: Path) -> MergeCounts:
    """Copy the rows and pictures of all folders into one, in the job's order. An interrupted merge can be
    repeated.

    Raises EngineError if the folders are of different jobs or engines, or if a row is in two folders.
    """
    whole, engine, rows = None, None, []
    for path in folders:
        job, its_engine, its_rows = read_folder(path)
        job = job.replaced(request=job.request, settings=job.settings, shard=(1, 1))
        if whole is not None and (difference := whole.differs(job)):
            raise EngineError(
                f"merge: {folders[0]} was made with {difference}, as {path} was; only shards of "
                "one job can be merged."
            )
        if (
            engine is not None
            and its_engine is not None
            and (difference := engine_difference(engine, its_engine))
        ):
            raise EngineError(
                f"merge: {folders[0]} was made on another engine than {path} ({difference}); their times "
                "cannot be compared in one table."
            )
        whole, engine = job, engine or its_engine
        rows += [(path, row) for row in its_rows]
    if whole is None:
        raise EngineError("merge: no folder was named; name the folders of the shards.")
    twice = [key for key, times in Counter(key_of(row) for _, row in rows).items() if times > 1]
    if twice:
        raise EngineError(
            f"merge: prompt {twice[0][0]} under {twice[0][1]} is in two of the folders; name each shard once."
        )
    row_of: dict[Key, tuple[Path, Row]] = {key_of(row): (path, row) for path, row in rows}
    with BenchmarkFolder(out, whole) as folder:
        if engine is not None:
            folder.accept(engine)
        for key in whole.keys:
            if key in row_of and key not in folder.rows:
                path, row = row_of[key]
                folder.add(row, _picture(path / row["picture"]))
        return MergeCounts(len(folder.rows), len(whole.keys) - len(folder.rows))


def _picture(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise EngineError(f"merge: {path} cannot be read ({error.strerror}); restore it.") from None
