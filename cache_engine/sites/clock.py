"""One clock for host and device. Marks cost no synchronisation; the loop's begin and end are synchronised."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import torch


class Clock:
    """Times calls and the denoise loop on one device.

    loop_begins, loop_ends: host times in seconds, read when the device has finished all its work; before
    that None.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.live = device.type == "cpu"  # values and times can be read without waiting for the device
        self.loop_begins: float | None = None
        self.loop_ends: float | None = None

    def mark(self) -> Any:
        """Return the present: a host time, or an event in a CUDA device's own queue."""
        if self.device.type != "cuda":
            return perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def between(self, start: Any, end: Any) -> float:
        """Return the seconds from one mark to a later one; waits until the device reaches the later one."""
        if isinstance(start, float):
            return end - start
        end.synchronize()
        return start.elapsed_time(end) / 1000

    def fetch(self, scalar: torch.Tensor) -> float:
        """Return a value from the device. Waits for all work that the device was given before."""
        return float(scalar)

    def synchronise(self) -> float:
        """Wait for the device and return the host's time in seconds."""
        if self.device.type not in ("cpu", "meta"):
            torch.accelerator.synchronize(self.device)
        return perf_counter()
