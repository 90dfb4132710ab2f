"""A crew of processes on this machine: one process for each device, or several that share a CPU's cores."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Iterator
from multiprocessing.connection import wait
from typing import Any, NamedTuple

from ..failures import unexpected
from ..strict import EngineError
from .board import Assignment
from .crew import CrewEvent, Free, Lost, Produced, Ready
from .job import BenchmarkJob, job_from
from .work import Runner

# A fork server imports torch and diffusers once for all workers; it never touches a device. Windows has none.
FORKS = "forkserver" in multiprocessing.get_all_start_methods()
CONTEXT: Any = multiprocessing.get_context("forkserver" if FORKS else "spawn")


class Member(NamedTuple):
    process: Any
    line: Any  # a multiprocessing Connection, or its equivalent on Windows


class Processes:
    """The crew of processes. If a process dies, a new process takes its number."""

    def __init__(self, job: BenchmarkJob, size: int, threads: int | None) -> None:
        """Start the processes. ``threads``: threads of each process on a CPU; None: the processes share the
        cores evenly.
        """
        self._job, self.size = job.model_dump_json(), size
        self._threads = threads or max(1, (os.cpu_count() or 1) // size)
        self._devices = devices()
        if FORKS:
            multiprocessing.set_forkserver_preload(["diffusers"])
        self.members = {worker: self._start(worker) for worker in range(size)}

    def _start(self, worker: int) -> Member:
        ours, theirs = CONTEXT.Pipe()
        device = self._devices[worker % len(self._devices)]
        process = CONTEXT.Process(
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
        except OSError:  # the process has died: events() reports it
            pass

    def events(self) -> Iterator[CrewEvent]:
        while True:
            lines = {member.line: worker for worker, member in self.members.items()}
            for line in wait(list(lines)):
                yield self._event(lines[line], line)

    def _event(self, worker: int, line: Any) -> CrewEvent:
        try:
            kind, value = line.recv()
        except (EOFError, OSError):
            line.close()
            self.members[worker].process.join()
            self.members[worker] = self._start(worker)
            return Lost(worker)
        if kind == "failed":
            raise EngineError(value)
        return {"ready": Ready, "made": Produced}[kind](worker, value) if kind != "free" else Free(worker)

    def close(self) -> None:
        for member in self.members.values():
            member.process.terminate()
        for member in self.members.values():
            member.process.join()
            member.line.close()


def _serve(line: Any, job: str, device: str, threads: int) -> None:
    """Run in a worker process: do one assignment after the other until the driver closes the connection."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the driver handles Ctrl-C
    set_up(device, threads)
    try:
        runner = Runner(job_from(job, "the job"))
        line.send(("ready", runner.engine))
        while True:
            assignment, baseline = line.recv()
            for row in runner.work(assignment, baseline):
                line.send(("made", row))
            line.send(("free", None))
    except (EOFError, OSError):  # the driver has ended
        return
    except Exception as error:
        line.send(("failed", str(unexpected(error, "The rows written so far are kept"))))


def set_up(device: str, threads: int) -> None:
    """Set the process's device and number of threads, before torch looks for devices."""
    os.environ["CUDA_VISIBLE_DEVICES"] = device
    import torch

    torch.set_num_threads(threads)


def devices() -> list[str]:
    """Return one value of CUDA_VISIBLE_DEVICES for each device; on a CPU, return one empty value."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    if visible is not None:
        return visible.split(",")
    import torch

    return list(map(str, range(torch.cuda.device_count()))) or [""]
