"""The state of a tune in the form in which the engine writes it (``tune_json``), and
functions that read it.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from ..components.chart import MarkShape
from ..words import plural

NO_ESTIMATE = "no estimate"  # shown if no survey predicts the quality and no run has measured it
SPREAD = 1.645  # number of standard deviations to either side that hold nine of ten runs


class ExpectedFigures(TypedDict):
    """Estimates from the baseline runs. Both dB values are None if the model's surveys give no estimate."""

    compute_ratio: float
    speedup: float
    psnr_db: float | None
    spread_db: float | None


class PromptFigures(TypedDict):
    """Means over ``prompts``, and the spread of their PSNR. With 0 prompts, the other figures are missing."""

    prompts: int
    seconds: float
    compute_ratio: float
    speedup: float
    percentile_5_db: float
    worst_db: float
    worst_prompt: str
    worst_picture: str
    worst_baseline: str
    share_above: float | None  # share of the prompts at or above the floor; None if the goal has no floor
    psnr_db_each: list[float]


class MeasuredFigures(PromptFigures):
    """Figures on the tuning prompts. ``psnr_db``: the PSNR that the goal's share of the prompts reaches.
    ``whole``: True if all prompts were run.
    """

    psnr_db: float
    whole: bool


class Neighbour(TypedDict):
    """A setting that differs by one step of one knob, and its PSNR."""

    recipe: str
    knob: str
    value: float
    psnr_db: float


class TunedSetting(TypedDict):
    """One setting. ``measured`` is present after the setting's runs, the last four keys after those on
    acceptance prompts.
    """

    key: str
    recipe: str
    method: dict[str, Any]
    schedule: str
    twins: int  # number of other settings that make the same decisions
    expected: ExpectedFigures
    measured: NotRequired[MeasuredFigures]
    acceptance: NotRequired[PromptFigures]
    on_the_edge: NotRequired[bool]
    edge_db: NotRequired[float | None]
    neighbours: NotRequired[list[Neighbour]]


class TuneGoal(TypedDict):
    """The goal. ``value``: dB for kind "close", a ratio for "fast" and "cheap". ``share``: share of the
    prompts, 0 to 1.
    """

    kind: str
    value: float
    share: float


class TuneSnapshot(TypedDict):
    """A tune's state. ``cloud``: all settings, each as times less compute, times faster, and PSNR in dB or
    None.
    """

    stage: str
    goal: TuneGoal
    best: TunedSetting | None
    running: TunedSetting | None
    verified: list[TunedSetting]
    frontier: list[TunedSetting]
    fewer_steps: list[TunedSetting]
    cloud: list[tuple[float, float, float | None]]


def settings_by_key(snapshot: TuneSnapshot) -> dict[str, TunedSetting]:
    """Return all settings that the snapshot describes, the measured ones first."""
    listed = [
        *snapshot["verified"],
        *filter(None, [snapshot["best"], snapshot["running"]]),
        *snapshot["frontier"],
        *snapshot["fewer_steps"],
    ]
    settings: dict[str, TunedSetting] = {}
    for setting in listed:
        settings.setdefault(setting["key"], setting)
    return settings


def chosen_setting(snapshot: TuneSnapshot | None, key: str) -> TunedSetting | None:
    """Return the setting with this key, or else the best setting so far."""
    if snapshot is None:
        return None
    return settings_by_key(snapshot).get(key) or snapshot["best"]


def figures_of(setting: TunedSetting) -> MeasuredFigures | ExpectedFigures:
    """Return the measured figures, or the expected figures if the setting has not run."""
    return setting.get("measured") or setting["expected"]


def expected_psnr(setting: TunedSetting, digits: int = 0) -> str:
    """Write the expected PSNR with its band."""
    psnr_db, spread_db = setting["expected"]["psnr_db"], setting["expected"]["spread_db"]
    if psnr_db is None or spread_db is None:
        return NO_ESTIMATE
    return f"≈ {psnr_db:.{digits}f} ± {SPREAD * spread_db:.{digits}f} dB"


def about_sign(setting: TunedSetting) -> str:
    """Return the sign that stands before figures that are only expected."""
    return "" if "measured" in setting else "≈ "


def is_plain_model(setting: TunedSetting) -> bool:
    """Return whether the setting is the plain model (without a cache) with fewer steps."""
    return setting["method"]["name"] == "fewer_steps" and not setting["method"]["cache"].strip()


def setting_name(setting: TunedSetting) -> str:
    """Return the setting's recipe. For fewer steps, return their number, and the recipe of a cache within
    them.
    """
    if setting["method"]["name"] != "fewer_steps":
        return setting["recipe"]
    steps = len(setting["schedule"])
    if is_plain_model(setting):
        return plural(steps, "plain step")
    return f"{plural(steps, 'step')}, {setting['method']['cache']}"


def is_best(setting: TunedSetting, snapshot: TuneSnapshot) -> bool:
    return snapshot["best"] is not None and setting["key"] == snapshot["best"]["key"]


def mark_of(setting: TunedSetting, snapshot: TuneSnapshot) -> MarkShape:
    """Return the setting's mark in chart and table."""
    running = snapshot["running"]
    if setting.get("on_the_edge"):
        return "edge"
    if running and running["key"] == setting["key"] and "measured" not in setting:
        return "running"
    if is_plain_model(setting):
        return "cross"
    return "dot" if "measured" in setting else "expected"


def worst_neighbour(setting: TunedSetting) -> Neighbour | None:
    """Return the neighbouring setting (one step of one knob away) that loses most. Return None before any
    neighbour has run.
    """
    return min(setting.get("neighbours", ()), key=lambda near: near["psnr_db"], default=None)


def worst_pictures(setting: TunedSetting) -> tuple[str, str]:
    """Return the files of the baseline's and the setting's picture, for the prompt on which the setting does
    worst. Return "" for both before the setting has run.
    """
    measured = setting.get("measured")
    if not measured or "worst_picture" not in measured:
        return "", ""
    return measured["worst_baseline"], measured["worst_picture"]


def per_cent(share: float) -> str:
    """Return the share of prompts that must reach a goal as text, such as 95 % or 99.5 %."""
    return f"{100 * share:g} %"
