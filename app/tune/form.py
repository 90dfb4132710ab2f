"""What is typed on tab *Tune* -> a checked task, and its words. Every bad value becomes one sentence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from cache_engine import (
    METHODS,
    MODELS,
    USUAL_RANGES,
    EngineError,
    Goal,
    RunRequest,
    SweepTask,
    TuneTask,
    tunable_knobs,
)

from ..words import plural

PROMPTS = Path(__file__).resolve().parents[2] / "presets" / "prompts"
GOALS = {"At least this close": "close", "This fast": "fast", "This cheap": "cheap"}
WISHES = {"close": ("Floor, dB", 30.0), "fast": ("Times as fast", 2.0), "cheap": ("Times less compute", 2.5)}
BUDGETS = {"1 minute": 1.0, "3 minutes": 3.0, "10 minutes": 10.0, "1 hour": 60.0, "overnight, 8 hours": 480.0}
MOST = 500  # settings to verify: the time budget ends the search before
AXES = (
    ("residual_diff_threshold", "0.1..0.3 /3"),
    ("Fn_compute_blocks", "1, 2, 4"),
    ("", ""),
)  # what a sweep begins with
TUNABLE = (
    "dbcache",
    "magcache",
    "teacache",
    "spectrum",
    "kriging",
)  # methods of one residual: surveys know how close those come


@lru_cache
def shipped(model: str, kind: str = "") -> str:
    """The prompts that come with the code, one a line: the model's own, or those that suit any. ``kind``: ""
    to tune, "-acceptance".
    """
    own = PROMPTS / f"{model}{kind}.txt"
    return (own if own.is_file() else PROMPTS / f"any{kind}.txt").read_text(encoding="utf-8").strip()


def lines(text: Any) -> tuple[str, ...]:
    return tuple(line.strip() for line in str(text or "").splitlines() if line.strip())


def usual_ranges(methods: Sequence[str], text: str = "") -> str:
    """Ranges to begin with, a knob a line, each method's under its name if there are several; what ``text``
    has of one of them is kept.
    """
    try:
        kept = {
            method: texts
            for method, texts in ranges(text, methods).items()
            if texts.keys() <= tunable_knobs(method).keys()
        }
    except EngineError:
        kept = {}
    parts = {
        method: "\n".join(
            f"{name} = {values}" for name, values in (kept.get(method) or _usual(method)).items()
        )
        for method in methods
    }
    return (
        parts[methods[0]]
        if len(parts) == 1
        else "\n\n".join(f"[{method}]\n{part}" for method, part in parts.items())
    )


def _usual(method: str) -> dict[str, str]:
    """For methods other than DBCache their numbers' whole bounds, in five values."""
    if method == "dbcache":
        return dict(USUAL_RANGES)
    found = {}
    for knob in METHODS[method].knobs():
        if knob.type in ("int", "float") and knob.low is not None:
            high = knob.low + 8 * (knob.step or 0.05)
            found[knob.name] = f"{knob.low:g}..{high if knob.high is None else min(knob.high, high):g} /5"
    return dict(list(found.items())[:3])


def ranges(text: Any, methods: Sequence[str]) -> dict[str, dict[str, str]]:
    """By method, its knobs' values: ``knob = values``, a line each, under ``[method]``; what stands above any
    belongs to the first of ``methods``. Raises EngineError.
    """
    if not methods:
        raise EngineError("methods: none is chosen; choose one or more.")
    found: dict[str, dict[str, str]] = {}
    method = methods[0]
    for line in lines(text):
        if line.startswith("[") and line.endswith("]"):
            method = METHODS[line[1:-1].strip()].name  # an unknown one is refused
            continue
        name, sign, values = (part.strip() for part in line.partition("="))
        if not sign or not name or not values:
            raise EngineError(
                f"may vary: {line!r} cannot be read; write a knob's name, =, and its values, such as "
                "max_warmup_steps = 2, 4."
            )
        found.setdefault(method, {})[name] = values
    if not found:
        raise EngineError(
            "may vary: no knob is named; write a line such as residual_diff_threshold = 0.04..0.36 /9."
        )
    return found


def tune_task(
    request: RunRequest,
    *,
    goal: str,
    value: Any,
    share: Any,
    methods: Sequence[str],
    vary: Any,
    fewer_steps: bool,
    prompts: Any,
    acceptance: Any,
) -> TuneTask:
    """Raises EngineError. ``share``: per cent."""
    wanted = lines(prompts)
    if not wanted:
        raise EngineError("tuning prompts: there are none; write one a line.")
    known = lines(acceptance)
    if both := set(wanted) & set(known):
        raise EngineError(
            f"acceptance prompts: {min(both)!r} is a tuning prompt too; acceptance has to be on others."
        )
    asked = Goal(kind=GOALS[goal], value=_number(value), share=_per_cent(share))  # pyright: ignore[reportArgumentType]
    return TuneTask(
        request=request.replaced(prompt=wanted[0]),
        prompts=wanted,
        acceptance=known,
        goal=asked,
        vary=ranges(vary, methods),
        fewer_steps=fewer_steps,
        most=MOST,
    )


def _number(value: Any) -> Any:
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _per_cent(share: Any) -> float:
    if not isinstance(share, int | float) or not 1 <= share <= 100:
        raise EngineError(f"held by: {share!r} is not valid; choose 1 to 100 % of the prompts.")
    return share / 100


def sweep_task(
    request: RunRequest, described: Mapping[str, Any], axes: Sequence[tuple[Any, Any]]
) -> SweepTask:
    """``described``: the method and its other knobs, as on Compare. Raises EngineError."""
    knobs = {name: value for name, value in described.items() if name != "name"}
    given = tuple((str(name), str(text)) for name, text in axes if name and str(text or "").strip())
    if len(given) < 2:
        raise EngineError(
            "axes: a sweep needs two; choose a knob and give it values, such as 0.04..0.20 /5 or 1, 4, 8."
        )
    return SweepTask(request=request, method=described["name"], knobs=knobs, axes=given)


def count(task: TuneTask | SweepTask) -> int:
    """How many settings that are. Raises EngineError for ranges that cannot be read, fit nowhere or hold too
    much.
    """
    return (
        len(task.settings)
        if isinstance(task, TuneTask)
        else sum(cell.method is not None for cell in task.cells)
    )


def goal_words(task: TuneTask) -> str:
    value = task.goal.value
    return {"close": f"{value:g} dB", "fast": f"{value:g}× as fast", "cheap": f"{value:g}× less compute"}[
        task.goal.kind
    ]


def tune_title(task: TuneTask) -> str:
    return f"Tune, {goal_words(task)}: {MODELS[task.request.model].title}"


def sweep_title(task: SweepTask) -> str:
    return (
        f"Sweep, {' × '.join(name.replace('_', ' ') for name, _ in task.axes)}: "
        f"{MODELS[task.request.model].title}"
    )


def request_words(request: RunRequest) -> str:
    return (
        f"{MODELS[request.model].title}, {request.width} × {request.height}, "
        f"{plural(request.steps or 0, 'step')}, "
        f"seed {request.seed}: as set on Compare"
    )
