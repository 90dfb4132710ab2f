"""A tune as a chart: the cloud of all settings, the frontier with its band, what was measured. Pure."""

from __future__ import annotations

from typing import Any, NamedTuple

from ..axes import Axis, around
from ..components.chart import ChartLegend, ChartLimit, ChartPoint, ChartValue
from ..words import decibels, plural
from .facts import SPREAD, Setting, Snapshot, about, figures, mark, name, per_cent, plain, served, settings

COMPUTE, TIME = "compute", "time"
WHOLE, NEAR = "whole space", "near the goal"
FAR = 5.0  # dB to either side of the goal that "near the goal" shows
APART = 5.0  # of the chart's width: marks of the frontier that are only expected stand no nearer
HIGHEST = 60.0  # dB: beyond, nobody sees a difference, and the axis would hold little else
X_NAMES = {
    COMPUTE: "times less compute, counted (log scale)",
    TIME: "times as fast, the denoise loop (log scale)",
}
RATIO = {COMPUTE: "compute_ratio", TIME: "speedup"}
UNTOLD = (
    "The plain runs of this model do not say how close its settings come: each appears here once it was run."
)
LEGEND: list[ChartLegend] = [
    {"mark": "dot", "text": "measured"},
    {"mark": "expected", "text": "expected, with its band"},
    {"mark": "running", "text": "being run"},
    {"mark": "edge", "text": "on the edge"},
    {"mark": "cross", "text": "plain model, fewer steps"},
]


class Reading(NamedTuple):
    """What the user looks at."""

    speed: str = COMPUTE
    near: bool = False

    def at(self, one: Setting) -> float:
        return figures(one)[RATIO[self.speed]]


def drawn(snapshot: Snapshot | None, reading: Reading, chosen: str = "") -> ChartValue:
    """The cloud of all settings, the frontier with its band, what was measured, and the plain model with
    fewer steps.
    """
    title = "Likeness against " + ("compute" if reading.speed == COMPUTE else "time")
    if snapshot is None or not snapshot["cloud"]:
        doing = (
            "The plain runs come first; then every setting is judged from them, and the frontier appears."
            if snapshot
            else ("Nothing is tuned yet. Say what you want above, and start.")
        )
        return {"title": title, "points": [], "empty": doing}
    goal, every = (
        snapshot["goal"],
        {key: one for key, one in settings(snapshot).items() if figures(one)["psnr_db"] is not None},
    )
    floor = goal["value"] if goal["kind"] == "close" else None
    column = 0 if reading.speed == COMPUTE else 1
    cloud = [(row[column], row[2]) for row in snapshot["cloud"] if row[2] is not None]
    if not every:
        return {"title": title, "points": [], "empty": UNTOLD}
    line = sorted(
        (reading.at(one), one["expected"]["psnr_db"], one["expected"]["spread_db"])
        for one in snapshot["frontier"]
    )
    low, high = _range(
        [y for _, y, _ in line] + [figures(one)["psnr_db"] for one in every.values()],
        floor,
        near=reading.near,
    )
    up = Axis(low, high)
    within = (
        [x for x, y in cloud if low <= y <= high]
        or [x for x, _ in cloud]
        or [reading.at(one) for one in every.values()]
    )
    across = around(within, log=True)

    def inside(x: float, y: float) -> bool:
        return across.low <= x <= across.high and low <= y <= high

    def place(x: float, y: float) -> list[float]:
        return [across.place(x), up.place(min(max(y, low), high))]

    fewer = sorted(
        (reading.at(one), figures(one)["psnr_db"]) for one in snapshot["fewer_steps"] if one["key"] in every
    )
    shown = _thinned(
        [one for one in every.values() if inside(reading.at(one), figures(one)["psnr_db"])],
        reading,
        across,
        snapshot,
        chosen,
    )
    limit: ChartLimit | None = (
        {"y": up.place(floor), "text": f"{floor:g} dB"}
        if floor is not None
        else {
            "x": across.place(min(max(goal["value"], across.low), across.high)),
            "text": f"{goal['value']:g}×",
        }
        if (goal["kind"] == ("fast" if reading.speed == TIME else "cheap"))
        else None
    )
    return {
        "title": title,
        "chosen": chosen,
        "points": [_point(one, snapshot, reading, place) for one in shown],
        "empty": UNTOLD if len(cloud) < len(snapshot["cloud"]) else "",
        "x": across.drawn(X_NAMES[reading.speed], "{:g}×", 8),
        "y": up.drawn(f"PSNR that {per_cent(goal['share'])} of the tuning prompts reach, dB", "{:g}"),
        "hint": "higher is closer to the plain picture",
        "legend": LEGEND,
        "limit": limit,
        "cloud": [place(x, y) for x, y in cloud if inside(x, y)],
        "band": [
            [place(x, y)[0], *(place(x, y + side * SPREAD * spread)[1] for side in (-1, 1))]
            for x, y, spread in line
            if inside(x, y)
        ],
        "lines": [
            {"kind": "expected", "points": [place(x, y) for x, y, _ in line if inside(x, y)]},
            {"kind": "plain", "points": [place(x, y) for x, y in fewer if inside(x, y)]},
        ],
        "note": "dashed: the best that is expected at each " + reading.speed,
    }


def _range(values: list[float], floor: float | None, *, near: bool) -> tuple[float, float]:
    """Of the axis, in dB."""
    if near and floor is not None:
        return floor - FAR, floor + FAR
    known = [min(value, HIGHEST) for value in values] + ([] if floor is None else [floor])
    return max(min(known) - 2, 0), max(known) + 2


def _thinned(
    found: list[Setting], reading: Reading, across: Axis, snapshot: Snapshot, chosen: str
) -> list[Setting]:
    """Measured settings and the chosen one all; of the others one in APART, so that each can be pointed
    at.
    """
    running = (snapshot["running"] or {}).get("key")
    keep = [one for one in found if "measured" in one or one["key"] in (chosen, running)]
    for kind in (False, True):  # the frontier, then the plain model
        last = -APART
        for one in sorted((one for one in found if one not in keep and plain(one) is kind), key=reading.at):
            if across.place(reading.at(one)) >= last + APART:
                last = across.place(reading.at(one))
                keep.append(one)
    return keep


def _point(one: Setting, snapshot: Snapshot, reading: Reading, place: Any) -> ChartPoint:
    known = figures(one)
    x, y = place(reading.at(one), known["psnr_db"])
    best = snapshot["best"] is not None and one["key"] == snapshot["best"]["key"]
    point: ChartPoint = {
        "id": one["key"],
        "x": x,
        "y": y,
        "mark": mark(one, snapshot),
        "name": name(one),
        "lines": _lines(one),
        "label": ("best" if snapshot["stage"] == "done" else "best so far") if best else "",
        "strong": best,
    }
    if "worst_picture" in known:
        point["picture"] = served(known["worst_picture"])
    return point


def _lines(one: Setting) -> list[str]:
    known = figures(one)
    if "measured" in one:
        how = f"{decibels(known['psnr_db'])} reached, measured on {plural(known['prompts'], 'prompt')}"
        how += "" if known["whole"] else "; it missed the goal, so the others were left"
    else:
        how = f"{about(one)} expected"
    return [
        f"{known['compute_ratio']:.2f}× less compute, "
        f"{'' if 'measured' in one else '≈ '}{known['speedup']:.2f}× as fast",
        how,
    ]
