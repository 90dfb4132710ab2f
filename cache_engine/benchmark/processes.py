"""A crew of processes on this machine, one a device; on a CPU they share the cores."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from multiprocessing.connection import wait
from typing import Any, NamedTuple

from ..strict import EngineError
from .board import Assignment
from .crew import CrewEvent, Free, Lost, Produced, Ready
from .job import BenchmarkJob, job_from
from .work import Runner

SPAWN = multiprocessing.get_context("spawn")


class Member(NamedTuple):
    process: Any
    line: Any  # a Connection, or what Windows has for it


class Processes:
    """A process that dies is replaced by another of its number."""

    def __init__(self, job: BenchmarkJob, size: int, threads: int | None) -> None:
        """threads: of each on a CPU; None: what the machine has, shared."""
        self._job, self.size = job.model_dump_json(), size
        self._threads = threads or max(1, (os.cpu_count() or 1) // size)
        self._devices = devices()
        self.members = {worker: self._started(worker) for worker in range(size)}

    def _started(self, worker: int) -> Member:
        ours, theirs = SPAWN.Pipe()
        device = self._devices[worker % len(self._devices)]
        process = SPAWN.Process(
            target=_serve,
            args=(theirs, self._job, device, self._threads),
            name=f"worker {worker}",
            daemon=True,
        )
        process.start()
        theirs.close()
        return Member(process, ours)

    def give(self, worker: int, assignment: Assignment, baseline: bytes | None) -> None:
        try:
            self.members[worker].line.send((assignment, baseline))
        except OSError:  # it is gone; events() will tell
            pass

    def events(self) -> Iterator[CrewEvent]:
        while True:
            lines = {member.line: worker for worker, member in self.members.items()}
            for line in wait(list(lines)):
                yield self._heard(lines[line], line)

    def _heard(self, worker: int, line: Any) -> CrewEvent:
        try:
            kind, what = line.recv()
        except (EOFError, OSError):
            line.close()
            self.members[worker].process.join()
            self.members[worker] = self._started(worker)
            return Lost(worker)
        if kind == "failed":
            raise EngineError(what)
        return {"ready": Ready, "made": Produced}[kind](worker, what) if kind != "free" else Free(worker)

    def close(self) -> None:
        for member in self.members.values():
            member.process.terminate()
        for member in self.members.values():
            member.process.join()
            member.line.close()


def _serve(line: Any, job: str, device: str, threads: int) -> None:
    """In the process: one share after the other, until the line is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for who drives
    set_up(device, threads)
    try:
        runner = Runner(job_from(job, "the job"))
        line.send(("ready", runner.engine))
        while True:
            assignment, baseline = line.recv()
            for made in runner.work(assignment, baseline):
                line.send(("made", made))
            line.send(("free", None))
    except EngineError as error:
        line.send(("failed", str(error)))
    except (EOFError, OSError):  # who drives is gone
        return


def set_up(device: str, threads: int) -> None:
    """Its own device and so many threads: torch has looked at neither yet."""
    os.environ["CUDA_VISIBLE_DEVICES"] = device
    import torch

    torch.set_num_threads(threads)


def devices() -> list[str]:
    """What CUDA_VISIBLE_DEVICES may name, one by one; one empty name on a CPU."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return visible.split(",")
    import torch

    return list(map(str, range(torch.cuda.device_count()))) or [""]
