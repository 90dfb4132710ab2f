"""A crew on a Ray cluster: each actor holds the model on one GPU or one group of cores,
and sends rows back.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..records import Engine
from ..strict import EngineError, first_line
from .board import Assignment
from .crew import CrewEvent, Free, Lost, Produced, Ready
from .job import BenchmarkJob, job_from
from .work import DrawnRow, Runner

ROOT = Path(__file__).resolve().parents[2]
LOCAL = "local"


class Actor:
    """A worker in a process of the Ray cluster. Ray assigns its device."""

    def __init__(self, job: str, threads: int) -> None:
        import torch

        torch.set_num_threads(threads)
        self._runner: Runner | EngineError
        try:
            self._runner = Runner(job_from(job, "the job"))
        except EngineError as error:
            # returns the error instead of raising it: Ray would restart an actor that raises here again and
            # again
            self._runner = error

    def engine(self) -> Engine | EngineError:
        return self._runner if isinstance(self._runner, EngineError) else self._runner.engine

    def work(self, assignment: Assignment, baseline: bytes | None) -> Iterator[DrawnRow | EngineError]:
        assert isinstance(self._runner, Runner)
        try:
            yield from self._runner.work(assignment, baseline)
        except EngineError as error:
            yield error


class Cluster:
    """The crew of a Ray cluster. Ray places the actors and reports a lost actor; a new actor then takes the
    lost actor's number.
    """

    def __init__(
        self,
        job: BenchmarkJob,
        address: str,
        size: int | None,
        threads: int | None,
        actor: type[Actor] = Actor,
    ) -> None:
        """Start the actors.

        address: the cluster's address, or ``local``. size: the number of actors; None: one for each GPU, or
        for each ``threads`` cores. Raises EngineError if the cluster cannot be used.
        """
        try:
            import ray
        except ImportError:
            raise EngineError(
                "ray: is not installed; run `pip install -r requirements-bench.txt`, or use --workers."
            ) from None
        self._ray, self._job = ray, job.model_dump_json()
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # otherwise Ray sends usage data
        if not ray.is_initialized():
            try:
                ray.init(
                    address=None if address == LOCAL else address,
                    include_dashboard=False,
                    log_to_driver=False,
                    logging_level=logging.ERROR,
                )
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise EngineError(
                    f"ray: {address!r} cannot be reached ({first_line(error, 120)}); start a cluster with "
                    "`ray start`, or use --ray local."
                ) from None
        there = ray.cluster_resources()
        gpus, cores = int(there.get("GPU", 0)), max(1, int(there.get("CPU", 1)))
        self.size = size or gpus or max(1, cores // (threads or 1))
        self._threads = threads or max(1, cores // self.size)
        if self.size > (gpus or cores):
            raise EngineError(
                f"workers: {self.size} is more than the cluster's {gpus or cores} "
                f"{'GPUs' if gpus else 'cores'}; choose fewer, or add machines."
            )
        path = os.pathsep.join(
            filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])
        )  # every machine of the cluster imports the project from the same folder
        self._kind = ray.remote(actor).options(
            num_gpus=1 if gpus else 0,
            num_cpus=1 if gpus else min(self._threads, cores // self.size),
            runtime_env={"env_vars": {"PYTHONPATH": path}},
        )
        self.actors = {worker: self._kind.remote(self._job, self._threads) for worker in range(self.size)}
        self._waiting: list[tuple[int, Any]] = [
            (worker, actor.engine.remote()) for worker, actor in self.actors.items()
        ]

    def give(self, worker: int, assignment: Assignment, baseline: bytes | None) -> None:
        self._waiting.append(
            (worker, self.actors[worker].work.options(num_returns="streaming").remote(assignment, baseline))
        )

    def events(self) -> Iterator[CrewEvent]:
        while self._waiting:
            ready, _ = self._ray.wait([waited for _, waited in self._waiting], num_returns=1)
            place = next(
                place
                for place, (_, waited) in enumerate(self._waiting)
                if waited is ready[0] or waited == ready[0]
            )
            worker, waited = self._waiting.pop(place)
            yield self._event(worker, waited)

    def _event(self, worker: int, waited: Any) -> CrewEvent:
        """Turn a worker's answer into an event, and wait for the worker's next answer if its stream
        continues.
        """
        streams = not isinstance(waited, self._ray.ObjectRef)
        try:
            answer = self._ray.get(next(waited) if streams else waited)
        except StopIteration:
            return Free(worker)
        except self._ray.exceptions.RayActorError:
            self.actors[worker] = self._kind.remote(self._job, self._threads)
            self._waiting.append((worker, self.actors[worker].engine.remote()))
            return Lost(worker)
        if isinstance(answer, EngineError):
            raise answer
        if not streams:
            return Ready(worker, answer)
        self._waiting.append((worker, waited))
        return Produced(worker, answer)

    def close(self) -> None:
        for actor in self.actors.values():
            self._ray.kill(actor)
