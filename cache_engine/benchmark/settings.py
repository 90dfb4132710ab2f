"""Chooses a benchmark's settings: a named set, or a file of recipes, presets or JSON.

The named sets repeat the sweeps of cache-dit's benchmark scripts and the published tables.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Iterator
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

from ..method import METHODS, Method, method_from
from ..model import ModelSpec
from ..recipe import is_recipe, parse_recipe, read_name
from ..records import RunRequest
from ..strict import EngineError, lines_of

PRESETS = Path(__file__).resolve().parents[2] / "presets"
PUBLISHED = PRESETS / "published.csv"


class ChosenSettings(NamedTuple):
    """The settings to run. skipped: settings of a named set that this model cannot run,
    each with the reason.
    """

    methods: list[Method]
    skipped: dict[str, str]


def choose_settings(name: str, spec: ModelSpec, request: RunRequest) -> ChosenSettings:
    """Return the settings of a named set or of a file. ``request`` is resolved.

    A named set's settings that do not fit are skipped. Raises EngineError if a file cannot be read, or if one
    of its settings does not fit: a setting that the user wrote down is never skipped.
    """
    if name not in SETS:
        methods = settings_from_file(Path(name))
        for label, method in methods:
            if reason := unfit_reason(method, spec, request):
                raise EngineError(f"methods: {label}: {reason}")
        return ChosenSettings([method for _, method in methods], {})
    fitting, skipped = [], {}
    for label, knobs in SETS[name](spec):
        try:
            method = method_from(knobs)
            reason = unfit_reason(method, spec, request)
        except EngineError as error:
            method, reason = None, str(error)
        if reason is not None:
            skipped[label] = reason
        elif method is not None and method not in fitting:
            fitting.append(method)
    if not fitting:
        raise EngineError(
            f"methods: none of the settings in {name} fits {spec.title} at {request.steps} steps "
            f"({next(iter(skipped.values()))}); choose another set, or other steps."
        )
    return ChosenSettings(fitting, skipped)


def unfit_reason(method: Method, spec: ModelSpec, request: RunRequest) -> str | None:
    """Return the reason why a method cannot run this request, or None if it can."""
    try:
        method.plan(spec.facts(spec.resolve(method.effective(request))))
    except EngineError as error:
        return str(error)
    return None


def settings_from_file(path: Path) -> list[tuple[str, Method]]:
    """Read a file of settings. Return each setting with its text in the file.

    Each line of the file is a recipe, a preset's name, or the name of a row of the published tables. A JSON
    file holds a list of these, or of methods. Raises EngineError.
    """
    if not path.is_file():
        raise EngineError(
            f"methods: {path} is neither a file nor one of {', '.join(SETS)}; name one of these sets, "
            "or write a file with one recipe a line."
        )
    try:
        text = path.read_text(encoding="utf-8")
        entries = (
            json.loads(text)
            if path.suffix == ".json"
            else [line for line in lines_of(text) if not line.startswith("#")]
        )
    except (OSError, ValueError) as error:
        raise EngineError(
            f"methods: {path} cannot be read ({type(error).__name__}); write one recipe a line, or a JSON "
            f"list."
        ) from None
    if isinstance(entries, dict):
        entries = [entries]
    if not entries:
        raise EngineError(f"methods: {path} holds no setting; write one recipe a line, or a JSON list.")
    return [(str(entry)[:60], _method(entry, path)) for entry in entries]


def _method(entry: Any, path: Path) -> Method:
    try:
        if isinstance(entry, dict):
            return method_from(entry.get("method", entry))  # a preset's file holds the method under "method"
        if not isinstance(entry, str):
            raise EngineError(
                f"recipe: {entry!r} is not valid; write a recipe, a preset's name, or an object with a name."
            )
        if is_recipe(entry):
            return parse_recipe(entry)
        preset = next(
            (file for file in (PRESETS / f"{entry}.json", path.parent / entry) if file.is_file()), None
        )
        if preset is not None:
            return method_from(json.loads(preset.read_text(encoding="utf-8"))["method"])
        return method_from(read_name(entry))
    except (ValueError, KeyError):
        raise EngineError(f"methods: {entry!r} in {path} is not a preset; correct or remove it.") from None
    except EngineError as error:
        raise EngineError(f"methods: {str(entry)[:60]!r} in {path}: {error}") from None


class PublishedRow(NamedTuple):
    """One row of the published tables. figures: the row's numbers by the columns of published.csv."""

    table: str
    model: str
    steps: int
    config: str
    figures: dict[str, float]

    @property
    def method(self) -> dict[str, Any]:
        """Return the row's method as ``{"name": method, knobs...}``, with all knobs if METHODS has the
        method.

        DBCache gets the rule for runs of cached steps that was in force when the tables were made.
        """
        knobs = read_name(self.config)
        if knobs["name"] in METHODS:
            knobs = method_from(knobs).to_dict()
        return knobs | {"streak_rule": "before"} if knobs["name"] == "dbcache" else knobs


