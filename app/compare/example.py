"""The recorded comparison that the page shows before the first run here. The page names its source."""

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
    """Return the first example by name that holds both pictures; None where the folder has none.

    A large model's example goes before the embedded model's.
    """
    comparisons = []
    for path in sorted(folder.rglob("result.json")):
        if (path.parent / "accelerated.png").is_file():
            try:
                comparisons.append(load_comparison(path.parent))
            except EngineError as error:  # the page opens without it
                log.warning("%s", error)
    return min(comparisons, key=lambda comparison: comparison.baseline.request.model == "tiny", default=None)


def headline(comparison: Comparison | None) -> HeadlineValue:
    """Return the four cards, marked as recorded elsewhere."""
    view = views.headline(comparison)
    if comparison is not None:
        view["cards"][0]["notes"].append("recorded, not run here")
    return view


def timeline(comparison: Comparison | None) -> TimelineValue | None:
    """Return the timeline without its knobs: no survey on this machine belongs to it."""
    if comparison is None:
        return None
    view = timeline_of(comparison)
    view["drag"], view["paint"], view["fix"] = None, False, None
    return view


def source(comparison: Comparison | None) -> str:
    """Name the model, device and day of the example, for the line above the pictures."""
    if comparison is None:
        return ""
    model = comparison.baseline.request.model
    title = MODELS[model].title if model in MODELS else model
    engine = comparison.accelerated.engine
    day = time.strftime("%Y-%m-%d", time.gmtime(comparison.accelerated.finished))
    return f"Recorded example: {title}, {engine.device}, {day}. Press Generate to run."
