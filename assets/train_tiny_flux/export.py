"""Export: averaged weights as a stock FluxPipeline folder, with what the embedded model's row needs to
know.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import torch
from diffusers import FluxPipeline

from cache_engine.models.patch_autoencoder import PatchAutoencoder
from cache_engine.models.tiny_flux import weights_hash

from .build import build
from .domain import DRAWN, TEXT_TOKENS, words
from .train import use_average

TRUE_CFG_SCALE = 2.0
MOST_BYTES, MOST_DECODER_BYTES = 40_000_000, 8_000_000
EXAMPLES = (
    "a small red apple on the left of a blue background",
    "a big panda on a pink background",
    "purple background, rocket, top right",
    "a happy dog at the bottom of a yellow background",
    "a large sunflower in the middle of a gray background",
    "a tiny green turtle on the right, white background",
)


def export(checkpoints: Path, out: Path) -> None:
    """Writes the pipeline of the last checkpoint's averaged weights: text encoders in float32, the rest in
    float16.

    The decoder is untrained until ``save_decoder`` writes another one.

    (A text encoder saved in float16 comes back as float16, the transformer as float32, and the two do not
    mix.)
    """
    pipe = build(PatchAutoencoder.from_pretrained(checkpoints / "vae"))
    facts = use_average(pipe, checkpoints)
    pipe.transformer.half()
    pipe.vae.register_to_config(_name_or_path="")  # otherwise the folder's path would be stored
    pipe.vae.decoder.half()
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
        "size": DRAWN,
        "max_sequence_length": TEXT_TOKENS,
        "true_cfg_scale": TRUE_CFG_SCALE,
        "examples": EXAMPLES,
        "words": words(),
        "trained": {k: round(v) for k, v in facts.items()},
    }
    _write_domain(out, domain)
    size = sum(path.stat().st_size for path in out.rglob("*") if path.is_file())
    print(f"{out}: {size / 1e6:.1f} MB after {facts['samples']} samples")
    if size > MOST_BYTES:
        raise SystemExit(f"{out}: {size} bytes are more than the {MOST_BYTES} that a clone should carry.")


def save_decoder(vae: PatchAutoencoder, out: Path, updates: int, seconds: float) -> None:
    """Write the autoencoder with its trained decoder, in float16, into the exported pipeline.

    updates, seconds: of the decoder's training. They are stored in domain.json.
    """
    vae.register_to_config(_name_or_path="")
    vae.decoder.half()
    vae.save_pretrained(out / "vae")
    vae.decoder.float()
    size = sum(path.stat().st_size for path in (out / "vae").iterdir())
    if size > MOST_DECODER_BYTES:
        raise SystemExit(f"{out / 'vae'}: {size} bytes are more than the {MOST_DECODER_BYTES} allowed.")
    domain = json.loads((out / "domain.json").read_text(encoding="utf-8"))
    domain["trained"] |= {"decoder_updates": updates, "decoder_seconds": round(seconds)}
    _write_domain(out, domain)


def _write_domain(out: Path, domain: dict[str, Any]) -> None:
    """Write the facts that the embedded model's row needs to know, with the hash of the exported weights."""
    domain["weights"] = weights_hash(out)
    (out / "domain.json").write_text(json.dumps(domain, indent=1) + "\n", encoding="utf-8")


def load(out: Path) -> FluxPipeline:
    """Load the exported pipeline in float32."""
    vae = PatchAutoencoder.from_pretrained(out / "vae", torch_dtype=torch.float32)
    pipe = FluxPipeline.from_pretrained(out, vae=vae, torch_dtype=torch.float32)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def scale(out: Path) -> float:
    """Return the true_cfg_scale that the exported model names."""
    return float(json.loads((out / "domain.json").read_text(encoding="utf-8"))["true_cfg_scale"])
