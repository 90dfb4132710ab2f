"""One clock for host and device: marks that cost no synchronisation, seconds between them when all is done."""

from __future__ import annotations

from time import perf_counter
from typing import Any

import torch


class Clock:
    """``mark`` is a host time, or an event in the device's own queue; ``between`` waits for the later one."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.live = device.type != "cuda"

    def mark(self) -> Any:
        if self.live:
            return perf_counter()
        event = torch.cuda.Event(enable_timing=True)
        event.record()
        return event

    def between(self, start: Any, end: Any) -> float:
        """Seconds from one mark to a later one."""
        if self.live:
            return end - start
        end.synchronize()
        return start.elapsed_time(end) / 1000

    def synchronise(self) -> float:
        """Wait for the device, then the host's time in seconds."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return perf_counter()
