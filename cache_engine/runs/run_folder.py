"""The folder of one comparison or baseline: result.json, baseline.png, accelerated.png and survey.npz.

``compare --out``, the page's History and the page's remembered baselines use this format.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from PIL import Image

from ..method import METHODS, Method, method_from
from ..quality import measure
from ..recipe import format_recipe
from ..records import Comparison, Engine, RunRequest, RunResult, Seconds, Side, StepTrace
from ..report import comparison_json, side_json
from ..strict import EngineError
from ..whatif.survey import Survey
from ..whatif.survey_file import load
from .disk import write_whole

RESULT, SURVEY = "result.json", "survey.npz"


def save_baseline(baseline: RunResult, folder: Path) -> None:
    """Write a baseline's folder. Raises EngineError if the folder cannot be written."""
    data = {
        "request": baseline.request.model_dump(),
        "engine": baseline.engine.model_dump(),
        "baseline": side_json(baseline),
    }
    _write(folder, data, {"baseline": baseline.image}, baseline.survey)


def save_comparison(
    comparison: Comparison, folder: Path, *, difference: Image.Image | None = None, **more: Any
) -> dict[str, Any]:
    """Write a comparison's folder. Return the contents of result.json, with ``more`` added.

    Raises EngineError if the folder cannot be written.
    """
    pictures = {
        "baseline": comparison.baseline.image,
        "accelerated": comparison.accelerated.image,
        "difference": difference,
    }
    data = comparison_json(comparison) | more
    _write(
        folder,
        data,
        {name: picture for name, picture in pictures.items() if picture is not None},
        comparison.baseline.survey,
    )
    return data


def _write(
    folder: Path, data: dict[str, Any], pictures: dict[str, Image.Image], survey: Survey | None
) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, picture in pictures.items():
            picture.save(folder / f"{name}.png")
        if survey is not None:
            survey.save(folder / SURVEY)
        # written last: this file marks the folder as complete
        write_whole(folder / RESULT, json.dumps(data, indent=1, ensure_ascii=False).encode())
    except OSError as error:
        raise EngineError(
            f"out: {folder} cannot be written to ({error.strerror or type(error).__name__}); choose "
            "another folder, or make room."
        ) from error


def load_baseline(folder: Path) -> RunResult:
    """Read a folder's baseline with its survey. Raises EngineError if the folder is damaged."""
    with _whole(folder):
        data = _read(folder)
        survey = load(folder / SURVEY) if (folder / SURVEY).is_file() else None
        return _run(data, "baseline", METHODS["baseline"](), folder)._replace(survey=survey)


def load_comparison(folder: Path) -> Comparison:
    """Read a folder's comparison, without its survey. PSNR and SSIM are measured again.

    Raises EngineError if the folder is damaged.
    """
    with _whole(folder):
        data = _read(folder)
        before = _run(data, "baseline", METHODS["baseline"](), folder)
        after = _run(data, "accelerated", method_from(data["method"]), folder)
        return Comparison(before, after, measure(before.image, after.image), baseline_reused=False)


@contextmanager
def _whole(folder: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, EngineError) as error:
        raise EngineError(
            f"recorded: {folder.name} is not a recorded run, or is damaged ({type(error).__name__}); "
            "record it again, or remove it."
        ) from None


def _read(folder: Path) -> dict[str, Any]:
    return json.loads((folder / RESULT).read_text(encoding="utf-8"))


def _run(data: dict[str, Any], side: Side, method: Method, folder: Path) -> RunResult:
    values = data[side]
    with Image.open(folder / f"{side}.png") as picture:
        image = picture.convert("RGB")
    return RunResult(
        request=RunRequest(**data["request"]),
        effective=RunRequest(**values["effective"]),
        method=method.to_dict(),
        recipe=format_recipe(method),
        image=image,
        engine=Engine(**data["engine"]),
        trace=tuple(StepTrace(**call) for call in values["trace"]),
        tflops=values["tflops"],
        seconds=Seconds(**values["seconds"]),
        peak_bytes=values["peak_bytes"],
        cache_bytes=values["cache_bytes"],
        finished=values["finished"],
        timed=tuple(values.get("timed", ())),
    )
