"""``doctor``: what there is to run on, which models fit and how, whether a hub token is set, and what is
installed.
"""

from __future__ import annotations

import argparse
import os
import platform
from importlib.metadata import PackageNotFoundError, version

from ..devices import device, installed, wrong_torch
from ..models.catalog import MODELS
from ..placement import GIB, Device, gibibytes, place
from ..strict import EngineError
from .shared import Answer, Command, table

PACKAGES = ("torch", "diffusers", "transformers", "accelerate", "calflops", "gradio", "peft", "torchao")
VARIABLES = (
    "FLUX_DIR",
    "FLUX_SCHNELL_DIR",
    "FLUX2_KLEIN_DIR",
    "QWEN_IMAGE_DIR",
    "QWEN_IMAGE_LIGHT_DIR",
    "CLIP_MODEL_DIR",
    "IMAGEREWARD_MODEL_DIR",
    "HF_HOME",
)


def arguments(parser: argparse.ArgumentParser) -> None:
    del parser


def run(options: argparse.Namespace) -> Answer:
    del options
    from ..models.hub import token

    found = device()
    fits = [fitting(name, found) for name in MODELS]
    trouble = wrong_torch()
    data = {
        "device": {
            "kind": found.kind,
            "name": found.name,
            "free_bytes": found.free,
            "total_bytes": found.total,
            "bfloat16": found.bfloat16,
        },
        "problem": trouble,
        "models": fits,
        "token": token(),
        "folders": {name: os.environ[name] for name in VARIABLES if os.environ.get(name)},
        "versions": {
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.release()}",
            **{name: package_version(name) for name in PACKAGES},
        },
    }
    memory = (
        f", {gibibytes(found.free)} free of {gibibytes(found.total)}" if found.free and found.total else ""
    )
    lines = [
        f"device    {found.kind}: {found.name}{memory}",
        f"token     {'set' if data['token'] else 'not set: gated models need HF_TOKEN'}",
        *(f"folder    {name}={folder}" for name, folder in data["folders"].items()),
        *([f"problem   {trouble}"] if trouble else []),
        "versions  "
        + ", ".join(f"{name} {one or 'not installed'}" for name, one in data["versions"].items()),
        "",
        table(
            [
                ("model", "here?", "how it would run"),
                *((one["model"], "yes" if one["here"] else "no", one["how"]) for one in fits),
            ]
        ),
    ]
    return Answer(data, "\n".join(lines), code=1 if trouble else 0)


def fitting(name: str, found: Device) -> dict[str, object]:
    """Whether a row is on this machine and how it would be placed now."""
    spec = MODELS[name]
    reason = spec.unavailable()
    try:
        placement = place(spec.title, spec.memory, found, quantiser=installed("torchao"))
    except EngineError as error:
        return {
            "model": name,
            "here": reason is None,
            "fits": False,
            "how": str(error),
            "unavailable": reason,
        }
    slow = placement.device == "cpu" and spec.memory is not None and spec.memory.whole > 8 * GIB
    how = f"{placement.dtype}, {placement.mode}" + (
        f", {placement.quantisation} weights" if placement.quantisation != "none" else ""
    )
    how += "; minutes a step on a CPU" if slow else f"; {placement.why}" if placement.why else ""
    return {"model": name, "here": reason is None, "fits": True, "how": how, "unavailable": reason}


def package_version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None


COMMAND = Command("doctor", "what there is to run on, what fits, and what is missing", arguments, run)
