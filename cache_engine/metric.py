"""Metric: one figure of a picture, and the registry that finds them all. One metric, one file of
``metrics/``.
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
    """What a metric looks at. ``reference``: the baseline's picture of the same prompt and seed, where there
    is one.
    """

    picture: Any  # PIL.Image
    prompt: str
    reference: Any = None


class Metric(ABC):
    """Making one loads what it needs; ``score`` may then be called any number of times.

    better: which way is good.  reference: whether it compares with the baseline.  source: whose definition it
    is. memory: bytes of its network.  note: printed wherever the figure is.
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
        """None where it can be made; else one sentence with the remedy."""
        return None

    @abstractmethod
    def score(self, judged: MetricInput) -> float | None:
        """The figure; None where the pictures are identical and the figure would be infinite."""


# ``METRICS["psnr"]`` -> its class.
METRICS: Registry[type[Metric]] = Registry(
    lambda: subclasses("cache_engine.metrics", Metric), "metrics", "choose among"
)


class AvailableMetrics(NamedTuple):
    names: tuple[str, ...]
    skipped: dict[str, str]  # name -> the sentence that says why


def available_metrics(wanted: str | None) -> AvailableMetrics:
    """The metrics of a list such as ``psnr,ssim`` (None: all there are) that can be made here, and why the
    others cannot.

    Raises EngineError for a name that is not known, or a list of none.
    """
    names = (
        list(METRICS)
        if wanted is None
        else list(dict.fromkeys(filter(None, map(str.strip, wanted.split(",")))))
    )
    if not names:
        raise EngineError(f"metrics: none was named; choose among {', '.join(METRICS)}.")
    reasons = {name: METRICS[name].unavailable() for name in names}
    return AvailableMetrics(
        tuple(name for name in names if reasons[name] is None),
        {name: reason for name, reason in reasons.items() if reason},
    )


def load_metrics(names: tuple[str, ...]) -> dict[str, Metric]:
    """The metrics, loaded; on the accelerator where their networks fit beside the model.

    Raises EngineError where one cannot be had on this machine.
    """
    for name in names:
        if reason := METRICS[name].unavailable():
            raise EngineError(f"metrics: {reason}")
    return {name: METRICS[name](_device(METRICS[name])) for name in names}


def _device(metric: type[Metric]) -> str:
    if not metric.memory:
        return "cpu"
    from .devices import device

    found = device()
    roomy = found.kind == "cuda" and found.free is not None and found.free > 2 * metric.memory
    return "cuda" if roomy else "cpu"


def scores(metrics: Mapping[str, Metric], judged: MetricInput) -> dict[str, float | None]:
    """Every metric's figure; those that compare are left out where there is nothing to compare with."""
    return {
        name: metric.score(judged)
        for name, metric in metrics.items()
        if judged.reference is not None or not metric.reference
    }


class WeightFiles(NamedTuple):
    """Weights in a local folder that a variable names, or in the hub's cache."""

    hub_id: str
    variable: str
    needed: tuple[str, ...]

    def find(self, name: str) -> Path | None:
        """One of its files on this machine."""
        from huggingface_hub import try_to_load_from_cache

        folder = os.environ.get(self.variable)
        if folder:
            return Path(folder) / name if (Path(folder) / name).is_file() else None
        cached = try_to_load_from_cache(self.hub_id, name)
        return Path(cached) if isinstance(cached, str) else None

    def path(self, name: str) -> Path:
        """One of its files, which is needed now. Raises EngineError where it is gone."""
        found = self.find(name)
        if found is None:
            raise EngineError(
                f"metrics: {name} of {self.hub_id} is not on this machine; put it where {self.variable} says."
            )
        return found

    def unavailable(self, metric: str) -> str | None:
        missing = [name for name in self.needed if self.find(name) is None]
        if not missing:
            return None
        folder = os.environ.get(self.variable)
        if folder:
            return (
                f"{metric} needs {', '.join(missing)} in {folder}, which {self.variable} names; put "
                f"{self.hub_id}'s files there."
            )
        return (
            f"{metric} needs {self.hub_id}: download it with `hf download {self.hub_id}`, or let "
            f"{self.variable} name a "
            "folder that holds it (one that modelscope made is as good)."
        )


def missing_package(metric: str, name: str) -> str | None:
    """A sentence where a Python package is not installed."""
    if importlib.util.find_spec(name) is not None:
        return None
    return f"{metric} needs the package {name}; install it with `pip install -r requirements-bench.txt`."
