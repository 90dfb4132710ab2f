"""Tests which worker does which row: each row once, a prompt's baseline first, a lost worker's rows again, in
any order of events.
"""

from __future__ import annotations

import random
from collections import Counter

import pytest

from cache_engine.benchmark.board import MOST_LOSSES, Board
from cache_engine.runs.row import Key
from cache_engine.strict import EngineError
from tests.benchmark.made import job

BASELINE = "C0_Q0_NONE"


@pytest.mark.parametrize("seed", range(20))
def test_each_row_is_made_once_whatever_happens(seed: int) -> None:
    chance, wanted = random.Random(seed), job()
    done: list[Key] = list(wanted.keys)[: seed % 4]
    workers = seed % 5 + 1
    board = Board(wanted, set(done), workers)
    held: dict[int, list[Key]] = {}
    losses = Counter[int]()
    while not board.finished:
        worker = chance.randrange(workers)
        if worker not in held:
            assignment = board.take(worker)
            if assignment is not None:
                held[worker] = [(assignment.number, setting.key) for setting in assignment.settings]
        elif held[worker] and losses[held[worker][0][0]] < MOST_LOSSES - 1 and chance.random() < 0.1:
            losses[held[worker][0][0]] += 1
            del held[worker]
            board.lost(worker)
        elif held[worker]:
            key = held[worker].pop(0)
            assert (key[0], BASELINE) in done or key[1] == BASELINE
            done.append(key)
            board.row_written(worker, key)
        else:
            del held[worker]
            board.free(worker)
    assert Counter(done) == Counter(wanted.keys)


def test_one_worker_goes_in_the_jobs_order() -> None:
    wanted, order = job(), []
    board = Board(wanted, ())
    while assignment := board.take(0):
        order += [(assignment.number, setting.key) for setting in assignment.settings]
        board.free(0)
    assert tuple(order) == wanted.keys


def test_shares_get_small_towards_the_end() -> None:
    """With one prompt and four workers, the first worker draws the baseline, the others wait for it, and then
    all have work.
    """
    wanted = job(1, recipes=tuple(f"F1B0_W1MC{limit}_R1" for limit in range(1, 16)))
    board = Board(wanted, (), 4)
    first = board.take(0)
    assert first is not None
    assert (first.settings[0].key, len(first.settings)) == (BASELINE, 2)
    assert board.take(1) is None
    board.row_written(0, (0, BASELINE))
    others = [board.take(worker) for worker in (1, 2, 3)]
    assert all(assignment and 1 <= len(assignment.settings) <= 2 for assignment in others)


def test_a_prompt_that_ends_every_worker_is_named() -> None:
    board = Board(job(1), ())
    for _ in range(MOST_LOSSES - 1):
        board.take(0)
        board.lost(0)
    board.take(0)
    with pytest.raises(EngineError, match=r"^workers: the worker of prompt 0 ended 3 times at C0_Q0_NONE; "):
        board.lost(0)


def test_workers_that_never_begin_are_an_error() -> None:
    """Each worker is replaced, but not without end."""
    board = Board(job(), (), 2)
    for _ in range(2 * MOST_LOSSES):
        board.lost(0)
    with pytest.raises(
        EngineError,
        match=r"^workers: 7 of them ended one after the other without drawing a row; "
        r"is the memory enough for 2 workers\?$",
    ):
        board.lost(1)


def test_a_worker_lost_after_its_last_row_costs_nothing() -> None:
    board = Board(job(1, recipes=()), ())
    board.take(0)
    board.row_written(0, (0, BASELINE))
    board.lost(0)
    assert board.finished
