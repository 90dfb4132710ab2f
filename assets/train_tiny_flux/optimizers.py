"""AdamW's and Muon's updates as functions of plain tensors, so that processes can share the work and the
state.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

COEFFICIENTS = (3.4445, -4.7750, 2.0315)  # Muon's quintic: a x + b x^3 + c x^5


def orthogonal(matrices: Tensor, steps: int = 5) -> Tensor:
    """Nearest (semi-)orthogonal matrices, roughly, of a stack (K, rows, columns) with rows <= columns.

    Newton-Schulz on the small Gram matrices: all factors are polynomials of one symmetric matrix, so they
    commute.
    """
    x = matrices / (matrices.norm(dim=(1, 2), keepdim=True) + 1e-7)
    gram = x @ x.mT
    a, b, c = COEFFICIENTS
    eye = a * torch.eye(gram.shape[-1])
    total = None
    for step in range(steps):
        factor = torch.baddbmm(gram, gram, gram, beta=b, alpha=c) + eye
        total = factor if total is None else factor @ total
        if step < steps - 1:
            gram = factor @ gram @ factor
    assert total is not None
    return total @ x


def muon(
    values: Sequence[Tensor],
    slopes: Sequence[Tensor],
    momentum: Sequence[Tensor],
    rate: float,
    keep: float = 0.95,
) -> None:
    """One update of inner matrices, in place; those of one shape go together.

    `rate` is the size of an update's entries (root mean square), so AdamW's rates can be used here too, times
    0.2 or so.
    """
    shapes: dict[tuple[int, ...], list[tuple[Tensor, Tensor]]] = defaultdict(list)
    for value, slope, moving in zip(values, slopes, momentum):
        moving.lerp_(slope, 1 - keep)
        update = torch.lerp(slope, moving, keep)
        shapes[tuple(sorted(value.shape))].append(
            (value, update if value.shape[0] <= value.shape[1] else update.mT)
        )
    for shape, pairs in shapes.items():
        size = rate * shape[1] ** 0.5  # entries of an orthogonal n x m matrix are about 1 / sqrt(max(n, m))
        for (value, _), update in zip(pairs, orthogonal(torch.stack([update for _, update in pairs]))):
            value.add_(update if value.shape[0] <= value.shape[1] else update.mT, alpha=-size)


def adam(
    values: Sequence[Tensor],
    slopes: Sequence[Tensor],
    momentum: Sequence[Tensor],
    square: Sequence[Tensor],
    rate: float,
    step: int,
    betas: tuple[float, float] = (0.9, 0.95),
) -> None:
    """Update, in place, all weights that `muon` does not update. `step` counts from 1."""
    torch._foreach_lerp_(momentum, slopes, 1 - betas[0])
    torch._foreach_mul_(square, betas[1])
    torch._foreach_addcmul_(square, slopes, slopes, 1 - betas[1])
    spread = torch._foreach_sqrt(square)
    torch._foreach_div_(spread, (1 - betas[1] ** step) ** 0.5)
    torch._foreach_add_(spread, 1e-8)
    torch._foreach_addcdiv_(values, momentum, spread, -rate / (1 - betas[0] ** step))
