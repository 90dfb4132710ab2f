"""The published tables: one entry a setting, each with the baseline that it was measured against. Pure.

``presets/published.csv`` holds every row as its source printed it. A setting that stands in several tables,
under several names, becomes one entry here. cache-dit's page mixes four baselines, and its printed speedups
are ratios of TFLOPs.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable
from functools import lru_cache
from typing import Any, NamedTuple

from cache_engine import BASELINE, METHODS, EngineError, format_recipe, method_from, read_name

from ..presets import FOLDER, presets

TABLE = FOLDER / "published.csv"
ROW_OF = {
    "FLUX.1-dev": "flux-dev",
    "Qwen-Image-Lightning": "qwen-image-lightning-4",
}  # model as printed -> row of MODELS
FIGURES = ("image_reward", "clip_score", "psnr", "ssim", "lpips", "tflops", "latency_s")
AGAINST_BASELINE = (
    "image_reward",
    "clip_score",
)  # a share of the baseline's; the likeness of pictures has no such share
FAMILIES = {
    "forecast": "DBCache + TaylorSeer",
    "dbcache": "DBCache",
    "other": "Other methods",
    "fewer": "Fewer steps",
    "baseline": "Baselines",
}
YOURS = "yours"  # the family of what the user measured: app.published.benchmark
KNOBS = {
    "F": "Fn_compute_blocks",
    "B": "Bn_compute_blocks",
    "W": "max_warmup_steps",
    "MC": "max_continuous_cached_steps",
    "R": "residual_diff_threshold",
    "O": "taylorseer_order",
}


class Baseline(NamedTuple):
    """One of the sets that the tables mix. ``tflops`` is what its ratios are taken to; seconds of the whole
    pipeline.
    """

    title: str
    model: str
    steps: int
    image_reward: float | None
    clip_score: float | None
    tflops: float
    printed_tflops: str
    latency_s: float | None = None
    latency_with_forecast_s: float | None = None  # of the runs that stand beside the rows with TaylorSeer
    cards: str = "one NVIDIA L20"


# The other methods' rows are cited from the FoCa paper, whose 50 steps cost 3719.50 in the unit of its
# authors; the page prints cache-dit's own 3726.87 there, to which their printed ratios do not fit.
SLOW = Baseline("cache-dit's first run", "FLUX.1-dev", 50, 1.0412, 32.9217, 3726.87, "3726.87", 42.74, 42.92)
FAST = Baseline("cache-dit's second run", "FLUX.1-dev", 50, 1.0445, 32.9616, 3726.87, "3726.87", 44.61, 44.94)
CITED = Baseline("the FoCa paper's", "FLUX.1-dev", 50, 0.9898, 32.404, 3719.50, "3726.87")
FOUR_STEPS = Baseline(
    "Lightning, 4 steps", "Qwen-Image-Lightning", 4, 1.2630, 35.5797, 274.33, "274.33", cards="two NVIDIA L20"
)
BASELINES = (SLOW, FAST, CITED, FOUR_STEPS)


class Entry(NamedTuple):
    """One setting of the tables, or of the user's own benchmark.

    printed: figures and ratios as printed, by column.  method: its name and knobs, empty for a baseline.
    elsewhere: sentences on a figure that another table prints otherwise.  exact: figures that were measured,
    not read. about: facts of a benchmark that only its card shows, title -> text.
    """

    key: str
    name: str
    family: str
    base: Baseline
    method: dict[str, Any]
    printed: dict[str, str]
    elsewhere: tuple[str, ...] = ()
    preset: str = ""
    exact: dict[str, float] = {}
    about: dict[str, str] = {}

    def value(self, figure: str) -> float | None:
        """As printed or measured; None where no table prints it."""
        text = self.printed.get(figure)
        return self.exact.get(figure, float(text)) if text else None

    def baseline(self, figure: str) -> float | None:
        if figure == "latency_s" and self.family == "forecast":
            return self.base.latency_with_forecast_s
        return getattr(self.base, figure, None)

    def own(self, figure: str) -> float | None:
        """Against its own baseline: times less compute or time, per cent of a score; likeness as it is."""
        value, base = self.value(figure), self.baseline(figure)
        if figure in ("psnr", "ssim", "lpips") or value is None:
            return value
        if base is None:
            return None
        if self.is_baseline:
            return 100.0 if figure in AGAINST_BASELINE else 1.0
        return 100 * value / base if figure in AGAINST_BASELINE else base / value

    def knob(self, letter: str) -> Any:
        """A knob's value as a recipe writes it; None for a method that has no such knob."""
        value = self.method.get(KNOBS[letter]) if self.method.get("name") == "dbcache" else None
        return 0 if value == -1 else value

    @property
    def is_baseline(self) -> bool:
        return self.method.get("name", "baseline") == "baseline"

    @property
    def refused(self) -> str:
        """Why it cannot be opened in Compare: one sentence, or nothing."""
        if self.is_baseline:
            return "This is the baseline itself: every comparison runs it."
        return (
            ""
            if self.method["name"] in METHODS
            else "This engine has no such method: the figures are all there is of it here."
        )


