"""A comparison, or a forecast, as result files and endpoints carry it: plain JSON values, no pictures."""

from __future__ import annotations

from typing import Any

from .method import method_from
from .records import Comparison, RunResult
from .whatif.psnr_calibration import psnr_calibration_of
from .whatif.simulation import Forecast, simulate


def comparison_json(result: Comparison) -> dict[str, Any]:
    """The contents of result.json. ``psnr_db`` is None where the pictures are identical."""
    quality = result.quality
    return {
        "request": result.baseline.request.model_dump(),
        "method": result.accelerated.method,
        "recipe": result.accelerated.recipe,
        "engine": result.accelerated.engine.model_dump(),
        "baseline": side_json(result.baseline),
        "accelerated": side_json(result.accelerated),
        "speedup": result.speedup,
        "spread": result.spread,
        "compute_ratio": result.compute_ratio,
        "psnr_db": quality.psnr_db,
        "identical": quality.identical,
        "ssim": quality.ssim,
        "survey": _survey(result),
    }


def _survey(result: Comparison) -> dict[str, Any] | None:
    """How far the baseline's sample is off, and what it had expected of this setting: beside what was
    measured, to be judged by it.
    """
    survey = result.baseline.survey
    if survey is None:
        return None
    expected = simulate(survey, method_from(result.accelerated.method), psnr_calibration_of(survey))
    return {
        "sampling_error": survey.sampling_error,
        "positions": survey.entry.shape[-1],
        "schedule": expected.schedule,
        "seconds": expected.seconds,
        "tflops": expected.tflops,
        "psnr_db": expected.psnr_db,
        "band": expected.band,
    }


def side_json(one: RunResult) -> dict[str, Any]:
    """One run: what ``load_baseline`` makes a RunResult of, beside request, engine and picture."""
    return {
        "seconds": one.seconds._asdict(),
        "timed": list(one.timed),
        "tflops": one.tflops,
        "schedule": one.schedule,
        "schedules": one.schedules,
        "trace": [call._asdict() for call in one.trace],
        "peak_bytes": one.peak_bytes,
        "cache_bytes": one.cache_bytes,
        "finished": one.finished,
        "effective": one.effective.model_dump(),
    }


def forecast_json(found: Forecast) -> dict[str, object]:
    """A forecast as the command line and the endpoints give it."""
    return {
        "method": found.method,
        "schedule": found.schedule,
        "schedules": found.schedules,
        "steps_computed": found.steps_computed,
        "tflops": found.tflops,
        "baseline_tflops": found.baseline_tflops,
        "compute_ratio": found.compute_ratio,
        "seconds": found.seconds,
        "baseline_seconds": found.baseline_seconds,
        "speedup": found.speedup,
        "psnr_db": found.psnr_db,
        "band": found.band,
        "identical": found.identical,
        "note": found.note,
        "trace": [call._asdict() for call in found.trace],
    }
