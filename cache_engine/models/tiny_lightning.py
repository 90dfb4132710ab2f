"""The embedded model with few steps and without guidance: LoRAs that were distilled from it. The LoRAs' card
is in assets/tiny_lightning/.
"""

from __future__ import annotations

import hashlib
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from ..model import Coefficients, ModelSpec
from ..placement import Placement
from . import tiny_flux
from .lora_files import fused

HASHES = "hashes.json"  # the hashes of the LoRA files
FOLDER = Path(__file__).resolve().parents[2] / "assets" / "tiny_lightning"


def file_hash(file: Path) -> str:
    """Return a hash of a file."""
    return hashlib.sha256(file.read_bytes()).hexdigest()[:12]


def few_step_row(teacher: ModelSpec, steps: int) -> ModelSpec:
    """Return the row whose LoRA draws in this many steps, with one call in each step."""
    title = f"tiny FLUX Lightning, {steps} steps (embedded)"
    file = FOLDER / f"tiny-lightning-{steps}.safetensors"

    def load(placement: Placement, **parts: Any) -> Any:
        exported = tiny_flux.read_json(FOLDER / HASHES).get(file.name)
        tiny_flux.refuse_changed(file_hash(file), exported, "assets/tiny_lightning")
        return fused(lambda: teacher.load(placement, **parts), lambda: file, title, placement)

    def unavailable() -> str | None:
        missing = f"{file.name} is missing from assets/tiny_lightning; restore it from the repository."
        return teacher.unavailable() or (None if file.is_file() else missing)

    @cache
    def revision() -> str:
        """Return a hash of the teacher's weights and the LoRA's weights."""
        return hashlib.sha256(teacher.revision().encode() + file.read_bytes()).hexdigest()[:12]

    return replace(
        teacher,
        name=f"tiny-lightning-{steps}",
        title=title,
        load=load,
        steps=steps,
        true_cfg_scale=1.0,
        needs=f"{teacher.needs}, and 3 MB for the LoRA",
        revision=revision,
        unavailable=unavailable,
        coefficients=Coefficients(),  # the teacher's coefficients were measured on other weights
        psnr_calibration=None,
    )


ROWS = tuple(few_step_row(teacher, steps) for teacher in tiny_flux.ROWS for steps in (8, 4))
