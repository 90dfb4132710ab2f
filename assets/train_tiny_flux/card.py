"""The model card: measured figures, a contact sheet, and plots, written beside the weights."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from . import measure
from .basis import CHANNELS
from .build import BLOCKS, SHIFT, SINGLE_BLOCKS, WIDTH
from .domain import BACKGROUNDS, CAPTION_DROPOUT, DRAWN, GRID, SIZES, TEXT_TOKENS, THINGS, held_out_pairs
from .evaluate import STEPS, draw, held_out
from .export import load, scale
from .render import sheet

TEMPLATE = Path(__file__).with_name("card.md")
SHOWN, MEASURED, MOST_SHEET_BYTES = 48, 20, 1_000_000


def keep(folder: Path, name: str, facts: dict[str, Any]) -> None:
    """Store measurements for the card in the folder, which is made if it is missing."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def contact_sheet(pictures: list[np.ndarray], path: Path) -> None:
    """Write pictures (n, n, 3) in 0..1, eight per row, as a PNG of at most MOST_SHEET_BYTES."""
    page = sheet(pictures)
    page.save(path, optimize=True)
    if path.stat().st_size > MOST_SHEET_BYTES:
        page.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def plot(rows: list[tuple[float, float, float]], title: str) -> str:
    """Return an SVG of (least, mean, largest) from step 1 on: the mean is a line, the range a band."""
    width, height, left, top = 640, 240, 48, 30
    most = max(max(high for _, _, high in rows), 1e-9) * 1.05

    def at(i: int, value: float) -> str:
        x = left + i * (width - left - 12) / max(1, len(rows) - 1)
        return f"{x:.1f},{top + (height - top - 30) * (1 - value / most):.1f}"

    band = [at(i, row[2]) for i, row in enumerate(rows)] + [
        at(i, row[0]) for i, row in reversed(list(enumerate(rows)))
    ]
    line = [at(i, row[1]) for i, row in enumerate(rows)]
    marks = "".join(
        f'<text x="{left - 6}" y="{at(0, most * k / 4).split(",")[1]}" '
        f'text-anchor="end">{most * k / 4:.2f}</text>'
        for k in range(5)
    )
    marks += "".join(
        f'<text x="{at(i, 0).split(",")[0]}" y="{height - 12}" text-anchor="middle">{i + 1}</text>'
        for i in range(0, len(rows), max(1, len(rows) // 9))
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" font-family="sans-serif" '
        f'font-size="11" fill="#444"><rect width="{width}" height="{height}" fill="#fff"/>'
        f'<text x="{left}" y="16">{title}</text>{marks}<polygon points="{" ".join(band)}" fill="#9ec5fe"/>'
        f'<polyline points="{" ".join(line)}" fill="none" stroke="#0b5ed7" stroke-width="2"/></svg>\n'
    )


def table(outcomes: dict[str, measure.Outcome], first: str) -> str:
    """Return the outcomes as a Markdown table."""
    rows = [
        f"| {name} | {o.computed:.1f} | {o.cached:.0%} | {o.psnr_db:.1f} |" for name, o in outcomes.items()
    ]
    return "\n".join([f"| {first} | steps computed | cached | PSNR, dB |", "|---|---|---|---|", *rows])


def verdict(curvature: dict[str, measure.Outcome]) -> str:
    """Say in one sentence whether a cache beats fewer steps on this model."""
    (_, plain), *caches = curvature.items()
    name, best = max(caches, key=lambda pair: pair[1].psnr_db)
    gain = best.psnr_db - plain.psnr_db
    if gain >= 1:
        return (
            f"{name} beats the plain model by {gain:.1f} dB: the path is curved enough for a fair "
            f"demonstration."
        )
    return (
        f"The best cached run ({name}) is {gain:+.1f} dB from the plain model with as many steps: on this "
        f"small "
        "model fewer steps are about as good as a cache."
    )


def write(folder: Path, out: Path, smoke: bool = False) -> None:
    """Write README.md, contact-sheet.png and change.svg beside the exported weights.

    The scores come from the file scores.json that the command `evaluate` wrote.
    """
    shown, measured, steps = (2, 1, 6) if smoke else (SHOWN, MEASURED, STEPS)
    computed, out_of = (8, 12) if smoke else (measure.COMPUTED, measure.OUT_OF)
    pipe, strength = load(out), scale(out)
    pictures = draw(pipe, [text for _, text in held_out(shown)], list(range(shown)), strength, steps)
    contact_sheet(pictures, out / "contact-sheet.png")
    bench = measure.Bench(pipe, strength, measured)
    changes = measure.change_per_step(bench.references(steps))
    (out / "change.svg").write_text(
        plot(changes, f"F1 residual's change per step, {measured} prompts (mean, least to largest)"),
        encoding="utf-8",
    )
    grading, curvature = bench.grading(steps), bench.curvature(computed, out_of)
    keep(folder, "cache", {"change": changes, "grading": grading, "curvature": curvature})
    scores = json.loads((folder / "scores.json").read_text(encoding="utf-8"))
    trained = json.loads((out / "domain.json").read_text(encoding="utf-8"))["trained"]
    text = TEMPLATE.read_text(encoding="utf-8").format(
        things=", ".join(THINGS),
        count=len(THINGS),
        backgrounds=", ".join(BACKGROUNDS),
        side=DRAWN,
        pixels=DRAWN // GRID,
        text=TEXT_TOKENS,
        sizes=", ".join(f"{name} ({n * DRAWN // GRID} pixels)" for name, n in SIZES.items()),
        double=BLOCKS,
        single=SINGLE_BLOCKS,
        width=WIDTH,
        parameters=sum(p.numel() for p in pipe.transformer.parameters()) / 1e6,
        megabytes=sum(path.stat().st_size for path in out.rglob("*.safetensors")) / 1e6,
        share=len(held_out_pairs()) / (len(THINGS) * len(BACKGROUNDS)),
        dropout=CAPTION_DROPOUT,
        scale=strength,
        hours=trained["seconds"] / 3600,
        samples=trained["samples"],
        updates=trained["step"],
        measured=measured,
        shown=shown,
        decoder_updates=trained["decoder_updates"],
        decoder_hours=trained["decoder_seconds"] / 3600,
        scores=scores,
        numbers=4 * CHANNELS,
        shift=SHIFT,
        grading=table(grading, "threshold"),
        curvature=table(curvature, f"against {out_of} steps"),
        verdict=verdict(curvature),
    )
    (out / "README.md").write_text(text, encoding="utf-8")
