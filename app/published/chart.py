"""Makes the chart of the tab *Published* from its settings."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from ..axes import Axis, around
from ..components.chart import ChartAxis, ChartPoint, ChartValue, MarkShape
from .figures import QUALITIES, SPEEDS, Figure, FigureChoice
from .tables import CITED, FAMILIES, FAST, FOUR_STEPS, OWN_FAMILY, SLOW, ListedSetting

Place = tuple[float, float]
MARKS: Mapping[str, MarkShape] = {
    "forecast": "diamond",
    "dbcache": "ring",
    "other": "triangle",
    "fewer": "cross",
    "baseline": "square",
    OWN_FAMILY: "dot",
}
LEGEND = FAMILIES | {OWN_FAMILY: "Your runs, measured"}
X_NAMES = {
    ("tflops", True): "times less compute, counted",
    ("latency_s", True): "times less time, whole pipeline",
    ("tflops", False): "TFLOPs as printed, fewer to the right",
    ("latency_s", False): "seconds as printed, fewer to the right",
}
ANOTHER_MODEL = "your runs use another model, so they are shown only relative to their own baseline"


def chart(settings: Sequence[ListedSetting], choice: FigureChoice, chosen: str = "") -> ChartValue:
    """Draw the settings that have both figures. A dotted line joins the best published settings at each
    speed.

    Figures as printed share their axes only with settings of the same model. Figures relative to each
    setting's own baseline share them with all settings.
    """
    quality, speed = QUALITIES[choice.quality], SPEEDS[choice.speed]
    excluded = [] if choice.relative else _of_another_model(settings)
    values = {
        setting.key: (x, y)
        for setting in settings
        if setting not in excluded
        and (x := choice.value(setting, choice.speed)) is not None
        and (y := choice.value(setting, choice.quality)) is not None
    }
    title = f"{quality.title} against {_speed_noun(choice)}"
    if not values:
        return {"title": title, "points": [], "empty": _why_empty(len(settings), quality, speed)}
    across = around([x for x, _ in values.values()], log=True, turned=not choice.relative)
    up = around([y for _, y in values.values()], turned=quality.lower_is_better)
    places = {key: (across.place(x), up.place(y)) for key, (x, y) in values.items()}
    shown = [setting for setting in settings if setting.key in values]
    published = [places[setting.key] for setting in shown if setting.family != OWN_FAMILY]
    notes = ["dotted: the best of the published rows shown"] * bool(published)
    return {
        "title": title,
        "chosen": chosen if chosen in values else None,
        "points": [_point(setting, choice, places[setting.key]) for setting in shown],
        "x": _speed_axis(across, choice),
        "y": _quality_axis(up, choice),
        "hint": "lower is better, so this axis is reversed"
        if quality.lower_is_better
        else "higher is better",
        "legend": [
            {"mark": MARKS[family], "text": text}
            for family, text in LEGEND.items()
            if any(setting.family == family for setting in shown)
        ],
        "lines": [{"kind": "best", "points": _best(published)}],
        "note": "; ".join([*notes, *[ANOTHER_MODEL] * bool(excluded)]),
    }


def short_title(preset: str) -> str:
    """Shorten a preset's title for a label."""
    return preset.replace("TaylorSeer", "TS").removeprefix("4 steps, ")


def _of_another_model(settings: Iterable[ListedSetting]) -> list[ListedSetting]:
    """Return the user's settings of models that no published setting has."""
    models = {setting.baseline.model for setting in settings if setting.family != OWN_FAMILY}
    return [setting for setting in settings if models and setting.baseline.model not in models]


def _speed_noun(choice: FigureChoice) -> str:
    return "compute" if choice.speed == "tflops" else "time"


def _why_empty(count: int, quality: Figure, speed: Figure) -> str:
    if not count:
        return "No row passes all filters. Clear the search, or switch off a filter."
    quality_title = quality.title.removesuffix(" as printed")
    return f"None of these {count} rows prints both {quality_title} and {speed.title}."


def _speed_axis(axis: Axis, choice: FigureChoice) -> ChartAxis:
    name = f"{X_NAMES[choice.speed, choice.relative]} (log scale)"
    return axis.drawn(name, "{:g}×" if choice.relative else SPEEDS[choice.speed].text_format, 8)


def _quality_axis(axis: Axis, choice: FigureChoice) -> ChartAxis:
    quality = QUALITIES[choice.quality]
    if choice.relative and quality.relative_format:
        return axis.drawn(f"{quality.title}, % of its own baseline", "{:g} %")
    return axis.drawn(quality.title, quality.text_format)


def _point(setting: ListedSetting, choice: FigureChoice, place: Place) -> ChartPoint:
    noun, speed = _speed_noun(choice), choice.text(setting, choice.speed)
    if choice.relative:
        speed_line = f"{speed} less {noun}"
    else:
        speed_line = f"{speed} {'TFLOPs' if noun == 'compute' else 's'}"
    source = [f"preset {setting.preset}"] * bool(setting.preset)
    if setting.family == OWN_FAMILY:
        source = ["yours, measured", setting.about["Model"]]
    return {
        "id": setting.key,
        "x": place[0],
        "y": place[1],
        "mark": MARKS[setting.family],
        "name": setting.name,
        "lines": [
            *source,
            speed_line,
            f"{QUALITIES[choice.quality].title} {choice.text(setting, choice.quality)}",
        ],
        "label": _label(setting, choice),
        "strong": bool(setting.preset),
    }


def _label(setting: ListedSetting, choice: FigureChoice) -> str:
    """Return the text beside a mark. Recipes get no text, because they are too long."""
    if setting.preset:
        return short_title(setting.preset)
    if setting.family == OWN_FAMILY:
        return setting.name.lower() if setting.is_baseline else ""
    if setting.family == "baseline":
        # these settings lie on the first baseline's mark
        if choice.relative and setting.baseline in (FAST, CITED):
            return ""
        return "baseline" if setting.baseline in (SLOW, FOUR_STEPS) else setting.baseline.title
    if setting.method.get("name") == "dbcache":
        return ""
    return setting.name.split(": ")[-1].replace(",O=2", "")


def _best(places: Iterable[Place]) -> list[list[float]]:
    """Return the points that no other point beats in both figures, from the fastest to the slowest."""
    edge: list[list[float]] = []
    for x, y in sorted(places, reverse=True):
        if not edge or y > edge[-1][1]:
            edge.append([x, y])
    return edge
