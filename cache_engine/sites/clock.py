"""One clock for host and device: marks that cost no synchronisation, and the denoise loop between two that
do.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

import torch


class Clock:
    """``mark`` is a host time, or an event in a CUDA device's own queue; ``between`` waits for the later one.

    ``loop_begins`` and ``loop_ends`` are host times in seconds, taken when the device has nothing left to do.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.live = (
            device.type == "cpu"
        )  # a value can be fetched, and a time read, without waiting for the device
        self.loop_begins: float | None = None
        self.loop_ends: float | None = None

    def mark(self) -> Any:
        if self.device.type != "cuda":
            return perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def between(self, start: Any, end: Any) -> float:
        """Seconds from one mark to a later one."""
        if isinstance(start, float):
            return end - start
        end.synchronize()
        return start.elapsed_time(end) / 1000

    def fetch(self, scalar: torch.Tensor) -> float:
        """A value off the device: whoever asks waits for all that the device has to do before."""
        return float(scalar)

    def synchronise(self) -> float:
        """Wait for the device, then the host's time in seconds."""
        if self.device.type not in ("cpu", "meta"):
            torch.accelerator.synchronize(self.device)
        return perf_counter()
