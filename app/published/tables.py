"""The published tables: one entry for each setting, with the baseline that it was compared with.

``presets/published.csv`` holds every row as its source printed it. A setting that occurs in several tables,
under several names, becomes one entry here. cache-dit's page mixes four baselines, and its printed speedups
are ratios of TFLOPs.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

from cache_engine import BASELINE, METHODS, RECIPE_KNOBS, EngineError, format_recipe, method_from, read_name

from ..presets import FOLDER, presets

Row = dict[str, str]  # one line of the CSV file
TABLE = FOLDER / "published.csv"
ROW_OF = {
    "FLUX.1-dev": "flux-dev",
    "Qwen-Image-Lightning": "qwen-image-lightning-4",
}  # maps a printed model name to a row of MODELS
FIGURES = ("image_reward", "clip_score", "psnr", "ssim", "lpips", "tflops", "latency_s")
LIKENESS_FIGURES = ("psnr", "ssim", "lpips")  # these figures compare two pictures, so the baseline has none
SCORES = ("image_reward", "clip_score")  # these figures can be given as a percentage of the baseline's
FAMILIES = {
    "forecast": "DBCache + TaylorSeer",
    "dbcache": "DBCache",
    "other": "Other methods",
    "fewer": "Fewer steps",
    "baseline": "Baselines",
}
OWN_FAMILY = "yours"  # settings of the user's own benchmark: see own_benchmark.py
KNOBS = {letters: RECIPE_KNOBS[letters] for letters in ("F", "B", "W", "MC", "R", "O")}


class ListedBaseline(NamedTuple):
    """A baseline with which rows are compared. ``latency_s``: seconds of the whole pipeline.

    ``tflops``: the value that ratios use. ``printed_tflops``: the value that the page prints.
    """

    title: str
    model: str
    steps: int
    image_reward: float | None
    clip_score: float | None
    tflops: float
    printed_tflops: str
    latency_s: float | None = None
    # latency of the run that belongs to the rows with TaylorSeer
    latency_with_forecast_s: float | None = None
    cards: str = "one NVIDIA L20"


# The other methods' rows are cited from the FoCa paper. Their 50 steps cost 3719.50 TFLOPs as the paper's
# authors count; cache-dit's page prints its own 3726.87 there, which does not fit their printed ratios.
SLOW = ListedBaseline(
    "cache-dit's first run", "FLUX.1-dev", 50, 1.0412, 32.9217, 3726.87, "3726.87", 42.74, 42.92
)
FAST = ListedBaseline(
    "cache-dit's second run", "FLUX.1-dev", 50, 1.0445, 32.9616, 3726.87, "3726.87", 44.61, 44.94
)
CITED = ListedBaseline("the FoCa paper's", "FLUX.1-dev", 50, 0.9898, 32.404, 3719.50, "3726.87")
FOUR_STEPS = ListedBaseline(
    "Lightning, 4 steps", "Qwen-Image-Lightning", 4, 1.2630, 35.5797, 274.33, "274.33", cards="two NVIDIA L20"
)
BASELINES = (SLOW, FAST, CITED, FOUR_STEPS)


class ListedSetting(NamedTuple):
    """One setting of the published tables, or of the user's own benchmark.

    method: the method's name and knobs; empty for a baseline.
    printed: figures and ratios as printed, by column.
    elsewhere: sentences about figures that another table prints differently.
    exact: measured figures, which are used instead of ``printed``.
    about: by title, facts about a benchmark that only its card shows.
    """

    key: str
    name: str
    family: str
    baseline: ListedBaseline
    method: dict[str, Any]
    printed: dict[str, str]
    elsewhere: tuple[str, ...] = ()
    preset: str = ""
    exact: dict[str, float] = {}
    about: dict[str, str] = {}

    def value(self, figure: str) -> float | None:
        """Return a figure as printed or measured, or None if no table prints it."""
        text = self.printed.get(figure)
        return self.exact.get(figure, float(text)) if text else None

    def baseline_value(self, figure: str) -> float | None:
        """Return the same figure of the baseline."""
        if figure == "latency_s" and self.family == "forecast":
            return self.baseline.latency_with_forecast_s
        return getattr(self.baseline, figure, None)

    def relative(self, figure: str) -> float | None:
        """Return a figure relative to the setting's baseline: how many times less compute or time, or the per
        cent of a score. PSNR, SSIM and LPIPS are already comparisons with the baseline and are returned
        unchanged.
        """
        value, base = self.value(figure), self.baseline_value(figure)
        if figure in LIKENESS_FIGURES or value is None:
            return value
        if base is None:
            return None
        if self.is_baseline:
            return 100.0 if figure in SCORES else 1.0
        return 100 * value / base if figure in SCORES else base / value

    def knob(self, letter: str) -> Any:
        """Return a knob's value as a recipe writes it, or None for a method whose knobs have no recipe
        letters.
        """
        value = self.method.get(KNOBS[letter]) if self.method.get("name") == "dbcache" else None
        return 0 if value == -1 else value

    @property
    def is_baseline(self) -> bool:
        return self.method.get("name", "baseline") == "baseline"

    @property
    def why_not_openable(self) -> str:
        """Return why Compare cannot open the setting, as one sentence. Return "" if Compare can open it."""
        if self.is_baseline:
            return "This is the baseline itself. Every comparison runs it."
        if self.method["name"] in METHODS:
            return ""
        return "CacheLens does not have this method, so only its published figures are shown."


@lru_cache
def published_settings() -> tuple[ListedSetting, ...]:
    """Return every setting of the tables, baselines first. The file is read once."""
    with TABLE.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    rows_by_key: dict[str, list[Row]] = {}
    for row in rows:
        if (recipe := _canonical_name(row["config"])) != BASELINE:
            rows_by_key.setdefault(f"{row['model']} {recipe}", []).append(row)
    return (
        *(_baseline_setting(base, rows) for base in BASELINES),
        *(_setting_from_rows(key, same) for key, same in rows_by_key.items()),
    )


def find_setting(key: str, own_settings: Iterable[ListedSetting] = ()) -> ListedSetting | None:
    """Return the setting with this key, published or from the user's own benchmark."""
    return next((setting for setting in (*published_settings(), *own_settings) if setting.key == key), None)


