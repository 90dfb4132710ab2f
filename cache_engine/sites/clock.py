"""One clock for host and device. Marks do not synchronise the device; the beginning and the end of the loop
do.
"""

from __future__ import annotations

from time import perf_counter
from typing import Any

import torch


class Clock:
    """Measures the times of calls and of the denoising loop on one device.

    loop_begins, loop_ends: the host's times in seconds, read when the device has finished all its work; None
    before that.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.live = device.type == "cpu"  # values and times can be read without waiting for the device
        self.loop_begins: float | None = None
        self.loop_ends: float | None = None

    def mark(self) -> Any:
        """Return a mark of the present time: the host's time, or an event in the CUDA device's own queue."""
        if self.device.type != "cuda":
            return perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def between(self, start: Any, end: Any) -> float:
        """Return the seconds between two marks. The host waits until the device has
        reached the later mark.
        """
        if isinstance(start, float):
            return end - start
        end.synchronize()
        return start.elapsed_time(end) / 1000

    def fetch(self, scalar: torch.Tensor) -> float:
        """Return a value from the device. The host waits for all earlier work of the device."""
        return float(scalar)

    def synchronise(self) -> float:
        """Wait for the device and return the host's time in seconds."""
        if self.device.type not in ("cpu", "meta"):
            torch.accelerator.synchronize(self.device)
        return perf_counter()
