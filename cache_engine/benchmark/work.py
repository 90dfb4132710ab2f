"""A worker loads the model and the metrics, then draws and scores pictures. The code is the same in every
kind of crew.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import NamedTuple

from PIL import Image

from ..loading import load_model
from ..method import method_from
from ..metric import MetricInput, load_metrics, scores
from ..records import Engine
from ..runner import run
from ..runs.row import Row, png_of, row_of
from .board import Assignment
from .job import BenchmarkJob


class DrawnRow(NamedTuple):
    """A row of the table, with its picture as PNG."""

    row: Row
    png: bytes


class Runner:
    """Loads the model and the metrics once, then does one assignment after the other.

    Raises EngineError if the model or a metric is not available.
    """

    def __init__(self, job: BenchmarkJob) -> None:
        self._job = job
        self.engine: Engine = load_model(job.request.model).engine
        self._metrics = load_metrics(job.metrics)

    def work(self, assignment: Assignment, baseline: bytes | None) -> Iterator[DrawnRow]:
        """Draw and score an assignment, row by row.

        baseline: the PNG of the prompt's baseline; None if the assignment begins with it.
        """
        reference = Image.open(io.BytesIO(baseline)).convert("RGB") if baseline else None
        for setting in assignment.settings:
            result = run(self._job.request_for(assignment.number), method_from(setting.method))
            scored = MetricInput(result.image.convert("RGB"), result.request.prompt, reference)
            yield DrawnRow(
                row_of(assignment.number, setting, result) | {"metrics": scores(self._metrics, scored)},
                png_of(scored.picture),
            )
            if setting.key == self._job.settings[0].key:
                reference = scored.picture
