"""What there is to run on: the device and its free memory, as torch and the operating system tell. Torch is
imported inside.
"""

from __future__ import annotations

import importlib.util
import os
import platform
import shutil
import subprocess

from .placement import Device


def device() -> Device:
    """The accelerator where there is one, else the CPU."""
    import torch

    if os.environ.get(
        "SPACES_ZERO_GPU"
    ):  # a stand-in until a fork gets the real card, of which nothing is told before
        return Device("cuda", "ZeroGPU")
    if torch.cuda.is_available():
        free, total = torch.cuda.mem_get_info()
        native = torch.cuda.is_bf16_supported(including_emulation=False)
        return Device("cuda", torch.cuda.get_device_name(), free, total, native)
    name = platform.processor() or platform.machine()
    return Device("mps" if torch.backends.mps.is_available() else "cpu", name)


def installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def nvidia_card() -> str | None:
    """The name of an NVIDIA card as its driver tells, whatever torch thinks; None without a driver."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    try:
        told = subprocess.run(
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
    return told.strip().splitlines()[0] if told.strip() else None


def wrong_torch() -> str | None:
    """A sentence where an NVIDIA card is there and this torch cannot use it."""
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
        f"torch: {torch.__version__} is built for CUDA {torch.version.cuda} but cannot use the {card}; update "
        "the NVIDIA driver, or install a torch built for an older CUDA."
    )
