"""Writes docs/tune.md: it compares tunes with the real runs of the grids. It makes no runs."""

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
from studies.shared import write_page
from studies.tune.grid import VARY, Grid, GridRun, complete_grids, settings
from studies.tune.prompts import ACCEPTED, TUNED
from studies.tune.replay import (
    WITHIN,
    Cliffs,
    RealFigures,
    ReplayedTune,
    best_by_chance,
    candidates_of,
    cliffs,
    missed_by_chance,
    replay_tune,
    runs_needed,
    runs_needed_by_chance,
)
from studies.tune.tunes import FLOORS, TUNES, folder_of

RUNS = 6  # number of real runs that a tune should need at most
CHOSEN_ON = 2  # number of prompts on which we chose the rule for the neighbours that a tune runs
NAMES = {False: "caches and fewer steps", True: "caches alone"}


class PromptGrid:
    """The grid of one prompt, with a run for every setting."""

    def __init__(self, grid: Grid, runs: dict[Method, GridRun]) -> None:
        self.grid, self.runs = grid, runs
        self.candidates = {alone: candidates_of(self.settings(alone), [grid.survey]) for alone in NAMES}

    def settings(self, alone: bool) -> list[Method]:
        return [run for run in self.runs if not alone or run.name == "dbcache"]

    def figures(self, method: Method) -> RealFigures:
        return RealFigures(self.runs[method].closeness, self.runs[method].tflops)


class TuneResult(NamedTuple):
    """One prompt's tune compared with its grid.

    share: the grid's best, as a share of the plain run's compute.  after, chance: the compute that the tune,
    or a random search, reaches in RUNS runs, divided by the grid's best (inf: the goal is not reached).
    """

    needed: int | None
    chance_needed: int
    chance_share: float
    share: float
    after: float
    chance: float
    tuned: ReplayedTune


def replayed(real: PromptGrid, floor: float, alone: bool) -> TuneResult | None:
    """Replay the tune of one prompt. Return None if no setting of its grid reaches the floor."""
    methods = real.settings(alone)
    reach = [real.runs[method].tflops for method in methods if real.runs[method].closeness >= floor]
    if not reach:
        return None
    best, survey = min(reach), real.grid.survey
    made = replay_tune(floor, real.candidates[alone], [survey], real.figures)
    good = sum(tflops <= WITHIN * best for tflops in reach)
    path = made.path[:RUNS]
    return TuneResult(
        runs_needed(made.path, best),
        runs_needed_by_chance(len(methods), good),
        1 - missed_by_chance(len(methods), good, RUNS),
        best / (survey.call_tflops * survey.facts.steps * len(survey.facts.streams)),
        path[-1] / best if path else inf,
        best_by_chance([*reach, *[inf] * (len(methods) - len(reach))], RUNS) / best,
        made,
    )


def runs_of(number: float | None) -> str:
    return "more" if number is None or number == inf else f"{number:g}"


def over(values: Sequence[float]) -> str:
    middle = statistics.median(values)
    return "none reaches it" if middle == inf else f"{middle - 1:+.0%}"


def needs(reals: Sequence[PromptGrid]) -> Iterator[str]:
    """Yield the rows of the first table for one number of steps."""
    for alone, name in NAMES.items():
        for floor in FLOORS:
            each = [result for real in reals if (result := replayed(real, floor, alone)) is not None]
            if not each:
                continue
            counts = [inf if result.needed is None else result.needed for result in each]
            yield (
                f"| {reals[0].grid.facts.steps} | {name} | {floor} dB | "
                f"{statistics.median(result.share for result in each):.0%} "
                f"| {runs_of(statistics.median(counts))} | {', '.join(runs_of(count) for count in counts)} "
                f"| {statistics.median(result.chance_needed for result in each):g} "
                f"| {sum(count <= RUNS for count in counts)} of {len(each)} | "
                f"{statistics.mean(result.chance_share for result in each):.0%} "
                f"| {over([result.after for result in each])} | {over([result.chance for result in each])} |"
            )


def edges(
    reals: Sequence[PromptGrid], methods: Sequence[Method], floor: float
) -> tuple[Cliffs, Cliffs, Cliffs | None]:
    """Count the cliffs in three ways.

    First, each prompt on its own, with all settings; second, each prompt on its own, with its tune's best
    setting; third, the prompts as one tuning set, without those on which the rule was chosen.
    """
    vary = space.parse_ranges("dbcache", VARY)
    each, own = Cliffs(0, 0, 0, 0), Cliffs(0, 0, 0, 0)
    for real in reals:
        made = replayed(real, floor, False)
        if made is None:
            continue
        closeness, seen = (
            (lambda item, real=real: real.runs[item].closeness),
            (lambda _, near, real=real: real.runs[near].closeness),
        )
        each = sum_of(each, cliffs(floor, made.tuned, methods, methods, vary, closeness, seen))
        best = [made.tuned.best] if made.tuned.best else []
        own = sum_of(own, cliffs(floor, made.tuned, best, methods, vary, closeness, seen))
    return each, own, _together(reals[CHOSEN_ON:], methods, floor, vary)


