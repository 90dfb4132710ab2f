"""Writes comparisons and forecasts as plain JSON values without pictures, for result files and endpoints."""

from __future__ import annotations

from typing import Any

from .method import method_from
from .records import Comparison, RunResult
from .whatif.psnr_calibration import psnr_calibration_of
from .whatif.simulation import Forecast, simulate


def comparison_json(result: Comparison) -> dict[str, Any]:
    """Return the contents of result.json. ``psnr_db`` is None for identical pictures."""
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
    """Return the survey's sampling error and its forecast for this setting, beside the measured figures."""
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


def side_json(result: RunResult) -> dict[str, Any]:
    """Return one run's figures. ``runs.run_folder`` can make a RunResult from them again."""
    return {
        "seconds": result.seconds._asdict(),
        "timed": list(result.timed),
        "tflops": result.tflops,
        "schedule": result.schedule,
        "schedules": result.schedules,
        "trace": [call._asdict() for call in result.trace],
        "peak_bytes": result.peak_bytes,
        "cache_bytes": result.cache_bytes,
        "finished": result.finished,
        "effective": result.effective.model_dump(),
    }


def forecast_json(forecast: Forecast) -> dict[str, object]:
    """Return a forecast in the form that the command line and the endpoints output."""
    return {
        "method": forecast.method,
        "schedule": forecast.schedule,
        "schedules": forecast.schedules,
        "steps_computed": forecast.steps_computed,
        "tflops": forecast.tflops,
        "baseline_tflops": forecast.baseline_tflops,
        "compute_ratio": forecast.compute_ratio,
        "seconds": forecast.seconds,
        "baseline_seconds": forecast.baseline_seconds,
        "speedup": forecast.speedup,
        "psnr_db": forecast.psnr_db,
        "band": forecast.band,
        "identical": forecast.identical,
        "note": forecast.note,
        "trace": [call._asdict() for call in forecast.trace],
    }
