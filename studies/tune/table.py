"""docs/tune.md: tunes against the real runs that ``studies.tune.__main__`` kept. No run is made."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterator, Sequence
from math import inf
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from cache_engine import MODELS, Method
from cache_engine.tuning import space
from cache_engine.tuning.tuner import CHECKED, EDGE, HARDEST
from studies.tune.__main__ import ACCEPTED, FLOORS, TUNED, TUNES, folder_of
from studies.tune.grid import VARY, Grid, Ran, settings, whole
from studies.tune.replay import (
    WITHIN,
    Cliffs,
    Figures,
    Tuned,
    candidates_of,
    cliffs,
    found_by_chance,
    missed_by_chance,
    needed,
    needed_by_chance,
    tuned,
)

RUNS = 6  # real runs that a tune should need at the most
CHOSEN_ON = 2  # prompts on which it was chosen which neighbours a tune checks, and where
NAMES = {False: "caches and fewer steps", True: "caches alone"}


class Real:
    """One prompt's grid, every setting with its run."""

    def __init__(self, grid: Grid, runs: dict[Method, Ran]) -> None:
        self.grid, self.runs = grid, runs
        self.candidates = {alone: candidates_of(self.settings(alone), [grid.survey]) for alone in NAMES}

    def settings(self, alone: bool) -> list[Method]:
        return [one for one in self.runs if not alone or one.name == "dbcache"]

    def figures(self, method: Method) -> Figures:
        return Figures(self.runs[method].closeness, self.runs[method].tflops)


class Found(NamedTuple):
    """One prompt's tune against its grid. share: of the plain run's compute, the grid's best.  after, chance:
    compute over the grid's best with RUNS runs; inf: the goal is not reached.
    """

    needed: int | None
    chance_needed: int
    chance_share: float
    share: float
    after: float
    chance: float
    tuned: Tuned


def found(real: Real, floor: float, alone: bool) -> Found | None:
    """None where nothing in the grid reaches the floor."""
    methods = real.settings(alone)
    reach = [real.runs[one].tflops for one in methods if real.runs[one].closeness >= floor]
    if not reach:
        return None
    best, survey = min(reach), real.grid.survey
    made = tuned(floor, real.candidates[alone], [survey], real.figures)
    good = sum(tflops <= WITHIN * best for tflops in reach)
    path = made.path[:RUNS]
    return Found(
        needed(made.path, best),
        needed_by_chance(len(methods), good),
        1 - missed_by_chance(len(methods), good, RUNS),
        best / (survey.call_tflops * survey.facts.steps * len(survey.facts.streams)),
        path[-1] / best if path else inf,
        found_by_chance([*reach, *[inf] * (len(methods) - len(reach))], RUNS) / best,
        made,
    )


def runs_of(number: float | None) -> str:
    return "more" if number is None or number == inf else f"{number:g}"


def over(values: Sequence[float]) -> str:
    middle = statistics.median(values)
    return "none reaches it" if middle == inf else f"{middle - 1:+.0%}"


def needs(reals: Sequence[Real]) -> Iterator[str]:
    """The lines of the first table for one number of steps."""
    for alone, name in NAMES.items():
        for floor in FLOORS:
            each = [one for real in reals if (one := found(real, floor, alone)) is not None]
            if not each:
                continue
            counts = [inf if one.needed is None else one.needed for one in each]
            yield (
                f"| {reals[0].grid.facts.steps} | {name} | {floor} dB | "
                f"{statistics.median(one.share for one in each):.0%} "
                f"| {runs_of(statistics.median(counts))} | {', '.join(runs_of(count) for count in counts)} "
                f"| {statistics.median(one.chance_needed for one in each):g} "
                f"| {sum(count <= RUNS for count in counts)} of {len(each)} | "
                f"{statistics.mean(one.chance_share for one in each):.0%} "
                f"| {over([one.after for one in each])} | {over([one.chance for one in each])} |"
            )


def edges(
    reals: Sequence[Real], methods: Sequence[Method], floor: float
) -> tuple[Cliffs, Cliffs, Cliffs | None]:
    """Each prompt for itself, all settings and then the one that its tune found; and the prompts as one
    tuning set, less those that the rule was chosen on.
    """
    vary = space.ranges("dbcache", VARY)
    each, own = Cliffs(0, 0, 0, 0), Cliffs(0, 0, 0, 0)
    for real in reals:
        made = found(real, floor, False)
        if made is None:
            continue
        closeness, seen = (
            (lambda one, real=real: real.runs[one].closeness),
            (lambda _, near, real=real: real.runs[near].closeness),
        )
        each = added(each, cliffs(floor, made.tuned, methods, methods, vary, closeness, seen))
        best = [made.tuned.best] if made.tuned.best else []
        own = added(own, cliffs(floor, made.tuned, best, methods, vary, closeness, seen))
    return each, own, _together(reals[CHOSEN_ON:], methods, floor, vary)


