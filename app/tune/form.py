"""Turns the texts and numbers typed on the tab *Tune* into a checked task, and describes the task in words.
Every wrong value becomes an error of one sentence.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from cache_engine import (
    METHODS,
    MODELS,
    USUAL_RANGES,
    EngineError,
    Goal,
    RunRequest,
    SweepTask,
    TuneTask,
    lines_of,
    short_repr,
    tunable_knobs,
)

from ..words import plural

PROMPTS = Path(__file__).resolve().parents[2] / "presets" / "prompts"
GOALS = {"At least this close": "close", "This fast": "fast", "This cheap": "cheap"}
GOAL_FIELDS = {
    "close": ("Minimum PSNR, dB", 30.0),
    "fast": ("Times faster", 2.0),
    "cheap": ("Times less compute", 2.5),
}  # for each goal: the number's label and first value
BUDGETS = {"1 minute": 1.0, "3 minutes": 3.0, "10 minutes": 10.0, "1 hour": 60.0, "overnight, 8 hours": 480.0}
MOST_SETTINGS = 500  # number of settings that a tune may run; usually the time budget ends it earlier
AXES = (
    ("residual_diff_threshold", "0.1..0.3 /3"),
    ("Fn_compute_blocks", "1, 2, 4"),
    ("", ""),
)  # knobs and values with which a sweep starts
# Methods that remember one residual: a survey can estimate their quality.
TUNABLE = ("dbcache", "magcache", "teacache", "spectrum", "kriging")
SPAN_STEPS = 8  # number of knob steps that a method's first range covers
MOST_RANGES = 3  # number of knobs for which a method gets a first range


class TuneFields(NamedTuple):
    """The fields of a tune. ``share``: per cent of the prompts. ``prompts``, ``acceptance``: one prompt a
    line.
    """

    goal: str
    value: Any
    share: Any
    methods: Sequence[str]
    vary: Any
    fewer_steps: bool
    prompts: Any
    acceptance: Any


@lru_cache
def example_prompts(model: str, kind: str = "") -> str:
    """Return the prompts that come with CacheLens, one a line: the model's own prompts, or those for any
    model.

    kind: "" for tuning prompts, "-acceptance" for acceptance prompts.
    """
    own = PROMPTS / f"{model}{kind}.txt"
    return (own if own.is_file() else PROMPTS / f"any{kind}.txt").read_text(encoding="utf-8").strip()


def text_lines(text: Any) -> tuple[str, ...]:
    """Split a text into lines, and drop empty lines."""
    return tuple(lines_of(str(text or "")))


# ---- ranges ----


def default_ranges(methods: Sequence[str], text: str = "") -> str:
    """Write first ranges for the methods, one knob a line. Ranges in ``text`` that still fit stay.

    If there are several methods, each gets a heading.
    """
    try:
        typed = parse_ranges(text, methods)
    except EngineError:
        typed = {}
    sections = {}
    for method in methods:
        ranges = typed.get(method, {})
        if not ranges or not ranges.keys() <= tunable_knobs(method).keys():
            ranges = _first_ranges(method)
        sections[method] = "\n".join(f"{name} = {values}" for name, values in ranges.items())
    if len(sections) == 1:
        return sections[methods[0]]
    return "\n\n".join(f"[{method}]\n{lines}" for method, lines in sections.items())


def _first_ranges(method: str) -> dict[str, str]:
    """Return DBCache's usual ranges; for other methods, return five values between the
    ends of each number.
    """
    if method == "dbcache":
        return dict(USUAL_RANGES)
    ranges = {}
    for knob in METHODS[method].knobs():
        if knob.type in ("int", "float") and knob.low is not None:
            high = knob.low + SPAN_STEPS * (knob.step or 0.05)
            ranges[knob.name] = f"{knob.low:g}..{high if knob.high is None else min(knob.high, high):g} /5"
    return dict(list(ranges.items())[:MOST_RANGES])


def parse_ranges(text: Any, methods: Sequence[str]) -> dict[str, dict[str, str]]:
    """Read lines of ``knob = values`` under ``[method]`` headings. Lines above the first heading belong to
    the first of ``methods``. Raises EngineError.
    """
    if not methods:
        raise EngineError("methods: no method is chosen; choose one or more.")
    ranges: dict[str, dict[str, str]] = {}
    method = methods[0]
    for line in text_lines(text):
        if line.startswith("[") and line.endswith("]"):
            method = METHODS[line[1:-1].strip()].name  # METHODS raises an error for an unknown name
            continue
        name, sign, values = (part.strip() for part in line.partition("="))
        if not sign or not name or not values:
            raise EngineError(
                f"may vary: {short_repr(line)} cannot be read; write a knob's name, =, and its values, "
                "such as max_warmup_steps = 2, 4."
            )
        ranges.setdefault(method, {})[name] = values
    if not ranges:
        raise EngineError(
            "may vary: no knob is named; write a line such as residual_diff_threshold = 0.04..0.36 /9."
        )
    return ranges


# ---- tasks ----


def tune_task(request: RunRequest, fields: TuneFields) -> TuneTask:
    """Make the task of a tune. Raises EngineError."""
    prompts, acceptance = text_lines(fields.prompts), text_lines(fields.acceptance)
    if not prompts:
        raise EngineError("tuning prompts: missing; write one prompt a line.")
    if both := set(prompts) & set(acceptance):
        raise EngineError(
            f"acceptance prompts: {short_repr(min(both))} is also a tuning prompt; use other prompts for "
            "acceptance."
        )
    value, share = _as_float(fields.value), _share(fields.share)
    goal = Goal(kind=GOALS[fields.goal], value=value, share=share)  # pyright: ignore[reportArgumentType]
    return TuneTask(
        request=request.replaced(prompt=prompts[0]),
        prompts=prompts,
        acceptance=acceptance,
        goal=goal,
        vary=parse_ranges(fields.vary, fields.methods),
        fewer_steps=fields.fewer_steps,
        most=MOST_SETTINGS,
    )


def _as_float(value: Any) -> Any:
    """Return whole numbers as floats. The class Goal refuses any other value with its own sentence."""
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _share(per_cent: Any) -> float:
    if not isinstance(per_cent, int | float) or not 1 <= per_cent <= 100:
        raise EngineError(f"prompts to pass: {short_repr(per_cent)} is not valid; choose 1 to 100 %.")
    return per_cent / 100


def sweep_task(request: RunRequest, method: Mapping[str, Any], axes: Sequence[tuple[Any, Any]]) -> SweepTask:
    """Make the task of a sweep. Raises EngineError.

    method: name and knobs as set on Compare; the axes replace some of the knobs.
    axes: pairs of a knob's name and the text of its values.
    """
    knobs = {name: value for name, value in method.items() if name != "name"}
    filled = tuple((str(name), str(text)) for name, text in axes if name and str(text or "").strip())
    if len(filled) < 2:
        raise EngineError(
            "axes: a sweep needs two axes; choose a knob for each and give it values, such as "
            "0.04..0.20 /5 or 1, 4, 8."
        )
    return SweepTask(request=request, method=method["name"], knobs=knobs, axes=filled)


def count_settings(task: TuneTask | SweepTask) -> int:
    """Count the settings of a task. Raises EngineError for ranges that cannot be read, that no model accepts,
    or that have too many settings.
    """
    if isinstance(task, TuneTask):
        return len(task.settings)
    return sum(cell.method is not None for cell in task.cells)


# ---- words ----


def tune_title(task: TuneTask) -> str:
    """Return the title of a tune in the list of jobs."""
    value = f"{task.goal.value:g}"
    goal = {"close": f"{value} dB", "fast": f"{value}× faster", "cheap": f"{value}× less compute"}
    return f"Tune, {goal[task.goal.kind]}: {MODELS[task.request.model].title}"


def sweep_title(task: SweepTask) -> str:
    """Return the title of a sweep in the list of jobs."""
    knobs = " × ".join(name.replace("_", " ") for name, _ in task.axes)
    return f"Sweep, {knobs}: {MODELS[task.request.model].title}"


def request_words(request: RunRequest) -> str:
    """Return a phrase that says which request a task uses."""
    size = f"{request.width} × {request.height}, {plural(request.steps or 0, 'step')}"
    return f"{MODELS[request.model].title}, {size}, seed {request.seed}: as set on Compare"
