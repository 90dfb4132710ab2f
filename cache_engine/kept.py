"""A baseline in a folder: result.json, baseline.png and, if one was taken, survey.npz; the names that ``compare --out`` writes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from PIL import Image

from .method import METHODS
from .recipe import format_recipe
from .records import Engine, EngineError, RunRequest, RunResult, Seconds, StepTrace
from .report import side
from .survey import load

RESULT, PICTURE, SURVEY = "result.json", "baseline.png", "survey.npz"


def keep_baseline(baseline: RunResult, folder: Path) -> None:
    """Make the folder. Raises EngineError where it cannot be written."""
    data = {"request": baseline.request.model_dump(), "engine": baseline.engine.model_dump(), "baseline": side(baseline)}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        baseline.image.save(folder / PICTURE)
        if baseline.survey is not None:
            baseline.survey.save(folder / SURVEY)
        (folder / RESULT).write_text(json.dumps(data, indent=1, ensure_ascii=False), encoding="utf-8")  # last: it says that all is there
    except OSError as error:
        raise EngineError(f"baselines: {folder} cannot be written ({error.strerror or type(error).__name__}); choose another folder, or "
                          "make room.") from None


def kept_baseline(folder: Path) -> RunResult:
    """The baseline of a folder that ``keep_baseline`` or ``compare --out`` made. Raises EngineError for one that is damaged."""
    try:
        data: dict[str, Any] = json.loads((folder / RESULT).read_text(encoding="utf-8"))
        found = data["baseline"]
        with Image.open(folder / PICTURE) as picture:
            image = picture.convert("RGB")
        request, effective = RunRequest(**data["request"]), RunRequest(**found["effective"])
        method = METHODS["baseline"]()
        return RunResult(
            request=request, effective=effective, method=method.described(), recipe=format_recipe(method), image=image,
            engine=Engine(**data["engine"]), trace=tuple(StepTrace(**call) for call in found["trace"]), tflops=found["tflops"],
            seconds=Seconds(**found["seconds"]), peak_bytes=found["peak_bytes"], cache_bytes=found["cache_bytes"],
            finished=found["finished"], survey=load(folder / SURVEY) if (folder / SURVEY).is_file() else None)
    except (OSError, ValueError, KeyError, TypeError, EngineError) as error:
        raise EngineError(f"baselines: {folder.name} is not a recorded baseline, or damaged ({type(error).__name__}); record it anew, or "
                          "remove it.") from None
