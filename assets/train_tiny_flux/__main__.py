"""The whole recipe by hand: ``python -m assets.train_tiny_flux STAGE [--smoke]``. STAGE is train, export,
decoder, evaluate, card or all.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path

import torch

from cache_engine.models.patch_autoencoder import PatchAutoencoder

from . import card, decoder, evaluate, export
from .basis import fit
from .build import build
from .decoder_quality import decoder_quality
from .train import Recipe, Trainer

FOLDER = Path("build/tiny_flux")
OUT = Path(__file__).resolve().parents[1] / "tiny_flux"
MINUTES = 120.0
SMOKE_STEPS, SMOKE_PROMPTS, SMOKE_RENDERS = 3, 2, 200


def train(options: argparse.Namespace) -> None:
    """Train for one sitting. If a checkpoint exists, train for the rest of its sitting."""
    torch.set_flush_denormal(True)
    recipe = Recipe(minutes=options.minutes, batch=options.batch)
    if options.smoke:
        recipe = recipe._replace(steps=SMOKE_STEPS, batch=2, warmup_steps=1, compile=False)
    kept = options.folder / "vae"  # weights fit only the autoencoder of their training
    vae = (
        PatchAutoencoder.from_pretrained(kept)
        if kept.exists()
        else fit(SMOKE_RENDERS)
        if options.smoke
        else fit()
    )
    trainer = Trainer(build(vae), options.folder, recipe)
    if trainer.resume():
        print(f"resumed at step {trainer.step}")
    trainer.run()


def write(options: argparse.Namespace) -> None:
    """Write the averaged weights of the last checkpoint as a pipeline."""
    export.export(options.folder, options.out)


def train_decoder(options: argparse.Namespace) -> None:
    """Train the decoder on renders and on the exported denoiser's own latents, and write it.

    If a checkpoint exists, train for the remaining updates.
    """
    evaluate.refuse_beside_training(options.folder)
    torch.set_flush_denormal(True)
    prompts, size, parts = decoder.PROMPTS, decoder.BATCH, decoder.PARTS
    if options.smoke:
        prompts, size, parts = SMOKE_PROMPTS, 2, [part._replace(steps=SMOKE_STEPS) for part in parts]
    pipe = export.load(options.out)
    own = decoder.finals_of(pipe, options.folder, prompts)
    seconds = sum(decoder.train(pipe.vae, own, options.folder, part, size) for part in parts)
    export.save_decoder(pipe.vae, options.out, sum(part.steps for part in parts), seconds)


def score(options: argparse.Namespace) -> None:
    """Score the exported pipeline on held-out prompts. Print the scores and store them for the card."""
    evaluate.refuse_beside_training(options.folder)
    count, steps = (SMOKE_PROMPTS, SMOKE_STEPS) if options.smoke else (options.prompts, evaluate.STEPS)
    pipe = export.load(options.out)
    scores, pictures = evaluate.evaluate(pipe, count, export.scale(options.out), steps)
    quality = decoder_quality(pipe.vae, count)._asdict()
    card.keep(options.folder, "scores", {"prompts": count, "steps": steps, **scores, "decoder": quality})
    card.contact_sheet(pictures, options.folder / "evaluated.png")
    for figures in (scores, quality):
        print(json.dumps({name: round(value, 3) for name, value in figures.items()}))


def describe(options: argparse.Namespace) -> None:
    """Measure the model with a cache, and write the model's card."""
    evaluate.refuse_beside_training(options.folder)
    card.write(options.folder, options.out, smoke=options.smoke)


STAGES = {"train": train, "export": write, "decoder": train_decoder, "evaluate": score, "card": describe}


def main() -> None:
    """Runs the stages that were asked for, in order."""
    parser = argparse.ArgumentParser(prog="python -m assets.train_tiny_flux", description=__doc__)
    parser.add_argument("stage", choices=(*STAGES, "all"))
    parser.add_argument(
        "--folder",
        type=Path,
        default=Path(os.environ.get("TINY_FLUX_FOLDER", FOLDER)),
        help="checkpoints, log and measurements (or TINY_FLUX_FOLDER)",
    )
    parser.add_argument(
        "--out", type=Path, help="the exported pipeline; default: assets/tiny_flux, or in FOLDER for --smoke"
    )
    parser.add_argument("--minutes", type=float, default=MINUTES, help="length of the sitting, by the clock")
    parser.add_argument("--batch", type=int, default=8, help="samples a step of each of the two processes")
    parser.add_argument("--prompts", type=int, default=200, help="held-out prompts to evaluate")
    parser.add_argument(
        "--smoke", action="store_true", help="each stage for a few steps only, away from assets/tiny_flux"
    )
    options = parser.parse_args()
    options.out = options.out or (options.folder / "tiny_flux" if options.smoke else OUT)
    for name in STAGES if options.stage == "all" else (options.stage,):
        STAGES[name](options)


if __name__ == "__main__":
    main()
