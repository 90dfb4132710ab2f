"""``drive()`` gives assignments to a crew, writes the rows as they arrive, and shows the progress.

All state is in the benchmark's folder: if the process is killed, at most the picture in progress is lost.
"""

from __future__ import annotations

import sys
from typing import NamedTuple

from ..runs.row import key_of
from .board import Board
from .crew import Crew, Free, Lost, Produced, Ready
from .folder import BenchmarkFolder


class RowCounts(NamedTuple):
    made: int  # rows drawn in this run
    kept: int  # rows from an earlier run


def drive(folder: BenchmarkFolder, crew: Crew) -> RowCounts:
    """Draw the missing rows of the folder's job. Raises EngineError; rows that are already written stay."""
    from tqdm import tqdm

    job, earlier = folder.job, len(folder.rows)
    board = Board(job, folder.rows.keys(), crew.size)
    idle: dict[int, None] = {}
    if board.finished:
        return RowCounts(0, earlier)

    def hand_out() -> None:
        for worker in list(idle):
            assignment = board.take(worker)
            if assignment is None:
                return
            del idle[worker]
            reference = (assignment.number, job.settings[0].key)
            crew.give(worker, assignment, folder.picture(reference) if reference in folder.rows else None)

    bar = tqdm(
        total=len(job.keys),
        initial=earlier,
        unit="picture",
        file=sys.stderr,
        disable=None,
        dynamic_ncols=True,
        smoothing=0.1,
    )
    with bar:
        try:
            for event in crew.events():
                match event:
                    case Ready(worker, engine):
                        folder.accept(engine)
                        idle[worker] = None
                    case Produced(worker, drawn):
                        folder.add(drawn.row, drawn.png)
                        board.row_written(worker, key_of(drawn.row))
                        bar.set_postfix_str(drawn.row["setting"], refresh=False)
                        bar.update()
                    case Free(worker):
                        board.free(worker)
                        idle[worker] = None
                    case Lost(worker):
                        board.lost(worker)
                        idle.pop(worker, None)
                        bar.write(
                            f"worker {worker} was lost; another worker repeats its assignment",
                            file=sys.stderr,
                        )
                if board.finished:
                    break
                hand_out()
        finally:
            crew.close()
    return RowCounts(len(folder.rows) - earlier, earlier)
