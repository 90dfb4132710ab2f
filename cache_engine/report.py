"""A comparison as result files and endpoints carry it: plain JSON values, no pictures."""

from __future__ import annotations

from typing import Any

from .likeness import likeness_of
from .method import method_from
from .records import Comparison, RunResult
from .simulate import simulate


def described(result: Comparison) -> dict[str, Any]:
    """The contents of result.json. ``psnr_db`` is None where the pictures are identical."""
    quality = result.quality
    return {"request": result.baseline.request.model_dump(), "method": result.accelerated.method,
            "recipe": result.accelerated.recipe, "engine": result.accelerated.engine.model_dump(),
            "baseline": _side(result.baseline), "accelerated": _side(result.accelerated), "speedup": result.speedup,
            "compute_ratio": result.compute_ratio, "psnr_db": quality.psnr_db, "identical": quality.identical,
            "ssim": quality.ssim, "survey": _survey(result)}


def _survey(result: Comparison) -> dict[str, Any] | None:
    """How far the baseline's sample is off, and what it had expected of this setting: beside what was measured, to be judged by it."""
    survey = result.baseline.survey
    if survey is None:
        return None
    expected = simulate(survey, method_from(result.accelerated.method), likeness_of(survey))
    return {"sampling_error": survey.sampling_error, "positions": survey.entry.shape[-1], "schedule": expected.schedule,
            "seconds": expected.seconds, "tflops": expected.tflops, "psnr_db": expected.psnr_db, "band": expected.band}


def _side(side: RunResult) -> dict[str, Any]:
    return {"seconds": side.seconds._asdict(), "tflops": side.tflops, "schedule": side.schedule, "schedules": side.schedules,
            "trace": [call._asdict() for call in side.trace], "peak_bytes": side.peak_bytes, "cache_bytes": side.cache_bytes,
            "effective": side.effective.model_dump()}
