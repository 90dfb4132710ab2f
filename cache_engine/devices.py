"""The device of this machine and its free memory. Torch is imported inside the functions."""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess

from .placement import Device


def device() -> Device:
    """Return the accelerator, or the CPU where there is none."""
    import torch

    if os.environ.get("SPACES_ZERO_GPU"):  # the real card is unknown until a fork gets one
        return Device("cuda", "ZeroGPU")
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return Device("cuda", torch.cuda.get_device_name(), free, total, native)
    name = platform.processor() or platform.machine()
    return Device("mps" if torch.backends.mps.is_available() else "cpu", name)


def installed(package: str) -> bool:
    """Return whether the package can be imported; it is not imported."""
    return importlib.util.find_spec(package) is not None


def nvidia_card() -> str | None:
    """Return the name of an NVIDIA card from its driver, independent of torch; None without a driver."""
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
    """Return a sentence if this machine has an NVIDIA card that the installed torch cannot use, else None."""
    import torch

    card = nvidia_card()
    if card is None or torch.cuda.is_available():
        return None
    if torch.version.cuda is None:
        return (
            f"torch: {torch.__version__} is a CPU build, but there is an {card}; install a CUDA build with "
            "`pip install --force-reinstall torch torchvision --index-url "
            "https://download.pytorch.org/whl/cu128`."
        )
    return (
        f"torch: {torch.__version__} is built for CUDA {torch.version.cuda} but cannot use the {card}; "
        "update the NVIDIA driver, or install a torch built for an older CUDA."
    )
