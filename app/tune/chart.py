"""Draws a tune as a chart: all settings as a cloud, the frontier with its band, and the measured settings."""

from __future__ import annotations

from typing import NamedTuple

from ..axes import Axis, around
from ..components.chart import ChartLegend, ChartLimit, ChartLine, ChartPoint, ChartValue
from ..pictures import picture_url
from ..words import decibels, plural, speed_text
from .snapshot import (
    SPREAD,
    TunedSetting,
    TuneGoal,
    TuneSnapshot,
    about_sign,
    expected_psnr,
    figures_of,
    is_best,
    is_plain_model,
    mark_of,
    per_cent,
    setting_name,
    settings_by_key,
    worst_pictures,
)

COMPUTE, TIME = "compute", "time"
WHOLE, NEAR = "whole space", "near the goal"
NEAR_DB = 5.0  # dB to either side of the goal that the view "near the goal" shows
HIGHEST_DB = 60.0  # dB: above this, no difference is visible, and the axis would show little else
# smallest distance between two marks of estimated settings, in hundredths of the chart's width
MARK_DISTANCE = 5.0
X_NAMES = {
    COMPUTE: "times less compute, counted (log scale)",
    TIME: "times faster, denoising loop (log scale)",
}
NO_PREDICTION = "This model's baseline runs do not predict quality. A setting appears here once it has run."
NO_TUNE = "No tune yet. Set a goal above, and press Start."
IN_PREPARATION = (
    "The baseline runs come first. Then every setting is estimated from them, and the frontier appears."
)
LEGEND: list[ChartLegend] = [
    {"mark": "dot", "text": "measured"},
    {"mark": "expected", "text": "expected, with its band"},
    {"mark": "running", "text": "being run"},
    {"mark": "edge", "text": "on the edge"},
    {"mark": "cross", "text": "plain model, fewer steps"},
]


class FrontierChoice(NamedTuple):
    """The user's choice of view: PSNR against compute or against time, and the whole space or the part near
    the goal.
    """

    speed: str = COMPUTE
    near: bool = False

    def ratio(self, setting: TunedSetting) -> float:
        """Return how many times less compute, or less time, a setting takes."""
        figures = figures_of(setting)
        return figures["compute_ratio"] if self.speed == COMPUTE else figures["speedup"]


class Plane(NamedTuple):
    """The chart's two axes. Settings beyond the ends of the axes are not drawn."""

    across: Axis
    up: Axis

    def contains(self, x: float, y: float) -> bool:
        return self.across.low <= x <= self.across.high and self.up.low <= y <= self.up.high

    def place(self, x: float, y: float) -> list[float]:
        return [self.across.place(x), self.height(y)]

    def height(self, y: float) -> float:
        """Return the place of a PSNR. A PSNR beyond the axis gets the place of the nearer end."""
        return self.up.place(min(max(y, self.up.low), self.up.high))

    def line(self, points: list[tuple[float, float]]) -> list[list[float]]:
        return [self.place(x, y) for x, y in points if self.contains(x, y)]


def chart(snapshot: TuneSnapshot | None, choice: FrontierChoice, chosen: str = "") -> ChartValue:
    """Draw a tune. ``chosen``: key of the setting that is marked."""
    title = f"Likeness against {choice.speed}"
    if snapshot is None or not snapshot["cloud"]:
        return {"title": title, "points": [], "empty": IN_PREPARATION if snapshot else NO_TUNE}
    settings = {
        key: setting
        for key, setting in settings_by_key(snapshot).items()
        if figures_of(setting)["psnr_db"] is not None
    }
    if not settings:
        return {"title": title, "points": [], "empty": NO_PREDICTION}
    goal = snapshot["goal"]
    cloud = [
        (compute_ratio if choice.speed == COMPUTE else speedup, psnr_db)
        for compute_ratio, speedup, psnr_db in snapshot["cloud"]
        if psnr_db is not None
    ]
    plane = _plane(list(settings.values()), cloud, goal, choice)
    shown = [
        setting for setting in settings.values() if plane.contains(choice.ratio(setting), _psnr(setting))
    ]
    return {
        "title": title,
        "chosen": chosen,
        "points": [
            _point(setting, snapshot, choice, plane)
            for setting in _spaced(shown, choice, plane, _always_shown(snapshot, chosen))
        ],
        "empty": NO_PREDICTION if len(cloud) < len(snapshot["cloud"]) else "",
        "x": plane.across.drawn(X_NAMES[choice.speed], "{:g}×", 8),
        "y": plane.up.drawn(f"PSNR that {per_cent(goal['share'])} of the tuning prompts reach, dB", "{:g}"),
        "hint": "higher is closer to the baseline",
        "legend": LEGEND,
        "limit": _limit(goal, choice, plane),
        "cloud": plane.line(cloud),
        "band": _band(snapshot, choice, plane),
        "lines": _lines(snapshot, choice, plane, settings),
        "note": f"dashed: the best expected at each {choice.speed}",
    }


def _psnr(setting: TunedSetting) -> float:
    """Return the PSNR of a setting that has one."""
    psnr_db = figures_of(setting)["psnr_db"]
    assert psnr_db is not None, "settings without an estimate are not drawn"
    return psnr_db


def _floor(goal: TuneGoal) -> float | None:
    return goal["value"] if goal["kind"] == "close" else None


