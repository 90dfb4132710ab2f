"""The recorded comparison that the page shows before the first run on this machine. The page names its
source.
"""

from __future__ import annotations

import logging
import time
from functools import lru_cache
from pathlib import Path

from cache_engine import MODELS, Comparison, EngineError, load_comparison

from .. import views
from ..components.headline import HeadlineValue
from ..components.timeline import TimelineValue
from ..timeline import timeline_of

FOLDER = Path(__file__).resolve().parents[2] / "assets" / "example"

log = logging.getLogger(__name__)


@lru_cache
def example(folder: Path = FOLDER) -> Comparison | None:
    """Return the first example, sorted by name, that holds both pictures. Return None if the folder has no
    example.

    The example of a large model comes before that of the embedded model, and this one before those of its
    few-step variants.
    """
    comparisons = []
    for path in sorted(folder.rglob("result.json")):
        if (path.parent / "accelerated.png").is_file():
            try:
                comparisons.append(load_comparison(path.parent))
            except EngineError as error:  # the page then opens without an example
                log.warning("%s", error)
    return min(comparisons, key=lambda comparison: _rank(comparison.baseline.request.model), default=None)


def _rank(model: str) -> int:
    return 0 if not model.startswith("tiny") else 1 if model == "tiny" else 2


def headline(comparison: Comparison | None) -> HeadlineValue:
    """Return the four cards, marked as recorded on another machine."""
    view = views.headline(comparison)
    if comparison is not None:
        view["cards"][0]["notes"].append("recorded, not run here")
    return view


def timeline(comparison: Comparison | None) -> TimelineValue | None:
    """Return the timeline without knobs, because this machine has no survey of the example."""
    if comparison is None:
        return None
    view = timeline_of(comparison)
    view["drag"], view["paint"], view["fix"] = None, False, None
    return view


def source(comparison: Comparison | None) -> str:
    """Name the example's model, device and day, for the line above the pictures."""
    if comparison is None:
        return ""
    model = comparison.baseline.request.model
    title = MODELS[model].title if model in MODELS else model
    engine = comparison.accelerated.engine
    day = time.strftime("%Y-%m-%d", time.gmtime(comparison.accelerated.finished))
    return f"Recorded example: {title}, {engine.device}, {day}. Press Generate to run."
