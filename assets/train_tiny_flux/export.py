"""Export: averaged weights as a stock FluxPipeline folder, with what the embedded model's row needs to
know.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from diffusers import FluxPipeline

from cache_engine.models.patch_autoencoder import PatchAutoencoder

from .build import build
from .domain import SIZE, TEXT_TOKENS, words
from .train import use_average

TRUE_CFG_SCALE = 2.0
MOST_BYTES = 40_000_000
EXAMPLES = (
    "a small red apple on the left of a blue background",
    "a big panda on a pink background",
    "purple background, rocket, top right",
    "a happy dog at the bottom of a yellow background",
    "a large sunflower in the middle of a gray background",
    "a tiny green turtle on the right, white background",
)


def export(checkpoints: Path, out: Path) -> None:
    """Writes the pipeline of the last checkpoint's averaged weights; text encoders float32, the rest float16.

    (A text encoder saved in float16 comes back as float16, the transformer as float32, and the two do not
    mix.)
    """
    pipe = build(PatchAutoencoder.from_pretrained(checkpoints / "vae"))
    facts = use_average(pipe, checkpoints)
    pipe.transformer.half()
    pipe.vae.register_to_config(_name_or_path="")  # otherwise the folder's path would be stored
    for part in (
        "scheduler",
        "text_encoder",
        "text_encoder_2",
        "tokenizer",
        "tokenizer_2",
        "transformer",
        "vae",
    ):
        shutil.rmtree(out / part, ignore_errors=True)
    pipe.save_pretrained(out)
    domain = {
        "size": SIZE,
        "max_sequence_length": TEXT_TOKENS,
        "true_cfg_scale": TRUE_CFG_SCALE,
        "examples": EXAMPLES,
        "words": words(),
        "trained": {k: round(v) for k, v in facts.items()},
    }
    (out / "domain.json").write_text(json.dumps(domain, indent=1) + "\n", encoding="utf-8")
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"{out}: {size / 1e6:.1f} MB after {facts['samples']} samples")
    if size > MOST_BYTES:
        raise SystemExit(f"{out}: {size} bytes are more than the {MOST_BYTES} that a clone should carry.")


def load(out: Path) -> FluxPipeline:
    """Load the exported pipeline in float32."""
    vae = PatchAutoencoder.from_pretrained(out / "vae", torch_dtype=torch.float32)
    pipe = FluxPipeline.from_pretrained(out, vae=vae, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def scale(out: Path) -> float:
    """Return the true_cfg_scale that the exported model names."""
    return float(json.loads((out / "domain.json").read_text(encoding="utf-8"))["true_cfg_scale"])
