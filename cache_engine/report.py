"""A comparison as result files and endpoints carry it: plain JSON values, no pictures."""

from __future__ import annotations

from typing import Any

from .records import Comparison, RunResult


def described(result: Comparison) -> dict[str, Any]:
    """The contents of result.json. ``psnr_db`` is None where the pictures are identical."""
    quality = result.quality
    return {"request": result.baseline.request.model_dump(), "method": result.accelerated.method,
            "recipe": result.accelerated.recipe, "engine": result.accelerated.engine.model_dump(),
            "baseline": _side(result.baseline), "accelerated": _side(result.accelerated), "speedup": result.speedup,
            "compute_ratio": result.compute_ratio, "psnr_db": quality.psnr_db, "identical": quality.identical,
            "ssim": quality.ssim}


def _side(side: RunResult) -> dict[str, Any]:
    return {"seconds": side.seconds._asdict(), "tflops": side.tflops, "schedule": side.schedule, "schedules": side.schedules,
            "trace": [call._asdict() for call in side.trace], "peak_bytes": side.peak_bytes, "cache_bytes": side.cache_bytes,
            "effective": side.effective.model_dump()}
