"""LPIPS with AlexNet: the distance between two pictures in a trained network's features, at full size.

torchmetrics contains the small trained layers. AlexNet's weights are torchvision's and lie in torch's
download folder.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from ..metric import Metric, MetricInput, missing_package
from ..quality import pixels

ALEXNET = "alexnet-owt-7be5be79.pth"


class Lpips(Metric):
    name = "lpips"
    title = "LPIPS"
    better = "lower"
    reference = True
    source = "Zhang et al. 2018, AlexNet, version 0.1"
    memory = 300_000_000

    def __init__(self, device: str = "cpu") -> None:
        super().__init__(device)
        from torchmetrics.image.lpip import LearnedPerceptualImagePatchSimilarity

        self._net: Any = LearnedPerceptualImagePatchSimilarity(net_type="alex").to(device).eval()

    @classmethod
    def unavailable(cls) -> str | None:
        if reason := missing_package("lpips", "torchmetrics"):
            return reason
        folder = _checkpoints()
        if (folder / ALEXNET).is_file():
            return None
        return (
            f"lpips needs AlexNet's weights in {folder}: download "
            f"https://download.pytorch.org/models/{ALEXNET} there, or set TORCH_HOME."
        )

    def score(self, scored: MetricInput) -> float:
        import torch

        pair = [
            torch.from_numpy(pixels(picture).copy()).permute(2, 0, 1)[None].float().to(self.device) / 127.5
            - 1
            for picture in (scored.reference, scored.picture)
        ]
        with torch.inference_mode():
            self._net.reset()
            return float(self._net(*pair))


def _checkpoints() -> Path:
    """Return torch.hub's download folder, without importing torch."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("TORCH_HOME") or Path(cache) / "torch") / "hub" / "checkpoints"