def select_settings(
    model: str,
    families: Iterable[str] = FAMILIES,
    knobs: Mapping[str, Sequence[Any]] | None = None,
    words: str = "",
    own_settings: Iterable[ListedSetting] = (),
) -> list[ListedSetting]:
    """Return the settings that pass all filters.

    model: the name that the tables print.
    knobs: the accepted values for each letter. These values filter DBCache's rows only, because other methods
    do not have these knobs.
    words: parts of the name; all must occur, in any order and case.
    own_settings: settings of any model. The user's own settings come last, so that the chart draws them over
    the others.
    """
    families, wanted_words = set(families), words.lower().split()
    wanted_values = {letter: set(values) for letter, values in (knobs or {}).items() if values}

    def passes(setting: ListedSetting) -> bool:
        text = f"{setting.name} {setting.preset}".lower()
        return (
            setting.family in families
            and all(setting.knob(letter) in {None, *values} for letter, values in wanted_values.items())
            and all(word in text for word in wanted_words)
        )

    of_model = [setting for setting in published_settings() if setting.baseline.model == model]
    return [setting for setting in (*of_model, *own_settings) if passes(setting)]


def knob_values(model: str) -> dict[str, list[Any]]:
    """Return the values that each knob has in a model's tables, the lowest first."""
    settings = [setting for setting in published_settings() if setting.baseline.model == model]
    return {letter: sorted({setting.knob(letter) for setting in settings} - {None}) for letter in KNOBS}


# ---- from rows to settings ----


def _canonical_name(config: str) -> str:
    """Return the recipe for a table's name, or else the name itself, so that equal
    settings have equal names.
    """
    try:
        return format_recipe(method_from(read_name(config)))
    except EngineError:
        return config


def _baseline_setting(base: ListedBaseline, rows: Sequence[Row]) -> ListedSetting:
    figures = {name: getattr(base, name) for name in ("image_reward", "clip_score", "latency_s")}
    printed = {
        name: next(row[name] for row in rows if row[name] and float(row[name]) == value)
        for name, value in figures.items()
        if value is not None
    }
    name = base.title if base is FOUR_STEPS else f"{base.steps} steps, {base.title}"
    return ListedSetting(
        f"baseline {BASELINES.index(base)}",
        f"Baseline: {name}",
        "baseline",
        base,
        {},
        printed | {"tflops": base.printed_tflops},
    )


def _setting_from_rows(key: str, rows: Sequence[Row]) -> ListedSetting:
    config = rows[0]["config"]
    method = read_name(config)
    if method.get(KNOBS["MC"], -1) > 0:
        method |= {"streak_rule": "before"}  # the rule that cache-dit had when the tables were made
    is_recipe = method["name"] == "dbcache"
    printed, elsewhere = _printed_figures(rows)
    return ListedSetting(
        key,
        _canonical_name(config) if is_recipe else config.split(": arxiv")[0],
        _family(method),
        _baseline_of(rows, is_recipe),
        method,
        printed,
        tuple(elsewhere),
        _preset_title(rows) if is_recipe else "",
    )


def _printed_figures(rows: Sequence[Row]) -> tuple[dict[str, str], list[str]]:
    """Return the figures by column, and a sentence for each figure that the summary
    table prints differently.
    """
    printed, elsewhere = dict[str, str](), list[str]()
    detailed_first = sorted(rows, key=lambda row: row["table"].startswith("Text2Image"))
    for row in detailed_first:
        for column in (*FIGURES, "speedup_tflops", "speedup_latency"):
            text, first_text = row[column], printed.setdefault(column, row[column])
            if text and not first_text:
                printed[column] = text
            elif text and abs(float(text) - float(first_text)) > 0.001:
                elsewhere.append(
                    f"The summary table's “{row['config']}” prints {text} for {column.replace('_', ' ')}."
                )
    return printed, elsewhere


def _family(method: Mapping[str, Any]) -> str:
    if method["name"] == "dbcache":
        return "forecast" if method["taylorseer_order"] else "dbcache"
    return "fewer" if method["name"] == "fewer_steps" else "other"


def _baseline_of(rows: Iterable[Row], is_recipe: bool) -> ListedBaseline:
    tables = {row["table"] for row in rows}
    if any("Lightning" in table for table in tables):
        return FOUR_STEPS
    if not is_recipe:
        return CITED
    return FAST if any("(Fast)" in table for table in tables) else SLOW


def _preset_title(rows: Iterable[Row]) -> str:
    names = {row["config"] for row in rows}
    return next(
        (preset.title for preset in presets() if preset.published and names & set(preset.published.configs)),
        "",
    )
