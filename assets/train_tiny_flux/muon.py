"""Muon in float32: momentum whose matrices are made orthogonal by a few Newton-Schulz steps."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)


def orthogonal(matrices: Tensor, steps: int = 5) -> Tensor:
    """Nearest (semi-)orthogonal matrices, roughly, of a stack (K, rows, columns) with rows <= columns."""
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    a, b, c = COEFFICIENTS
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x


class Muon(torch.optim.Optimizer):
    """For the inner matrices of a network; matrices of one shape are handled together.

    `lr` is the size of an update's entries (root mean square), so AdamW's rates can be used here too, times 0.2 or so.
    """

    def __init__(self, parameters: Iterable[Tensor], lr: float, momentum: float = 0.95, weight_decay: float = 0.0) -> None:
        super().__init__(parameters, {"lr": lr, "momentum": momentum, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """One update of every matrix that has a gradient."""
        for group in self.param_groups:
            shapes: dict[tuple[int, int], list[Tensor]] = defaultdict(list)
            for p in group["params"]:
                if p.grad is not None:
                    shapes[tuple(sorted(p.shape))].append(p)
            for same in shapes.values():
                moved = []
                for p in same:
                    momentum = self.state[p].setdefault("momentum", torch.zeros_like(p))
                    momentum.lerp_(p.grad, 1 - group["momentum"])
                    update = torch.lerp(p.grad, momentum, group["momentum"])
                    moved.append(update if update.shape[0] <= update.shape[1] else update.mT)
                size = group["lr"] * max(same[0].shape) ** 0.5  # rms of an orthogonal n x m matrix: 1 / sqrt(max)
                for p, update in zip(same, orthogonal(torch.stack(moved))):
                    p.mul_(1 - group["lr"] * group["weight_decay"])
                    p.add_(update if p.shape[0] <= p.shape[1] else update.mT, alpha=-size)
