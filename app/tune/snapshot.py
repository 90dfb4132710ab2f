"""The state of a tune as the engine writes it (``tune_json``), and what the page reads from it. Pure."""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict

from ..components.chart import MarkShape
from ..words import plural

NO_ESTIMATE = "no estimate"  # shown where no survey predicts the quality and no run measured it
SPREAD = 1.645  # standard deviations to either side, which hold nine of ten


class ExpectedFigures(TypedDict):
    """Estimates from the baseline runs. Both dB are None where the model's surveys cannot tell them."""

    compute_ratio: float
    speedup: float
    psnr_db: float | None
    spread_db: float | None


class PromptFigures(TypedDict):
    """Means over ``prompts``, and how their PSNR is spread. With 0 prompts nothing else is there."""

    prompts: int
    seconds: float
    compute_ratio: float
    speedup: float
    percentile_5_db: float
    worst_db: float
    worst_prompt: str
    worst_picture: str
    worst_baseline: str
    share_above: float | None  # of the prompts, at or above the floor; None where the goal has no floor
    psnr_db_each: list[float]


class MeasuredFigures(PromptFigures):
    """Figures on the tuning prompts. ``psnr_db``: what the goal's share of the prompts reaches. ``whole``:
    whether all of them were run.
    """

    psnr_db: float
    whole: bool


class Neighbour(TypedDict):
    """A setting with one knob one step away, and its PSNR."""

    recipe: str
    knob: str
    value: float
    psnr_db: float


class TunedSetting(TypedDict):
    """One setting. ``measured`` is there after its runs, the last four after those on acceptance prompts."""

    key: str
    recipe: str
    method: dict[str, Any]
    schedule: str
    twins: int  # other settings that make the same decisions
    expected: ExpectedFigures
    measured: NotRequired[MeasuredFigures]
    acceptance: NotRequired[PromptFigures]
    on_the_edge: NotRequired[bool]
    edge_db: NotRequired[float | None]
    neighbours: NotRequired[list[Neighbour]]


class TuneGoal(TypedDict):
    """``value``: dB for kind "close", a ratio for "fast" and "cheap". ``share``: of the prompts, 0 to 1."""

    kind: str
    value: float
    share: float


class TuneSnapshot(TypedDict):
    """``cloud``: all settings, each as times less compute, times faster, and PSNR in dB or None."""

    stage: str
    goal: TuneGoal
    best: TunedSetting | None
    running: TunedSetting | None
    verified: list[TunedSetting]
    frontier: list[TunedSetting]
    fewer_steps: list[TunedSetting]
    cloud: list[tuple[float, float, float | None]]


def settings_by_key(snapshot: TuneSnapshot) -> dict[str, TunedSetting]:
    """Return every setting that the snapshot describes, the measured ones first."""
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
    """Return the setting with this key, else the best so far."""
    if snapshot is None:
        return None
    return settings_by_key(snapshot).get(key) or snapshot["best"]


def figures_of(setting: TunedSetting) -> MeasuredFigures | ExpectedFigures:
    """Return the measured figures, or the expected ones if the setting was not run."""
    return setting.get("measured") or setting["expected"]


def expected_psnr(setting: TunedSetting, digits: int = 0) -> str:
    """Write the expected PSNR with its band."""
    psnr_db, spread_db = setting["expected"]["psnr_db"], setting["expected"]["spread_db"]
    if psnr_db is None or spread_db is None:
        return NO_ESTIMATE
    return f"≈ {psnr_db:.{digits}f} ± {SPREAD * spread_db:.{digits}f} dB"


def about_sign(setting: TunedSetting) -> str:
    """Return the sign before figures that are only expected."""
    return "" if "measured" in setting else "≈ "


def is_plain_model(setting: TunedSetting) -> bool:
    """Whether the setting is the model without a cache, in fewer steps."""
    return setting["method"]["name"] == "fewer_steps" and not setting["method"]["cache"].strip()


def setting_name(setting: TunedSetting) -> str:
    """Return the recipe; for fewer steps their number, with the recipe of a cache within them."""
    if setting["method"]["name"] != "fewer_steps":
        return setting["recipe"]
    steps = len(setting["schedule"])
    if is_plain_model(setting):
        return plural(steps, "plain step")
    return f"{plural(steps, 'step')}, {setting['method']['cache']}"


def is_best(setting: TunedSetting, snapshot: TuneSnapshot) -> bool:
    return snapshot["best"] is not None and setting["key"] == snapshot["best"]["key"]


def mark_of(setting: TunedSetting, snapshot: TuneSnapshot) -> MarkShape:
    """Return the mark of a setting in chart and table."""
    running = snapshot["running"]
    if setting.get("on_the_edge"):
        return "edge"
    if running and running["key"] == setting["key"] and "measured" not in setting:
        return "running"
    if is_plain_model(setting):
        return "cross"
    return "dot" if "measured" in setting else "expected"


def worst_neighbour(setting: TunedSetting) -> Neighbour | None:
    """Return the setting one step of one knob away that loses most; None before any was run."""
    return min(setting.get("neighbours", ()), key=lambda near: near["psnr_db"], default=None)


def worst_pictures(setting: TunedSetting) -> tuple[str, str]:
    """Return the files of the baseline's and the setting's picture of the prompt that is hardest for it;
    empty before it was run.
    """
    measured = setting.get("measured")
    if not measured or "worst_picture" not in measured:
        return "", ""
    return measured["worst_baseline"], measured["worst_picture"]


def per_cent(share: float) -> str:
    """Return the share of prompts that must reach a goal as text: 95 %, 99.5 %."""
    return f"{100 * share:g} %"