@lru_cache
def entries() -> tuple[Entry, ...]:
    """Every setting of the tables, baselines first. Read once."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    found: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        if (key := _key(row["config"])) != BASELINE:
            found.setdefault(f"{row['model']} {key}", []).append(row)
    return (
        *(_baseline(base, rows) for base in BASELINES),
        *(_entry(key, same) for key, same in found.items()),
    )


def entry(key: str, yours: Iterable[Entry] = ()) -> Entry | None:
    return next((one for one in (*entries(), *yours) if one.key == key), None)


def _key(config: str) -> str:
    """One text for one setting, whatever a table calls it."""
    setting = read_name(config)
    try:
        return format_recipe(method_from(setting))
    except EngineError:
        return config


def _baseline(base: Baseline, rows: list[dict[str, str]]) -> Entry:
    known = {figure: getattr(base, figure) for figure in ("image_reward", "clip_score", "latency_s")}
    printed = {
        figure: next(row[figure] for row in rows if row[figure] and float(row[figure]) == value)
        for figure, value in known.items()
        if value is not None
    }
    name = base.title if base is FOUR_STEPS else f"{base.steps} steps, {base.title}"
    return Entry(
        f"baseline {BASELINES.index(base)}",
        f"Baseline: {name}",
        "baseline",
        base,
        {},
        printed | {"tflops": base.printed_tflops},
    )


def _entry(key: str, rows: list[dict[str, str]]) -> Entry:
    detailed = sorted(
        rows, key=lambda row: row["table"].startswith("Text2Image")
    )  # the summary repeats what details print
    printed, elsewhere = dict[str, str](), list[str]()
    for row in detailed:
        for column in (*FIGURES, "speedup_tflops", "speedup_latency"):
            text, known = row[column], printed.setdefault(column, row[column])
            if text and not known:
                printed[column] = text
            elif text and abs(float(text) - float(known)) > 0.001:
                elsewhere.append(
                    f"The summary table's “{row['config']}” prints {text} for {column.replace('_', ' ')}."
                )
    method = read_name(rows[0]["config"])
    method |= {"streak_rule": "before"} if method.get(KNOBS["MC"], -1) > 0 else {}  # the rule of that time
    recipe = method["name"] == "dbcache"
    name = _key(rows[0]["config"]) if recipe else rows[0]["config"].split(": arxiv")[0]
    return Entry(
        key,
        name,
        _family(method),
        _base(rows, recipe),
        method,
        printed,
        tuple(elsewhere),
        _preset(rows) if recipe else "",
    )


def _family(method: dict[str, Any]) -> str:
    if method["name"] == "dbcache":
        return "forecast" if method["taylorseer_order"] else "dbcache"
    return "fewer" if method["name"] == "fewer_steps" else "other"


def _base(rows: Iterable[dict[str, str]], recipe: bool) -> Baseline:
    tables = {row["table"] for row in rows}
    if any("Lightning" in table for table in tables):
        return FOUR_STEPS
    if not recipe:
        return CITED
    return FAST if any("(Fast)" in table for table in tables) else SLOW


def _preset(rows: Iterable[dict[str, str]]) -> str:
    names = {row["config"] for row in rows}
    return next((one.title for one in presets() if one.published and names & set(one.published.configs)), "")


def matching(
    model: str,
    families: Iterable[str] = FAMILIES,
    knobs: dict[str, list[Any]] | None = None,
    find: str = "",
    yours: Iterable[Entry] = (),
) -> list[Entry]:
    """The entries that pass all filters. ``yours``, of whatever model, come last: they are drawn over the
    others.

    model: as the tables print it.  knobs: letter -> values to keep; they narrow DBCache's rows, other methods
    have none of them.  find: words that a name must contain, in any order and case.
    """
    families, words = set(families), find.lower().split()
    narrowed = {letter: set(values) for letter, values in (knobs or {}).items() if values}
    return [
        one
        for one in (*(one for one in entries() if one.base.model == model), *yours)
        if one.family in families
        and all(one.knob(letter) is None or one.knob(letter) in values for letter, values in narrowed.items())
        and all(word in f"{one.name} {one.preset}".lower() for word in words)
    ]


def knob_values(model: str) -> dict[str, list[Any]]:
    """Which values of each knob the tables of a model hold, lowest first."""
    own = [one for one in entries() if one.base.model == model]
    return {letter: sorted({one.knob(letter) for one in own} - {None}) for letter in KNOBS}
