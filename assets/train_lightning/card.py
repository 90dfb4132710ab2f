"""The card: scores and recipe, written beside the LoRA files."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from safetensors.torch import load_file

from assets.train_tiny_flux.build import SHIFT
from assets.train_tiny_flux.domain import TEXT_TOKENS

from . import paths
from .scores import Scores, Way
from .student import RANK, Recipe

TEMPLATE = Path(__file__).with_name("card.md")
SHOWN = 48
HEAD = (
    "| | steps | calls | right thing | right background | right place | right size | "
    "PSNR to the nearest reference | PSNR to the teacher | core seconds |\n"
    "|---|---|---|---|---|---|---|---|---|---|"
)


class Facts(NamedTuple):
    """The facts on the card other than the scores."""

    prompts: int
    teacher_steps: int
    paths: int
    scale: float
    side: int
    note: str


def row(way: Way, scores: Scores) -> str:
    """Return one row of the table of scores, in Markdown."""
    shares = " | ".join(f"{share:.1%}" for share in scores[:4])
    likeness = "" if scores.teacher_db is None else f"{scores.teacher_db:.1f} dB"
    return (
        f"| {way.title} | {way.steps} | {way.steps * way.calls} | {shares} | {scores.reference_db:.1f} dB | "
        f"{likeness} | {scores.core_seconds:.2f} |"
    )


def learned(recipe: Recipe, minutes: float) -> str:
    """Return one row of the table of recipes, in Markdown."""
    start = f"the LoRA of {recipe.start} steps" if recipe.start else "no change"
    return (
        f"| {recipe.steps} | {start} | {recipe.slopes} of {recipe.slope_batch} lines | {recipe.walks} of "
        f"{recipe.walk_batch} walks | {minutes:.0f} |"
    )


def write(out: Path, facts: Facts, rows: list[str], recipes: list[str]) -> None:
    """Write README.md beside the LoRA files."""
    files = sorted(out.glob("*.safetensors"))
    text = TEMPLATE.read_text(encoding="utf-8").format(
        rank=RANK,
        layers=len(load_file(files[0])) // 2,
        megabytes=f"{max(file.stat().st_size for file in files) / 1e6:.2f}",
        shift=f"{SHIFT:g}",
        side=facts.side,
        text=TEXT_TOKENS,
        prompts=facts.prompts,
        teacher_steps=facts.teacher_steps,
        scores="\n".join([HEAD, *rows]),
        shown=min(SHOWN, facts.prompts),
        paths=facts.paths,
        note=facts.note,
        scale=facts.scale,
        path_steps=paths.STEPS,
        recipes="\n".join(
            [
                "| steps | starts from | updates on lines | updates on walks | minutes |",
                "|---|---|---|---|---|",
                *recipes,
            ]
        ),
    )
    (out / "README.md").write_text(text, encoding="utf-8")
