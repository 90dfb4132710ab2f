"""What a worker does, wherever it runs: holds the model and the metrics, draws, judges, and hands over
rows.
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
    """A row of the table, and the picture as PNG."""

    row: Row
    png: bytes


class Runner:
    """Loaded once, then works share after share. Raises EngineError where the model or a metric is not to be
    had.
    """

    def __init__(self, job: BenchmarkJob) -> None:
        self._job = job
        self.engine: Engine = load_model(job.request.model).engine
        self._metrics = load_metrics(job.metrics)

    def work(self, assignment: Assignment, baseline: bytes | None) -> Iterator[DrawnRow]:
        """Row by row. ``baseline``: the prompt's baseline as PNG, unless the share begins with it."""
        reference = Image.open(io.BytesIO(baseline)).convert("RGB") if baseline else None
        for setting in assignment.settings:
            result = run(self._job.requested(assignment.number), method_from(setting.method))
            judged = MetricInput(result.image.convert("RGB"), result.request.prompt, reference)
            yield DrawnRow(
                row_of(assignment.number, setting, result) | {"metrics": scores(self._metrics, judged)},
                png_of(judged.picture),
            )
            if setting.key == self._job.settings[0].key:
                reference = judged.picture