FIGURES = (
    "clip_score",
    "image_reward",
    "psnr",
    "ssim",
    "lpips",
    "latency_s",
    "speedup_latency",
    "tflops",
    "speedup_tflops",
)


@cache
def published_rows() -> tuple[PublishedRow, ...]:
    """Return all rows of presets/published.csv."""
    with PUBLISHED.open(encoding="utf-8", newline="") as file:
        return tuple(
            PublishedRow(
                row["table"],
                row["model"],
                int(row["steps"]),
                row["config"],
                {name: float(row[name]) for name in FIGURES if row[name]},
            )
            for row in csv.DictReader(file)
        )


def published_rows_for(spec: ModelSpec) -> tuple[PublishedRow, ...]:
    """Return the published rows of this model; for a model without a table, those of FLUX.1-dev."""
    model = "Qwen-Image-Lightning" if spec.name.startswith("qwen-image-lightning") else "FLUX.1-dev"
    return tuple(row for row in published_rows() if row.model == model)


Labelled = Iterator[tuple[str, dict[str, Any]]]


def _published(spec: ModelSpec) -> Labelled:
    for row in published_rows_for(spec):
        knobs = row.method
        if knobs["name"] in METHODS:
            yield row.config, knobs
        else:
            yield row.config, {"name": knobs["name"]}  # an unknown method: its row is skipped, with a reason


def _dbcache(
    front: int, warmup: int, threshold: float, limit: int, order: int, *, back: int = 0, interval: int = 1
) -> tuple[str, dict]:
    return f"F{front}B{back}_W{warmup}I{interval}MC{limit}_R{threshold}_O{order}", dict(
        name="dbcache",
        Fn_compute_blocks=front,
        Bn_compute_blocks=back,
        max_warmup_steps=warmup,
        warmup_interval=interval,
        max_continuous_cached_steps=limit,
        residual_diff_threshold=threshold,
        taylorseer_order=order,
    )


def _slow(order: int) -> Callable[[ModelSpec], Labelled]:
    """Make the script's sweep for low ratios: threshold 0.08 without a limit on cached steps, other
    thresholds with limits.
    """

    def sweep(spec: ModelSpec) -> Labelled:
        limits = [(0.08, -1), *product((0.12, 0.16, 0.2), (4, 3, 2)), *product((0.24, 0.32), (6, 4, 3, 2))]
        for (threshold, limit), (front, warmup) in product(limits, ((8, 8), (8, 4), (4, 4), (1, 4))):
            yield _dbcache(front, warmup, threshold, limit, order)

    return sweep


def _fast(spec: ModelSpec) -> Labelled:
    """Make the script's sweep for high ratios: first plain reuse, then forecasts of both orders.

    The change never reaches these thresholds, so the schedules are fixed.
    """
    for order, (warmup, interval), limit in product((0, 1, 2), ((8, 2), (8, 4), (16, 4)), (10, 8)):
        yield _dbcache(1, warmup, 0.8, limit, order, interval=interval)


def _distilled(threshold: float, warmup: int, limit: int) -> Callable[[ModelSpec], Labelled]:
    def sweep(spec: ModelSpec) -> Labelled:
        for front, back in ((8, 8), (12, 12), (16, 16), (24, 24), (16, 0), (24, 0), (32, 0), (48, 0), (1, 0)):
            yield _dbcache(front, warmup, threshold, limit, 0, back=back)

    return sweep


SETS: dict[str, Callable[[ModelSpec], Labelled]] = {
    "published": _published,
    "bench-default": _slow(0),
    "bench-taylorseer": _slow(1),
    "bench-fast": _fast,
    "bench-distill-8": _distilled(0.5, 4, 2),
    "bench-distill-4": _distilled(0.8, 2, 1),
}
