"""The recipe by hand: ``python -m assets.train_lightning paths|train|export|evaluate|all [--smoke]``."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from diffusers import FluxPipeline
from safetensors.torch import save_file

from assets.train_tiny_flux import export as teacher
from assets.train_tiny_flux.card import contact_sheet
from assets.train_tiny_flux.evaluate import STEPS
from cache_engine.models.tiny_lightning import HASHES, file_hash

from . import card, paths, scores
from .student import Recipe, Student

FOLDER = Path("build/tiny_lightning")
OUT = Path(__file__).resolve().parents[1] / "tiny_lightning"
MOST_BYTES = 3_000_000  # largest size of a LoRA file


class Scale(NamedTuple):
    """The amount of data and training. The first shard of paths only tests a student while it learns."""

    recipes: tuple[Recipe, ...]
    shards: int
    paths: int  # paths in a shard
    looked_at: int  # paths of the first shard that test a student
    prompts: int
    teacher_steps: int
    timed: int


FULL = Scale(
    (Recipe(8, slopes=350, walks=150, walk_batch=4), Recipe(4, slopes=100, walks=400, start=8)),
    shards=13,
    paths=64,
    looked_at=16,
    prompts=200,
    teacher_steps=STEPS,
    timed=5,
)
SHORT = dict(slope_batch=2, walk_batch=1)
SMOKE = Scale(
    (Recipe(8, slopes=1, walks=1, **SHORT), Recipe(4, slopes=0, walks=1, start=8, **SHORT)),
    shards=2,
    paths=2,
    looked_at=1,
    prompts=1,
    teacher_steps=2,
    timed=1,
)


def pipeline() -> FluxPipeline:
    """Read the teacher from its files, because a student changes the pipeline in place."""
    torch.set_flush_denormal(True)
    return teacher.load(scores.TEACHER)


def draw(options: argparse.Namespace, scale: Scale) -> None:
    """Write the teacher's paths that are missing."""
    paths.make(pipeline(), options.folder / "paths", scale.shards, teacher.scale(scores.TEACHER), scale.paths)


def train(options: argparse.Namespace, scale: Scale) -> None:
    """Train each student. Resume from its checkpoint, if there is one."""
    looked_at = paths.read(options.folder / "paths", range(1)).first(scale.looked_at)
    taught = paths.read(options.folder / "paths", range(1, scale.shards))
    for recipe in scale.recipes:
        student = Student(pipeline(), options.folder, recipe)
        if student.resume():
            print(f"{student.name} goes on at update {student.step}", flush=True)
        student.run(taught, looked_at)


def export(options: argparse.Namespace, scale: Scale) -> None:
    """Write the averaged weights as LoRA files."""
    options.out.mkdir(parents=True, exist_ok=True)
    for recipe in scale.recipes:
        student = Student(pipeline(), options.folder, recipe)
        if not student.resume():
            raise SystemExit(f"{student.checkpoint}: there is no such checkpoint; train first.")
        file = options.out / f"tiny-{student.name}.safetensors"
        save_file(student.lora(), file, {"format": "pt"})
        if file.stat().st_size > MOST_BYTES:
            raise SystemExit(f"{file}: it is larger than {MOST_BYTES} bytes; choose a smaller rank.")
    hashes = {file.name: file_hash(file) for file in sorted(options.out.glob("*.safetensors"))}
    (options.out / HASHES).write_text(json.dumps(hashes, indent=1) + "\n", encoding="utf-8")


def evaluate(options: argparse.Namespace, scale: Scale) -> None:
    """Score each LoRA beside the embedded model; write the card and the sheets.

    The folder keeps the latents. If it has a file note.md, a note about this sitting, the card includes it.
    """
    guidance, minutes = teacher.scale(scores.TEACHER), []
    ways = []
    for recipe in scale.recipes:
        name, steps = f"tiny-lightning-{recipe.steps}", recipe.steps
        ways += [
            scores.Way(f"`{name}`", steps, 1.0, options.out / f"{name}.safetensors"),
            scores.Way("embedded model, no guidance", steps, 1.0),
            scores.Way("embedded model, as many calls", steps // 2, guidance),
        ]
        state = torch.load(options.folder / f"lightning-{steps}.pt", weights_only=True)
        minutes.append(state["seconds"] / 60)

    def drawn(way: scores.Way, number: int) -> scores.Drawn:
        return scores.drawn(way, scale.prompts, scale.timed, options.folder / f"latents-{number}.pt")

    whole = scores.Way("embedded model", scale.teacher_steps, guidance)
    full = drawn(whole, 0)
    rows = [card.row(whole, scores.judged(full, None))]
    for number, way in enumerate(ways, 1):
        made = drawn(way, number)
        if way.lora:
            contact_sheet(made.pictures[: card.SHOWN], options.out / f"contact-sheet-{way.steps}.png")
        rows.append(card.row(way, scores.judged(made, full)))
    taught, side = (scale.shards - 1) * scale.paths, len(full.pictures[0])
    note = options.folder / "note.md"
    said = note.read_text(encoding="utf-8") if note.is_file() else ""
    facts = card.Facts(scale.prompts, scale.teacher_steps, taught, guidance, side, said)
    recipes = [card.learned(*pair) for pair in zip(scale.recipes, minutes, strict=True)]
    card.write(options.out, facts, rows, recipes)


STAGES = {"paths": draw, "train": train, "export": export, "evaluate": evaluate}


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the stages that were asked for, in order."""
    parser = argparse.ArgumentParser(prog="python -m assets.train_lightning", description=__doc__)
    parser.add_argument("stage", choices=(*STAGES, "all"))
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(os.environ.get("TINY_LIGHTNING_FOLDER", FOLDER)),
        help="paths, checkpoints, log and scores (or TINY_LIGHTNING_FOLDER)",
    )
    parser.add_argument(
        "--out",
        type=Path,
        help="for the LoRA files and the card; default: assets/tiny_lightning, or in FOLDER for --smoke",
    )
    parser.add_argument(
        "--smoke", action="store_true", help="every stage in small, away from assets/tiny_lightning"
    )
    options = parser.parse_args(arguments)
    options.out = options.out or (options.folder / "tiny_lightning" if options.smoke else OUT)
    for name in STAGES if options.stage == "all" else (options.stage,):
        STAGES[name](options, SMOKE if options.smoke else FULL)


if __name__ == "__main__":
    main()
