"""Writes docs/quality.md and docs/quality.svg from the stored scores and times. It makes no runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

import numpy as np

from studies.quality.settings import BUDGETS, SEARCHED, STEPS, WINNERS, Contender, searches
from studies.quality.store import REPEATS, Store, method_key
from studies.shared import write_page

PAGE = Path(__file__).with_name("page.md")
# dB that an identical picture counts in a mean; more than two different pictures of this size can have
IDENTICAL = 100.0


class ContenderScores(NamedTuple):
    """The mean scores of one contender. ratio: its denoising time divided by the baseline's, or None if it
    was not measured.
    """

    contender: Contender
    prompts: int
    psnr: np.ndarray  # shape (prompts,), in dB
    ssim: float
    computed: float
    tflops: float
    ratio: float | None


def rows(store: Store, wanted: list[Contender]) -> list[ContenderScores]:
    contender_rows = []
    for contender in wanted:
        name = method_key(contender.method)
        scores = [
            score
            for (method, number), score in sorted(store.scores.items())
            if method == name and number >= SEARCHED
        ]
        if scores:
            psnr = np.array([IDENTICAL if score.psnr_db is None else score.psnr_db for score in scores])
            means = np.array([score[1:] for score in scores]).mean(axis=0)
            ssim, computed, tflops = map(float, means)
            ratio = store.times.get(name)
            contender_rows.append(
                ContenderScores(contender, len(scores), psnr, ssim, computed, tflops, ratio)
            )
    return contender_rows


def table(contender_rows: list[ContenderScores], baseline_tflops: float) -> str:
    """Return a Markdown table of contenders, the best mean PSNR first."""
    lines = [
        "| method | computed steps | TFLOPs, of the baseline | time, of the baseline | PSNR mean | 5th "
        "percentile | worst | SSIM | prompts |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(contender_rows, key=lambda row: -row.psnr.mean()):
        ratio = "not taken" if row.ratio is None else f"{row.ratio:.3f}"
        lines.append(
            f"| {row.contender.label} | {row.computed:.1f} | {row.tflops / baseline_tflops:.3f} | {ratio} | "
            f"{row.psnr.mean():.2f} | {np.percentile(row.psnr, 5):.2f} | {row.psnr.min():.2f} | "
            f"{row.ssim:.4f} | {row.prompts} |"
        )
    return "\n".join(lines)


def winners(contender_rows: list[ContenderScores]) -> str:
    """Return a Markdown table that compares our winner at each budget with its opponents."""
    lines = [
        "| about | ours | against | gain in mean PSNR | TFLOPs, ours over its | time, ours over its | "
        "prompts |",
        "|---|---|---|---|---|---|---|",
    ]
    for ours in contender_rows:
        if ours.contender.label != WINNERS["ours"]:
            continue
        for row in _opponents(
            [row for row in contender_rows if row.contender.budget == ours.contender.budget]
        ):
            time = f"{ours.ratio / row.ratio:.3f}" if ours.ratio and row.ratio else "not taken"
            lines.append(
                f"| {ours.contender.budget} computed steps | {_mean(ours)} | {row.contender.label}: "
                f"{_mean(row)} | {ours.psnr.mean() - row.psnr.mean():+.2f} dB | "
                f"{ours.tflops / row.tflops:.3f} | {time} | {min(ours.prompts, row.prompts)} |"
            )
    sizes = sorted(
        {
            f"{result['prompts']} prompts, {result['evaluations']} evaluations a side"
            for result in searches().values()
        }
    )
    return "\n".join([*lines, "", f"In brackets: the mean PSNR in the search ({'; '.join(sizes)})."])


def _opponents(rows: list[ContenderScores]) -> list[ContenderScores]:
    """Choose the opponents of our winner among the rows of one budget.

    DBCache's best row is chosen on the scored prompts and without a limit of TFLOPs, so the choice favours
    DBCache.
    """
    best = max(
        (row for row in rows if row.contender.method.name == "dbcache"),
        key=lambda row: row.psnr.mean(),
        default=None,
    )
    return [
        row
        for row in rows
        if row is best
        or row.contender.label == WINNERS["DBCache"]
        or row.contender.label.endswith("as published")
        or row.contender.method.name == "fewer_steps"
    ]


def _mean(row: ContenderScores) -> str:
    """Format a mean PSNR. For a winner of the search, its PSNR in the search follows in brackets."""
    result = searches().get((row.contender.label, row.contender.budget))
    return f"{row.psnr.mean():.2f} dB" + (f" ({result['psnr_db']:.2f})" if result else "")


SHOWN: tuple[tuple[str, str, Callable[[str], bool]], ...] = (
    ("ours", "#d6336c", lambda label: label.startswith("Ours (")),
    ("DBCache's best", "#0b5ed7", lambda label: label.startswith("DBCache's best")),
    ("DBCache + TaylorSeer as published", "#6ea8fe", lambda label: label.endswith("as published")),
    ("fewer steps", "#212529", lambda label: label.startswith("Fewer steps")),
    ("other methods", "#adb5bd", lambda label: True),
)


def plot(contender_rows: list[ContenderScores], baseline_tflops: float) -> str:
    """Draw the mean PSNR against the share of the baseline's TFLOPs as SVG.

    The line under each dot ends at the 5th percentile.
    """
    width, height, left, bottom, top = 720, 380, 44, 44, 14
    low = min(float(np.percentile(row.psnr, 5)) for row in contender_rows) - 1
    high = max(float(row.psnr.mean()) for row in contender_rows) + 1
    most = max(row.tflops for row in contender_rows) / baseline_tflops * 1.05

    def x(share: float) -> float:
        return round(left + share / most * (width - left - 10), 1)

    def y(decibels: float) -> float:
        return round(top + (high - decibels) / (high - low) * (height - top - bottom), 1)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="11" '
        f'fill="#444"><rect width="{width}" height="{height}" fill="#fff"/>'
    ]
    for decibels in range(5 * int(low / 5 + 1), int(high) + 1, 5):
        parts.append(
            f'<path d="M{left} {y(decibels)}H{width - 10}" stroke="#e9ecef"/><text x="{left - 6}" '
            f'y="{y(decibels) + 4}" '
            f'text-anchor="end">{decibels}</text>'
        )
    for tenth in range(int(most * 10) + 1):
        parts.append(
            f'<text x="{x(tenth / 10)}" y="{height - bottom + 16}" text-anchor="middle">{tenth / 10:g}</text>'
        )
    parts.append(
        f'<text x="{left}" y="{height - 8}">share of the baseline\'s TFLOPs; PSNR in dB: mean (dot) and 5th '
        f"percentile "
        "(end of its line)</text>"
    )
    for row in sorted(contender_rows, key=lambda row: -kind(row)[0]):
        _, (name, colour, _) = kind(row)
        at = x(row.tflops / baseline_tflops)
        mean, low_end = y(float(row.psnr.mean())), y(float(np.percentile(row.psnr, 5)))
        parts.append(
            f'<path d="M{at} {mean}V{low_end}" stroke="{colour}"/><circle cx="{at}" cy="{mean}" r="3.5" '
            f'fill="{colour}">'
            f"<title>{escape(row.contender.label)}: {row.psnr.mean():.2f} dB</title></circle>"
        )
    for place, (name, colour, _) in enumerate(SHOWN):
        line = height - bottom - 12 - 15 * (len(SHOWN) - 1 - place)
        parts.append(
            f'<circle cx="{width - 230}" cy="{line - 4}" r="3.5" fill="{colour}"/>'
            f'<text x="{width - 220}" y="{line}">{escape(name)}</text>'
        )
    return "".join(parts) + "</svg>\n"


def kind(row: ContenderScores) -> tuple[int, tuple[str, str, Callable[[str], bool]]]:
    """Return the row's first match in SHOWN, with its place there."""
    return next((place, shown) for place, shown in enumerate(SHOWN) if shown[2](row.contender.label))


def write(folder: Path, store: Store, wanted: list[Contender]) -> None:
    """Write quality.md (its text is in studies/quality/page.md) and quality.svg."""
    contender_rows = rows(store, wanted)
    plain = next(row for row in contender_rows if row.contender.method.name == "fewer_steps")
    baseline_tflops = plain.tflops / plain.computed * STEPS
    counts = {row.prompts for row in contender_rows}
    by_budget = {
        budget: [row for row in contender_rows if row.contender.budget == budget] for budget in BUDGETS
    }
    page = PAGE.read_text(encoding="utf-8").format(
        revision=store.revision,
        steps=STEPS,
        prompts=" to ".join(map(str, sorted({min(counts), max(counts)}))),
        identical=IDENTICAL,
        baseline_tflops=baseline_tflops,
        repeats=REPEATS,
        budgets="\n".join(
            f"## About {budget} computed steps\n\n{table(mine, baseline_tflops)}\n"
            for budget, mine in by_budget.items()
            if mine
        ),
        winners=winners(contender_rows),
    )
    write_page(folder / "quality.md", page)
    write_page(folder / "quality.svg", plot(contender_rows, baseline_tflops))