def _together(
    reals: Sequence[Real], methods: Sequence[Method], floor: float, vary: space.Ranges
) -> Cliffs | None:
    """As one tuning set."""
    if len(reals) <= 1:
        return None
    held = {one: min(real.runs[one].closeness for real in reals) for one in methods}
    surveys = [real.grid.survey for real in reals]
    made = tuned(
        floor,
        candidates_of(methods, surveys),
        surveys,
        lambda one: Figures(held[one], reals[0].runs[one].tflops),
    )

    def seen(method: Method, near: Method) -> float:
        hardest = sorted(reals, key=lambda real: real.runs[method].closeness)[:HARDEST]
        return min(real.runs[near].closeness for real in hardest)

    return cliffs(floor, made, methods, methods, vary, held.__getitem__, seen)


def added(one: Cliffs, other: Cliffs) -> Cliffs:
    return Cliffs(*(left + right for left, right in zip(one, other, strict=True)))


def edge_lines(reals: Sequence[Real], methods: Sequence[Method]) -> Iterator[str]:
    for floor in FLOORS:
        each, own, together = edges(reals, methods, floor)
        for what, one in (
            ("each prompt for itself, every setting above the floor", each),
            ("each prompt's tune, its best alone", own),
            (
                f"prompts {CHOSEN_ON + 1} to {len(reals)} as one tuning set, every setting above the floor",
                together,
            ),
        ):
            if one is not None:
                yield (
                    f"| {reals[0].grid.facts.steps} | {floor} dB | {what} | {one.above} | {one.real} | "
                    f"{one.marked} "
                    f"| {one.real - one.both} | {one.marked - one.both} |"
                )


def accepted(floor: float, steps: int) -> tuple[str, Path, Path] | None:
    """The line of one whole tune, and its worst pair: the plain picture and the setting's. None where it was
    not made. Where nothing held on the acceptance prompts: what came closest.
    """
    path = folder_of(floor, steps) / "result.json"
    if not path.is_file():
        return None
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    tried = [one for one in found["verified"] if "acceptance" in one]
    best = found["best"] or max(tried, key=lambda one: one["acceptance"]["share_above"])
    tuning, beyond = best["measured"], best["acceptance"]
    worst = Path(beyond["worst_picture"])
    near = min(best["neighbours"], key=lambda one: one["psnr_db"], default=None)
    margin = "no neighbour differs" if near is None else f"{near['psnr_db']:.1f} dB with `{near['recipe']}`"
    line = (
        f"| {floor} dB | `{best['recipe']}`{'' if found['best'] else ' (none held; this came closest)'} "
        f"| {best['expected']['compute_ratio']:.2f}x | {len(found['verified'])}, {len(tried)} | "
        f"{tuning['worst_db']:.1f} dB "
        f"| {beyond['share_above']:.0%} of {beyond['prompts']} | {beyond['percentile_5_db']:.1f} dB | "
        f"{beyond['worst_db']:.1f} dB "
        f"({ACCEPTED[int(worst.stem) - len(TUNED)]}) | {margin} | "
        f"{'on the edge' if best['on_the_edge'] else 'no'} |"
    )
    return line, path.parent / "images" / "C0_Q0_NONE" / worst.name, worst


def side_by_side(rows: Sequence[tuple[Path, Path]]) -> Image.Image:
    pictures = [[Image.open(path).convert("RGB") for path in row] for row in rows]
    width, height = pictures[0][0].size
    sheet = Image.new("RGB", (2 * width, len(rows) * height))
    for down, row in enumerate(pictures):
        for across, picture in enumerate(row):
            sheet.paste(picture, (across * width, down * height))
    return sheet


def write(folder: Path, steps: Sequence[int]) -> None:
    """tune.md and tune-worst.png; the page around the tables is studies/tune/page.md."""
    need: list[str] = []
    edge: list[str] = []
    drawn: list[str] = []
    for count in steps:
        methods = settings(count)
        reals = [Real(grid, runs) for grid, runs in whole(count)]
        if not reals:
            continue
        need += needs(reals)
        edge += edge_lines(reals, methods)
        runs, twice = sum(len(real.grid.runs) for real in reals), sum(len(real.grid.twice) for real in reals)
        drawn.append(
            f"{count} steps: {len(methods)} settings x {len(reals)} prompts, {runs} of them drawn, {twice} "
            f"twice over"
        )
    whole_tunes = [one for floor, count in TUNES if (one := accepted(floor, count))]
    if whole_tunes:
        side_by_side([one[1:] for one in whole_tunes]).save(folder / "tune-worst.png", optimize=True)
    page = (Path(__file__).parent / "page.md").read_text(encoding="utf-8")
    folder.mkdir(exist_ok=True)
    (folder / "tune.md").write_text(
        page.format(
            revision=MODELS["tiny"].revision(),
            drawn="; ".join(drawn),
            needs="\n".join(need),
            edges="\n".join(edge),
            runs=RUNS,
            edge=EDGE,
            checked=CHECKED,
            hardest=HARDEST,
            chosen_on=CHOSEN_ON,
            tuned=len(TUNED),
            accepted=len(ACCEPTED),
            steps=TUNES[0][1],
            tunes="\n".join(one[0] for one in whole_tunes),
            vary="; ".join(f"{name} {values}" for name, values in VARY.items()),
        ),
        encoding="utf-8",
        newline="\n",
    )
