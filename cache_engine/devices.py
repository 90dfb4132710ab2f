"""Describes this machine's device and its free memory. Torch is imported inside the functions."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess

from .placement import Device


def device() -> Device:
    """Return the accelerator, or the CPU if the machine has no accelerator."""
    import torch

    # on ZeroGPU, the real card is unknown until a forked process gets a card
    if os.environ.get("SPACES_ZERO_GPU"):
        return Device("cuda", "ZeroGPU")
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return Device("cuda", torch.cuda.get_device_name(), free, total, native)
    name = platform.processor() or platform.machine()
    return Device("mps" if torch.backends.mps.is_available() else "cpu", name)


def installed(package: str) -> bool:
    """Return whether the package can be imported, without importing it."""
    return importlib.util.find_spec(package) is not None


def nvidia_card() -> str | None:
    """Return the name of the NVIDIA card as its driver reports it, without torch. Return None without a
    driver.
    """
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    try:
        names = subprocess.run(
            [program, "--query-gpu=name", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            encoding="utf-8",
            errors="replace",
            timeout=10,
            check=True,
        ).stdout
    except (OSError, subprocess.SubprocessError):
        return None
    return names.strip().splitlines()[0] if names.strip() else None


def wrong_torch() -> str | None:
    """Return a sentence if the installed torch cannot use this machine's NVIDIA card, otherwise None."""
    import torch

    card = nvidia_card()
    if card is None or torch.cuda.is_available():
        return None
    if torch.version.cuda is None:
        return (
            f"torch: {torch.__version__} is a CPU build, but this machine has an {card}; install a CUDA "
            "build with `pip install --force-reinstall torch torchvision --index-url "
            "https://download.pytorch.org/whl/cu128`."
        )
    return (
        f"torch: {torch.__version__} is built for CUDA {torch.version.cuda} but cannot use the {card}; "
        "update the NVIDIA driver, or install a torch built for an older CUDA."
    )
