"""The recorded comparison that the page shows before anything was run here; it says so, and on what it was
recorded.
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
    """The first by name below the folder that holds both pictures, a large model's before the embedded
    one's; None where there is none.
    """
    found = []
    for path in sorted(folder.rglob("result.json")):
        if (path.parent / "accelerated.png").is_file():
            try:
                found.append(load_comparison(path.parent))
            except EngineError as error:  # the page opens without it
                log.warning("%s", error)
    return min(found, key=lambda one: one.baseline.request.model == "tiny", default=None)


def headline(one: Comparison | None) -> HeadlineValue:
    """The four cards, marked as recorded elsewhere."""
    view = views.headline(one)
    if one is not None:
        view["cards"][0]["notes"].append("recorded, not run here")
    return view


def timeline(one: Comparison | None) -> TimelineValue | None:
    """To be read alone: nothing on this machine answers for it."""
    if one is None:
        return None
    view = timeline_of(one)
    view["drag"], view["fix"], view["paint"] = None, None, False
    return view


def said(one: Comparison | None) -> str:
    """What stands above the pictures."""
    if one is None:
        return ""
    title = (
        MODELS[one.baseline.request.model].title
        if one.baseline.request.model in MODELS
        else one.baseline.request.model
    )
    day = time.strftime("%Y-%m-%d", time.gmtime(one.accelerated.finished))
    return f"Recorded example: {title}, {one.accelerated.engine.device}, {day}. Generate measures here."
