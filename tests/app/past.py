"""Fills a history with comparisons without running them."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from app.history.store import HistoryStore
from cache_engine import METHODS, Comparison
from tests.app.made import QUALITY, run

METHOD = METHODS["dbcache"](residual_diff_threshold=0.3)


def made(finished: float = 1_000.0, **request: object) -> Comparison:
    """Make a comparison of two equal pictures, so that measuring its quality again gives the same figures."""
    before, after = (run(method)._replace(finished=finished) for method in (METHODS["baseline"](), METHOD))
    asked = before.request.replaced(**request)
    return Comparison(before._replace(request=asked), after._replace(request=asked), QUALITY, False)


@dataclass
class Filled:
    """A history with three runs, oldest first: a, b, c."""

    folder: Path

    def __post_init__(self) -> None:
        self.history = HistoryStore(self.folder)
        for place, (key, prompt) in enumerate((("a", "a red fox"), ("b", "an owl"), ("c", "a red fox"))):
            self.history.add(key, made(1_000.0 + place, prompt=prompt))


def keys(history: HistoryStore) -> list[str]:
    return [entry.key for entry in history.entries()]
