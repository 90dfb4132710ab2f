"""A metric gives one figure for a picture. Each metric is one file in ``metrics/``; METRICS finds all of
them.
"""

from __future__ import annotations

import importlib.util
import os
from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar, Literal, NamedTuple

from .registry import Registry, subclasses
from .strict import EngineError


class MetricInput(NamedTuple):
    """A metric's input. reference: the baseline's picture of the same prompt and seed, or None."""

    picture: Any  # a PIL.Image
    prompt: str
    reference: Any = None


class Metric(ABC):
    """One metric. Creating a metric loads its network; ``score`` may then be called any number of times.

    better: says whether a higher or a lower figure is better. reference: True if the metric compares with the
    baseline's picture.
    source: the paper or program that defines the metric. memory: bytes of its network. note: a text that is
    printed wherever the figure is.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    better: ClassVar[Literal["higher", "lower"]]
    reference: ClassVar[bool]
    source: ClassVar[str]
    memory: ClassVar[int] = 0
    note: ClassVar[str] = ""

    def __init__(self, device: str = "cpu") -> None:
        self.device = device

    @classmethod
    def unavailable(cls) -> str | None:
        """Return None if the metric can be used on this machine; otherwise return one sentence with the
        remedy.
        """
        return None

    @abstractmethod
    def score(self, scored: MetricInput) -> float | None:
        """Return the figure, or None if the pictures are identical and the figure would be infinite."""


# Maps a metric's name to its class.
METRICS: Registry[type[Metric]] = Registry(
    lambda: subclasses("cache_engine.metrics", Metric), "metrics", "choose among"
)


class AvailableMetrics(NamedTuple):
    names: tuple[str, ...]
    skipped: dict[str, str]  # by metric: the reason why it is skipped


def available_metrics(wanted: str | None) -> AvailableMetrics:
    """Return the metrics named by a list such as ``psnr,ssim`` (None: all metrics) that can be used here.

    The unusable ones are returned with the reason. Raises EngineError for an unknown name or an empty list.
    """
    names = (
        list(METRICS)
        if wanted is None
        else list(dict.fromkeys(filter(None, map(str.strip, wanted.split(",")))))
    )
    if not names:
        raise EngineError(f"metrics: no metric was named; choose among {', '.join(METRICS)}.")
    reasons = {name: METRICS[name].unavailable() for name in names}
    return AvailableMetrics(
        tuple(name for name in names if reasons[name] is None),
        {name: reason for name, reason in reasons.items() if reason},
    )


def load_metrics(names: tuple[str, ...]) -> dict[str, Metric]:
    """Load the metrics. Their networks are put on the GPU if they fit there beside the model.

    Raises EngineError if a metric cannot be used on this machine.
    """
    for name in names:
        if reason := METRICS[name].unavailable():
            raise EngineError(f"metrics: {reason}")
    return {name: METRICS[name](_device(METRICS[name])) for name in names}


def _device(metric: type[Metric]) -> str:
    if not metric.memory:
        return "cpu"
    from .devices import device

    here = device()
    roomy = here.kind == "cuda" and here.free is not None and here.free > 2 * metric.memory
    return "cuda" if roomy else "cpu"


def scores(metrics: Mapping[str, Metric], scored: MetricInput) -> dict[str, float | None]:
    """Return every metric's figure. Without a reference, metrics that need one are left out."""
    return {
        name: metric.score(scored)
        for name, metric in metrics.items()
        if scored.reference is not None or not metric.reference
    }


class WeightFiles(NamedTuple):
    """Weight files of a metric. The files are in the folder that an environment variable names, or in the
    hub's cache.
    """

    hub_id: str
    variable: str
    needed: tuple[str, ...]

    def find(self, name: str) -> Path | None:
        """Return the path of a file on this machine, or None if the file is missing."""
        from huggingface_hub import try_to_load_from_cache

        folder = os.environ.get(self.variable)
        if folder:
            return Path(folder) / name if (Path(folder) / name).is_file() else None
        cached = try_to_load_from_cache(self.hub_id, name)
        return Path(cached) if isinstance(cached, str) else None

    def path(self, name: str) -> Path:
        """Return the path of a file. Raises EngineError if the file is not on this machine."""
        path = self.find(name)
        if path is None:
            raise EngineError(
                f"metrics: {name} of {self.hub_id} is not on this machine; put the file into the folder "
                f"that {self.variable} names."
            )
        return path

    def unavailable(self, metric: str) -> str | None:
        """Return None if all needed files are on this machine; otherwise return one
        sentence with the remedy.
        """
        missing = [name for name in self.needed if self.find(name) is None]
        if not missing:
            return None
        folder = os.environ.get(self.variable)
        if folder:
            return (
                f"{metric} needs {', '.join(missing)} in {folder}, the folder that {self.variable} "
                f"names; put the files of {self.hub_id} there."
            )
        return (
            f"{metric} needs {self.hub_id}: download it with `hf download {self.hub_id}`, or set "
            f"{self.variable} to a folder that holds it (a folder made by modelscope works too)."
        )


def missing_package(metric: str, name: str) -> str | None:
    """Return None if the Python package is installed; otherwise return one sentence with the remedy."""
    if importlib.util.find_spec(name) is not None:
        return None
    return f"{metric} needs the package {name}; install it with `pip install -r requirements-bench.txt`."
