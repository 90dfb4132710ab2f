"""``doctor``: reports the device, the models that fit, the hub token, and the installed packages."""

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

    here = device()
    fits = [fitting(name, here) for name in MODELS]
    problem = wrong_torch()
    data = {
        "device": {
            "kind": here.kind,
            "name": here.name,
            "free_bytes": here.free,
            "total_bytes": here.total,
            "bfloat16": here.bfloat16,
        },
        "problem": problem,
        "models": fits,
        "token": token(),
        "folders": {name: os.environ[name] for name in VARIABLES if os.environ.get(name)},
        "versions": {
            "python": platform.python_version(),
            "system": f"{platform.system()} {platform.release()}",
            **{name: package_version(name) for name in PACKAGES},
        },
    }
    memory = f", {gibibytes(here.free)} free of {gibibytes(here.total)}" if here.free and here.total else ""
    lines = [
        f"device    {here.kind}: {here.name}{memory}",
        f"token     {'set' if data['token'] else 'not set: gated models need HF_TOKEN'}",
        *(f"folder    {name}={folder}" for name, folder in data["folders"].items()),
        *([f"problem   {problem}"] if problem else []),
        "versions  "
        + ", ".join(f"{name} {number or 'not installed'}" for name, number in data["versions"].items()),
        "",
        table(
            [
                ("model", "here?", "how it would run"),
                *((fit["model"], "yes" if fit["here"] else "no", fit["how"]) for fit in fits),
            ]
        ),
    ]
    return Answer(data, "\n".join(lines), code=1 if problem else 0)


def fitting(name: str, here: Device) -> dict[str, object]:
    """Return whether a row's weights are on this machine, and how the model would be placed now."""
    spec = MODELS[name]
    reason = spec.unavailable()
    try:
        placement = place(spec.title, spec.memory, here, quantiser=installed("torchao"))
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


COMMAND = Command("doctor", "report the device, the models that fit, and what is missing", arguments, run)
