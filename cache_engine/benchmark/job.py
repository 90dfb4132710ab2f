"""The job of a benchmark: one request, many prompts, many settings.

job.json is stored beside the table, so that only the same job can continue in a folder.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import Field

from ..method import Method, method_from
from ..records import RunRequest
from ..runs.row import Key
from ..runs.setting import Setting, setting_of
from ..strict import EngineError, Strict


class BenchmarkJob(Strict):
    """A benchmark's request, prompts and settings.

    request: the resolved request; each prompt replaces its prompt.
    settings: the settings to draw, the baseline first.
    shard: (I, N) means the I-th of N shards, counted from 1.
    """

    request: RunRequest
    prompts: tuple[str, ...] = Field(min_length=1)
    settings: tuple[Setting, ...] = Field(min_length=1)
    metrics: tuple[str, ...]
    shard: tuple[int, int] = (1, 1)

    @property
    def numbers(self) -> tuple[int, ...]:
        """Return the places of this shard's prompts in the job."""
        place, shards = self.shard
        return tuple(range(place - 1, len(self.prompts), shards))

    def request_for(self, number: int) -> RunRequest:
        return self.request.replaced(prompt=self.prompts[number])

    @property
    def keys(self) -> tuple[Key, ...]:
        """The keys of all rows of this shard, in the order in which one process makes them."""
        return tuple((number, setting.key) for number in self.numbers for setting in self.settings)

    def differs(self, other: BenchmarkJob) -> str | None:
        """Name the first field in which another job differs, with both values. Return None if the jobs are
        equal.
        """
        ours, theirs = self._flat(), other._flat()
        return next(
            (
                f"{name} {_short(ours[name])}, not {_short(theirs[name])}"
                for name in ours
                if ours[name] != theirs[name]
            ),
            None,
        )

    def _flat(self) -> dict[str, Any]:
        facts = self.request.model_dump(exclude={"prompt"})
        return facts | {
            "prompts": self.prompts,
            "methods": tuple(setting.key for setting in self.settings),
            "metrics": self.metrics,
            "shard": self.shard,
        }


def job_from(text: str, name: str) -> BenchmarkJob:
    """Read a job from its JSON. ``name``: the file's name, for the error message. Raises EngineError if the
    text is not a job.
    """
    try:
        data = json.loads(text)
        return BenchmarkJob(
            request=RunRequest(**data["request"]),
            prompts=tuple(data["prompts"]),
            metrics=tuple(data["metrics"]),
            settings=tuple(Setting(**setting) for setting in data["settings"]),
            shard=tuple(data["shard"]),
        )
    except (ValueError, KeyError, TypeError, EngineError):
        raise EngineError(f"out: {name} is not what a benchmark writes; choose another folder.") from None


def baseline_first(methods: list[Method]) -> tuple[Setting, ...]:
    """Return the baseline and then the methods as settings, without duplicates."""
    settings = [setting_of(method_from({"name": "baseline"})), *map(setting_of, methods)]
    return tuple({setting.key: setting for setting in settings}.values())


def _short(value: Any) -> str:
    if isinstance(value, tuple) and value and isinstance(value[0], str):
        text = ", ".join(value)
        return f"{len(value)} ({text[:40]}...)" if len(text) > 40 else text
    return "/".join(map(str, value)) if isinstance(value, tuple) else str(value)