def _plane(
    settings: list[TunedSetting],
    cloud: list[tuple[float, float]],
    goal: TuneGoal,
    choice: FrontierChoice,
) -> Plane:
    low, high = _psnr_range([_psnr(setting) for setting in settings], _floor(goal), near=choice.near)
    ratios = (
        [x for x, y in cloud if low <= y <= high]
        or [x for x, _ in cloud]
        or [choice.ratio(setting) for setting in settings]
    )
    return Plane(around(ratios, log=True), Axis(low, high))


def _psnr_range(values: list[float], floor: float | None, *, near: bool) -> tuple[float, float]:
    """Return the ends of the PSNR axis."""
    if near and floor is not None:
        return floor - NEAR_DB, floor + NEAR_DB
    shown = [min(value, HIGHEST_DB) for value in values] + ([] if floor is None else [floor])
    return max(min(shown) - 2, 0), max(shown) + 2


def _limit(goal: TuneGoal, choice: FrontierChoice, plane: Plane) -> ChartLimit | None:
    """Draw the goal as a line, if it belongs to one of the two axes."""
    value = goal["value"]
    if goal["kind"] == "close":
        return {"y": plane.up.place(value), "text": f"{value:g} dB"}
    if goal["kind"] != ("fast" if choice.speed == TIME else "cheap"):
        return None
    x = min(max(value, plane.across.low), plane.across.high)
    return {"x": plane.across.place(x), "text": f"{value:g}×"}


def _expected_frontier(snapshot: TuneSnapshot, choice: FrontierChoice) -> list[tuple[float, float, float]]:
    """Return ratio, expected PSNR and its spread for each setting of the frontier."""
    expected = [(choice.ratio(setting), setting["expected"]) for setting in snapshot["frontier"]]
    return sorted(
        (ratio, figures["psnr_db"], figures["spread_db"])
        for ratio, figures in expected
        if figures["psnr_db"] is not None and figures["spread_db"] is not None
    )


def _band(snapshot: TuneSnapshot, choice: FrontierChoice, plane: Plane) -> list[list[float]]:
    return [
        [plane.across.place(x), plane.height(y - SPREAD * spread), plane.height(y + SPREAD * spread)]
        for x, y, spread in _expected_frontier(snapshot, choice)
        if plane.contains(x, y)
    ]


def _lines(
    snapshot: TuneSnapshot, choice: FrontierChoice, plane: Plane, settings: dict[str, TunedSetting]
) -> list[ChartLine]:
    """Draw a line through the frontier's expected figures, and a line through the plain model's with fewer
    steps.
    """
    frontier = [(x, y) for x, y, _ in _expected_frontier(snapshot, choice)]
    fewer = [setting for setting in snapshot["fewer_steps"] if setting["key"] in settings]
    plain = sorted((choice.ratio(setting), _psnr(setting)) for setting in fewer)
    return [
        {"kind": "expected", "points": plane.line(frontier)},
        {"kind": "plain", "points": plane.line(plain)},
    ]


def _always_shown(snapshot: TuneSnapshot, chosen: str) -> set[str]:
    running = snapshot["running"]
    return {chosen, running["key"]} if running else {chosen}


def _spaced(
    settings: list[TunedSetting], choice: FrontierChoice, plane: Plane, always: set[str]
) -> list[TunedSetting]:
    """Return the settings that get a mark: all measured settings, those in ``always``, and others that keep a
    distance to their neighbour, so that a pointer can hit each.

    The distance is kept between settings with a cache, and apart from that between those of the plain model.
    """
    kept = [setting for setting in settings if "measured" in setting or setting["key"] in always]
    others = [setting for setting in settings if setting not in kept]
    for is_plain in (False, True):
        last = -MARK_DISTANCE
        line = [setting for setting in others if is_plain_model(setting) is is_plain]
        for setting in sorted(line, key=choice.ratio):
            x = plane.across.place(choice.ratio(setting))
            if x >= last + MARK_DISTANCE:
                last = x
                kept.append(setting)
    return kept


def _point(setting: TunedSetting, snapshot: TuneSnapshot, choice: FrontierChoice, plane: Plane) -> ChartPoint:
    x, y = plane.place(choice.ratio(setting), _psnr(setting))
    best = is_best(setting, snapshot)
    point: ChartPoint = {
        "id": setting["key"],
        "x": x,
        "y": y,
        "mark": mark_of(setting, snapshot),
        "name": setting_name(setting),
        "lines": _point_lines(setting),
        "label": ("best" if snapshot["stage"] == "done" else "best so far") if best else "",
        "strong": best,
    }
    if picture := worst_pictures(setting)[1]:
        point["picture"] = picture_url(picture)
    return point


def _point_lines(setting: TunedSetting) -> list[str]:
    figures = figures_of(setting)
    speed = (
        f"{figures['compute_ratio']:.2f}× less compute, {about_sign(setting)}{speed_text(figures['speedup'])}"
    )
    if "measured" not in setting:
        return [speed, f"{expected_psnr(setting)} expected"]
    measured = setting["measured"]
    reached = f"{decibels(measured['psnr_db'])} reached, measured on {plural(measured['prompts'], 'prompt')}"
    return [
        speed,
        reached
        if measured["whole"]
        else f"{reached}; the setting missed the goal, so the other prompts were not run",
    ]
