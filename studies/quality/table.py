"""docs/quality.md and docs/quality.svg from the scores and times that ``studies.quality.__main__`` kept."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

import numpy as np

from studies.quality.__main__ import REPEATS, Store, key
from studies.quality.settings import BUDGETS, SEARCHED, STEPS, WINNERS, Contender, searches

LEARNT = Path(__file__).with_name("learnt.md")
SEARCH = "<!-- what the search found -->"  # where it stands in LEARNT
IDENTICAL = 100.0  # dB, in a mean; more than any two pictures of this size that differ at all can have


class Row(NamedTuple):
    """One contender over all prompts that were scored. ratio: denoise time over the baseline's; None: not
    taken.
    """

    contender: Contender
    prompts: int
    psnr: np.ndarray  # (prompts,) in dB
    ssim: float
    computed: float
    tflops: float
    ratio: float | None


def rows(store: Store, wanted: list[Contender]) -> list[Row]:
    found = []
    for contender in wanted:
        name = key(contender.method)
        scores = [
            score
            for (method, number), score in sorted(store.scores.items())
            if method == name and number >= SEARCHED
        ]
        if scores:
            psnr = np.array([IDENTICAL if score.psnr_db is None else score.psnr_db for score in scores])
            means = np.array([score[1:] for score in scores]).mean(axis=0)
            found.append(Row(contender, len(scores), psnr, *map(float, means), store.times.get(name)))
    return found


def table(found: list[Row], baseline_tflops: float) -> str:
    """Markdown, the best mean first."""
    lines = [
        "| method | computed steps | TFLOPs, of the baseline | time, of the baseline | PSNR mean | 5th "
        "percentile | worst | SSIM "
        "| prompts |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in sorted(found, key=lambda row: -row.psnr.mean()):
        ratio = "not taken" if row.ratio is None else f"{row.ratio:.3f}"
        lines.append(
            f"| {row.contender.label} | {row.computed:.1f} | {row.tflops / baseline_tflops:.3f} | {ratio} | "
            f"{row.psnr.mean():.2f} | {np.percentile(row.psnr, 5):.2f} | {row.psnr.min():.2f} | "
            f"{row.ssim:.4f} | {row.prompts} |"
        )
    return "\n".join(lines)


def winners(found: list[Row]) -> str:
    """Markdown: ours of each budget against the search's other winner, DBCache's best row, the published one
    and fewer steps.
    """
    lines = [
        "| about | ours | against | gain in mean PSNR | TFLOPs, ours over its | time, ours over its | "
        "prompts |",
        "|---|---|---|---|---|---|---|",
    ]
    for ours in found:
        if ours.contender.label != WINNERS["ours"]:
            continue
        for row in _opponents([row for row in found if row.contender.budget == ours.contender.budget]):
            time = f"{ours.ratio / row.ratio:.3f}" if ours.ratio and row.ratio else "not taken"
            lines.append(
                f"| {ours.contender.budget} computed steps | {_mean(ours)} | {row.contender.label}: "
                f"{_mean(row)} | "
                f"{ours.psnr.mean() - row.psnr.mean():+.2f} dB | {ours.tflops / row.tflops:.3f} | {time} | "
                f"{min(ours.prompts, row.prompts)} |"
            )
    told = sorted(
        {f"{one['prompts']} prompts, {one['evaluations']} evaluations a side" for one in searches().values()}
    )
    return "\n".join([*lines, "", f"In brackets: what the search saw ({'; '.join(told)})."])


def _opponents(rows: list[Row]) -> list[Row]:
    """Of one budget. DBCache's best row is chosen on the scored prompts, whatever its TFLOPs: in its
    favour.
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


def _mean(row: Row) -> str:
    """In dB; in brackets what the search saw of its winners."""
    one = searches().get((row.contender.label, row.contender.budget))
    return f"{row.psnr.mean():.2f} dB" + (f" ({one['psnr_db']:.2f})" if one else "")


SHOWN: tuple[tuple[str, str, Callable[[str], bool]], ...] = (
    ("ours", "#d6336c", lambda label: label.startswith("Ours (")),
    ("DBCache's best", "#0b5ed7", lambda label: label.startswith("DBCache's best")),
    ("DBCache + TaylorSeer as published", "#6ea8fe", lambda label: label.endswith("as published")),
    ("fewer steps", "#212529", lambda label: label.startswith("Fewer steps")),
    ("other methods", "#adb5bd", lambda label: True),
)


def plot(found: list[Row], baseline_tflops: float) -> str:
    """An SVG of mean PSNR over the share of the baseline's TFLOPs; a line at the 5th percentile below each
    dot.
    """
    width, height, left, bottom, top = 720, 380, 44, 44, 14
    low = min(float(np.percentile(row.psnr, 5)) for row in found) - 1
    high = max(float(row.psnr.mean()) for row in found) + 1
    most = max(row.tflops for row in found) / baseline_tflops * 1.05

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
    for row in sorted(found, key=lambda row: -kind(row)[0]):
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


def kind(row: Row) -> tuple[int, tuple[str, str, Callable[[str], bool]]]:
    """Its place in SHOWN, and what stands there."""
    return next((place, shown) for place, shown in enumerate(SHOWN) if shown[2](row.contender.label))


def write(folder: Path, store: Store, wanted: list[Contender]) -> None:
    """The page; what was learnt is in studies/quality/learnt.md."""
    found = rows(store, wanted)
    plain = next(row for row in found if row.contender.method.name == "fewer_steps")
    baseline_tflops = plain.tflops / plain.computed * STEPS
    counts = {row.prompts for row in found}
    parts = [
        f"""# How close every method comes

Generated by `make quality` on the embedded model (weights {store.revision}, float32 on the CPU, true CFG with two streams): {STEPS}
steps against the plain {STEPS} steps, {" to ".join(map(str, sorted({min(counts), max(counts)})))} prompts whose pairs of thing and
background the training never showed. PSNR and SSIM are of the 8-bit pictures, as the page shows them; an identical picture counts
{IDENTICAL:g} dB. TFLOPs and time as shares of the plain {STEPS} steps' ({baseline_tflops:.4f} TFLOPs). Time is the denoise loop's, in
processor seconds of one thread: the median of {REPEATS} runs over that of {REPEATS} baselines that took turns with them. Knobs are in
`studies/quality/settings.py`; no setting was chosen on these prompts.

![Mean PSNR over compute](quality.svg)
"""
    ]
    for budget in BUDGETS:
        mine = [row for row in found if row.contender.budget == budget]
        if mine:
            parts.append(f"## About {budget} computed steps\n\n{table(mine, baseline_tflops)}\n")
    parts.append(LEARNT.read_text(encoding="utf-8").replace(SEARCH, winners(found)))
    folder.mkdir(exist_ok=True)
    (folder / "quality.md").write_text("\n".join(parts), encoding="utf-8", newline="\n")
    (folder / "quality.svg").write_text(plot(found, baseline_tflops), encoding="utf-8", newline="\n")
