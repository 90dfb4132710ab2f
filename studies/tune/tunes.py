"""The whole tunes of the tune study: their goals, folders and command lines."""

from __future__ import annotations

from pathlib import Path

from cache_engine import MODELS
from studies.shared import BUILD
from studies.tune.grid import STEPS
from studies.tune.prompts import ACCEPTED, TUNED

FLOORS = (30, 40, 45)  # dB
# tunes that are made completely, with their acceptance prompts
TUNES = tuple((floor, STEPS[0]) for floor in FLOORS[:2])
SEED = 2700


def folder_of(floor: float, steps: int) -> Path:
    return BUILD / "tune" / MODELS["tiny"].revision() / f"tune-{floor}-{steps}"


def arguments(floor: float, steps: int) -> list[str]:
    """Return the arguments of ``python -m cache_engine``, and write the prompt files that they name."""
    out = folder_of(floor, steps)
    for name, prompts in (("tuned", TUNED), ("accepted", ACCEPTED)):
        (out.parent / f"{name}.txt").write_text("\n".join(prompts) + "\n", encoding="utf-8")
    return [
        "tune",
        *("--model", "tiny"),
        *("--steps", str(steps)),
        *("--seed", str(SEED)),
        *("--prompts", str(out.parent / "tuned.txt")),
        *("--accept", str(out.parent / "accepted.txt")),
        *("--min-psnr", str(floor)),
        *("--out", str(out)),
    ]
