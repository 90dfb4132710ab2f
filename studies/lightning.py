"""Ask whether a cache pays on the embedded few-step models.

``python -m studies.lightning`` writes docs/lightning.md in a few minutes. Every setting is a preset of its
model. Beside them, the tables have the plain model at fewer steps.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from statistics import mean, median
from typing import NamedTuple

import numpy as np

from app.presets import presets
from assets.train_tiny_flux.domain import Spec
from assets.train_tiny_flux.evaluate import held_out, judge, nearest, reduced
from cache_engine import METHODS, MODELS, Method, RunRequest
from cache_engine.quality import pixels, psnr
from cache_engine.recipe import format_recipe
from cache_engine.records import StepTrace
from studies.quality.store import denoise_seconds
from studies.shared import DOCS, draw_unclocked, write_page

PROMPTS, REPEATS, IDENTICAL = 50, 5, 100.0
TEMPLATE = Path(__file__).with_name("lightning_page.md")
PLAIN = METHODS["baseline"]()


class Contender(NamedTuple):
    """A row of a table: a model, its steps, and a method."""

    label: str
    model: str
    steps: int
    method: Method

    def request(self, number: int) -> RunRequest:
        """Return the request for one of the prompts."""
        return RunRequest(model=self.model, prompt=asked()[number][1], seed=number, steps=self.steps)


class Outcome(NamedTuple):
    """Means over the prompts.

    psnr_db, worst_db: mean and lowest PSNR against the plain model of the same table; an identical picture
    counts as IDENTICAL.
    teacher_db: PSNR against the embedded model's picture from the same noise.
    thing: share of pictures that show the right thing. cached: number of cached steps.
    seconds: processor time of the denoising loop.
    """

    psnr_db: float
    worst_db: float
    teacher_db: float
    thing: float
    cached: float
    tflops: float
    seconds: float


Row = tuple[Contender, Outcome]


@cache
def asked() -> list[tuple[Spec, str]]:
    """Return the prompts. Their pairs of thing and background did not occur in the training."""
    return held_out(PROMPTS, seed=31)


def contenders(steps: int) -> list[Contender]:
    """Return the rows of a few-step model's table: plain, with each preset, and plain at fewer steps."""
    model = f"tiny-lightning-{steps}"
    cached = [preset.setting for preset in presets() if model in (preset.models or ())]
    fewer = [
        Contender(f"{model}, {few} steps", model, few, PLAIN) for few in range(steps - 1, steps // 2, -1)
    ]
    other = [Contender("tiny-lightning-4, 4 steps", "tiny-lightning-4", 4, PLAIN)] if steps == 8 else []
    return [
        Contender(f"{model}, {steps} steps", model, steps, PLAIN),
        *(Contender(f"`{format_recipe(method)}`", model, steps, method) for method in cached),
        *fewer,
        *other,
    ]


def drawn(row: Contender, count: int) -> tuple[list[np.ndarray], list[Sequence[StepTrace]]]:
    """Draw the prompts."""
    pairs = [draw_unclocked(row.request(number), row.method) for number in range(count)]
    return [pixels(picture) for picture, _ in pairs], [trace for _, trace in pairs]


def likeness(ours: list[np.ndarray], theirs: list[np.ndarray]) -> list[float]:
    """Return the PSNR of each pair of pictures."""
    return [psnr(*pair) or IDENTICAL for pair in zip(theirs, ours, strict=True)]


def measured(rows: Sequence[Contender], teacher: list[np.ndarray], repeats: int) -> list[Row]:
    """Measure the rows of a table. The first row is the plain model. Timed runs of all rows take turns."""
    count = len(teacher)
    made = [drawn(row, count) for row in rows]
    rounds = [[denoise_seconds(row.request(0), row.method) for row in rows] for _ in range(repeats)]
    plain = made[0][0]
    return [
        (
            row,
            Outcome(
                mean(likeness(pictures, plain)),
                min(likeness(pictures, plain)),
                mean(likeness(pictures, teacher)),
                mean(
                    judge(spec, nearest(reduced(picture / np.float32(255))))["thing"]
                    for (spec, _), picture in zip(asked()[:count], pictures, strict=True)
                ),
                mean(sum(call.mode != "C" for call in trace) for trace in traces),
                mean(sum(call.tflops for call in trace) for trace in traces),
                median(seconds),
            ),
        )
        for row, (pictures, traces), seconds in zip(rows, made, zip(*rounds, strict=True), strict=True)
    ]


def table(rows: Sequence[Row]) -> str:
    """Return a table like cache-dit's, with further columns for facts that PSNR does not show."""
    plain = rows[0][1]
    lines = [
        "| config | PSNR, dB | worst | PSNR to the teacher | right thing | steps cached | GFLOPs | "
        "times less | times faster |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row, outcome in rows:
        own = ["∞" if outcome is plain else f"{value:.2f}" for value in (outcome.psnr_db, outcome.worst_db)]
        ratios = plain.tflops / outcome.tflops, plain.seconds / outcome.seconds
        cells = [
            row.label,
            *own,
            f"{outcome.teacher_db:.2f}",
            f"{outcome.thing:.0%}",
            f"{outcome.cached:.2f}",
            f"{1000 * outcome.tflops:.3f}",
            *(f"{ratio:.2f}" for ratio in ratios),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def rivals(rows: Sequence[Row]) -> list[tuple[Row, Row]]:
    """Pair each row of the plain model at fewer steps with the cached setting that is nearest in compute."""
    cached = [(row, outcome) for row, outcome in rows if row.method != PLAIN]
    return [
        ((row, outcome), min(cached, key=lambda pair: abs(pair[1].tflops - outcome.tflops)))
        for row, outcome in rows[1:]
        if row.method == PLAIN
    ]


def answer(steps: int, rows: Sequence[Row]) -> str:
    """Say in one sentence whether the cache beats fewer steps at about equal compute."""
    better = [its.psnr_db > outcome.psnr_db for (_, outcome), (_, its) in rivals(rows)]
    told = "yes" if all(better) else f"against {sum(better)} of {len(better)} rivals" if any(better) else "no"
    return f"At {steps} steps: **{told}**."


def verdict(rows: Sequence[Row]) -> str:
    """Compare each pair of ``rivals`` in one sentence."""
    whole = rows[0][1].tflops
    sentences = []
    for (row, outcome), (rival, its) in rivals(rows):
        gain = its.psnr_db - outcome.psnr_db
        sentences.append(
            f"- {row.label}: {outcome.psnr_db:.1f} dB for {outcome.tflops / whole:.0%} of the compute. The "
            f"cached setting nearest in compute is {rival.label}: {its.psnr_db:.1f} dB "
            f"for {its.tflops / whole:.0%}, {abs(gain):.1f} dB {'better' if gain > 0 else 'worse'}."
        )
    return "\n".join(sentences)


def page(count: int = PROMPTS, repeats: int = REPEATS) -> str:
    """Measure both models and return the page."""
    teacher, _ = drawn(Contender("teacher", "tiny", MODELS["tiny"].steps, PLAIN), count)
    parts: dict[str, str] = {}
    for steps in (4, 8):
        rows = measured(contenders(steps), teacher, repeats)
        parts |= {f"table_{steps}": table(rows), f"verdict_{steps}": verdict(rows)}
        parts[f"answer_{steps}"] = answer(steps, rows)
    revisions = ", ".join(
        f"{name} {MODELS[name].revision()}" for name in ("tiny-lightning-4", "tiny-lightning-8")
    )
    return TEMPLATE.read_text(encoding="utf-8").format(
        prompts=count, repeats=repeats, revisions=revisions, teacher_steps=MODELS["tiny"].steps, **parts
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=PROMPTS, help="how many of the prompts")
    options = parser.parse_args()
    write_page(DOCS / "lightning.md", page(options.prompts))


if __name__ == "__main__":
    main()
