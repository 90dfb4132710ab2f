"""CacheLens' engine: see what caching does to a diffusion transformer, before you trust it.

    from cache_engine import METHODS, RunRequest, compare
    request = RunRequest(model="tiny", prompt="a small red apple on a blue background", seed=7)
    for event in compare(request, METHODS["dbcache"](residual_diff_threshold=0.12, taylorseer_order=1)):
        print(event)

    with attached(pipe, METHODS["dbcache"]()) as session:  # a pipeline that you have already
        pipe("a fox")
    session.trace

Names are looked up on first use: importing this package imports no torch.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .benchmark.outcome import Measured, Outcome, outcome_from
    from .comparison import Baselines, compare, compared, recorded, repeats_of
    from .footprint import cache_bytes
    from .loading import engine_of, preload, preload_model
    from .method import METHODS, Knob, Method, method_from
    from .model import ModelSpec
    from .models.catalog import MODELS, facts_of, resolve
    from .plans import Decision, ModelFacts, Plan
    from .quality import difference
    from .recipe import BASELINE, format_recipe, is_recipe, parse_recipe, read_name
    from .records import (
        Comparison,
        Engine,
        Event,
        Progress,
        Quality,
        RunRequest,
        RunResult,
        Seconds,
        SideDone,
        StepTrace,
        clock,
    )
    from .report import described, foretold
    from .runner import run
    from .runs.run_folder import keep_baseline, keep_comparison, kept_baseline, kept_comparison
    from .sites.attach import attached
    from .strict import Cancelled, EngineError
    from .tuning.goal import Goal
    from .tuning.report import tuned
    from .tuning.space import USUAL, tunable
    from .tuning.sweep import SweepTask, swept
    from .tuning.tuner import TuneTask
    from .whatif.expected_frontier import frontier
    from .whatif.psnr_calibration import PsnrCalibration, psnr_calibration_of
    from .whatif.simulation import Forecast, simulate
    from .whatif.survey import Survey

_HOME = {
    "benchmark.outcome": ("Measured", "Outcome", "outcome_from"),
    "comparison": ("Baselines", "compare", "compared", "recorded", "repeats_of"),
    "footprint": ("cache_bytes",),
    "runs.run_folder": ("keep_baseline", "keep_comparison", "kept_baseline", "kept_comparison"),
    "whatif.psnr_calibration": ("PsnrCalibration", "psnr_calibration_of"),
    "loading": ("engine_of", "preload", "preload_model"),
    "method": ("METHODS", "Knob", "Method", "method_from"),
    "model": ("ModelSpec",),
    "models.catalog": ("MODELS", "facts_of", "resolve"),
    "plans": ("Decision", "ModelFacts", "Plan"),
    "strict": ("Cancelled", "EngineError"),
    "quality": ("difference",),
    "recipe": ("BASELINE", "format_recipe", "is_recipe", "parse_recipe", "read_name"),
    "records": (
        "Comparison",
        "Engine",
        "Event",
        "Progress",
        "Quality",
        "RunRequest",
        "RunResult",
        "Seconds",
        "SideDone",
        "StepTrace",
        "clock",
    ),
    "report": ("described", "foretold"),
    "runner": ("run",),
    "whatif.simulation": ("Forecast", "simulate"),
    "sites.attach": ("attached",),
    "whatif.survey": ("Survey",),
    "whatif.expected_frontier": ("frontier",),
    "tuning.goal": ("Goal",),
    "tuning.report": ("tuned",),
    "tuning.space": ("USUAL", "tunable"),
    "tuning.sweep": ("SweepTask", "swept"),
    "tuning.tuner": ("TuneTask",),
}
_MODULE_OF = {name: module for module, names in _HOME.items() for name in names}
__all__ = [
    "BASELINE",
    "Baselines",
    "Cancelled",
    "Comparison",
    "Decision",
    "Engine",
    "EngineError",
    "Event",
    "Forecast",
    "Goal",
    "Knob",
    "METHODS",
    "MODELS",
    "Measured",
    "Method",
    "ModelFacts",
    "ModelSpec",
    "Outcome",
    "Plan",
    "Progress",
    "PsnrCalibration",
    "Quality",
    "RunRequest",
    "RunResult",
    "Seconds",
    "SideDone",
    "StepTrace",
    "Survey",
    "SweepTask",
    "TuneTask",
    "USUAL",
    "attached",
    "cache_bytes",
    "clock",
    "compare",
    "compared",
    "described",
    "difference",
    "engine_of",
    "facts_of",
    "foretold",
    "format_recipe",
    "frontier",
    "is_recipe",
    "keep_baseline",
    "keep_comparison",
    "kept_baseline",
    "kept_comparison",
    "method_from",
    "outcome_from",
    "parse_recipe",
    "preload",
    "preload_model",
    "psnr_calibration_of",
    "read_name",
    "recorded",
    "repeats_of",
    "resolve",
    "run",
    "simulate",
    "swept",
    "tunable",
    "tuned",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f".{_MODULE_OF[name]}", __name__), name)


def __dir__() -> list[str]:
    return sorted(__all__)