def _together(
    reals: Sequence[PromptGrid], methods: Sequence[Method], floor: float, vary: space.Ranges
) -> Cliffs | None:
    """Count the cliffs of several prompts that are one tuning set."""
    if len(reals) <= 1:
        return None
    held = {candidate: min(real.runs[candidate].closeness for real in reals) for candidate in methods}
    surveys = [real.grid.survey for real in reals]
    made = replay_tune(
        floor,
        candidates_of(methods, surveys),
        surveys,
        lambda item: RealFigures(held[item], reals[0].runs[item].tflops),
    )

    def seen(method: Method, near: Method) -> float:
        hardest = sorted(reals, key=lambda real: real.runs[method].closeness)[:HARDEST]
        return min(real.runs[near].closeness for real in hardest)

    return cliffs(floor, made, methods, methods, vary, held.__getitem__, seen)


def sum_of(first: Cliffs, second: Cliffs) -> Cliffs:
    return Cliffs(*(left + right for left, right in zip(first, second, strict=True)))


def edge_lines(reals: Sequence[PromptGrid], methods: Sequence[Method]) -> Iterator[str]:
    for floor in FLOORS:
        each, own, together = edges(reals, methods, floor)
        for what, counts in (
            ("each prompt for itself, every setting above the floor", each),
            ("each prompt's tune, its best alone", own),
            (
                f"prompts {CHOSEN_ON + 1} to {len(reals)} as one tuning set, every setting above the floor",
                together,
            ),
        ):
            if counts is not None:
                yield (
                    f"| {reals[0].grid.facts.steps} | {floor} dB | {what} | {counts.above} | {counts.real} | "
                    f"{counts.marked} "
                    f"| {counts.real - counts.both} | {counts.marked - counts.both} |"
                )


def whole_tune(floor: float, steps: int) -> tuple[str, Path, Path] | None:
    """Return the row of a whole tune, and its worst pair (the plain picture and the setting's picture).

    Returns None if the tune was not made. If no setting reached the goal on the acceptance prompts, the row
    describes the closest one.
    """
    path = folder_of(floor, steps) / "result.json"
    if not path.is_file():
        return None
    data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    tried = [verification for verification in data["verified"] if "acceptance" in verification]
    best = data["best"] or max(tried, key=lambda item: item["acceptance"]["share_above"])
    tuning, beyond = best["measured"], best["acceptance"]
    worst = Path(beyond["worst_picture"])
    near = min(best["neighbours"], key=lambda item: item["psnr_db"], default=None)
    margin = "no neighbour differs" if near is None else f"{near['psnr_db']:.1f} dB with `{near['recipe']}`"
    line = (
        f"| {floor} dB | `{best['recipe']}`{'' if data['best'] else ' (none held; this came closest)'} | "
        f"{best['expected']['compute_ratio']:.2f}x | {len(data['verified'])}, {len(tried)} | "
        f"{tuning['worst_db']:.1f} dB | {beyond['share_above']:.0%} of {beyond['prompts']} | "
        f"{beyond['percentile_5_db']:.1f} dB | {beyond['worst_db']:.1f} dB "
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
    """Write tune.md (its text is in studies/tune/page.md) and tune-worst.png."""
    need: list[str] = []
    edge: list[str] = []
    drawn: list[str] = []
    for count in steps:
        methods = settings(count)
        reals = [PromptGrid(grid, runs) for grid, runs in complete_grids(count)]
        if not reals:
            continue
        need += needs(reals)
        edge += edge_lines(reals, methods)
        runs, twice = sum(len(real.grid.runs) for real in reals), sum(len(real.grid.twice) for real in reals)
        drawn.append(
            f"{count} steps: {len(methods)} settings x {len(reals)} prompts, {runs} of them drawn, {twice} "
            f"twice over"
        )
    whole_tunes = [whole for floor, count in TUNES if (whole := whole_tune(floor, count))]
    if whole_tunes:
        side_by_side([whole[1:] for whole in whole_tunes]).save(folder / "tune-worst.png", optimize=True)
    page = (Path(__file__).parent / "page.md").read_text(encoding="utf-8")
    write_page(
        folder / "tune.md",
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
            tunes="\n".join(whole[0] for whole in whole_tunes),
            vary="; ".join(f"{name} {values}" for name, values in VARY.items()),
        ),
    )
