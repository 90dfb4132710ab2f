"""Spectrum's forecast: Chebyshev polynomials, fitted to all computed values by ridge regression, mixed with a
straight line.
"""

from __future__ import annotations

from dataclasses import dataclass

from ..plans import Gram
from .differences import Newton, no_inner_products


@dataclass(frozen=True)
class Chebyshev:
    """Polynomials T_0 to T_degree over the whole run, fitted to every computed value. ``total`` sets their
    domain.

    Paper: Spectrum (arXiv 2603.01623), with ``tau = 2 t / total - 1`` and the coefficients ``(P'P + ridge
    I)^-1 P'F``. ``blend`` is the weight of the fit; the rest is a straight line through the last two values.
    """

    degree: int = 4
    ridge: float = 0.1
    blend: float = 0.5
    keep: int = 200
    uses_last_prediction = needs_inner_products = False

    def row(
        self,
        steps: tuple[int, ...],
        step: int,
        total: int = 0,
        last_prediction: int | None = None,
        gram: Gram = no_inner_products,
    ) -> tuple[float, ...]:
        basis = [self._basis(2 * at / total - 1) for at in steps]
        normal = [
            [sum(row[i] * row[j] for row in basis) + self.ridge * (i == j) for j in range(self.degree + 1)]
            for i in range(self.degree + 1)
        ]
        # the matrix is symmetric, so we solve for the predicted point and not for the data
        at = solved(normal, self._basis(2 * step / total - 1))
        line = Newton(1).row(steps[:2], step)
        return tuple(
            self.blend * sum(a * value for a, value in zip(at, row, strict=True))
            + (1 - self.blend) * (line[place] if place < len(line) else 0)
            for place, row in enumerate(basis)
        )

    def _basis(self, tau: float) -> list[float]:
        values = [1.0, tau]
        while len(values) <= self.degree:
            values.append(2 * tau * values[-1] - values[-2])
        return values[: self.degree + 1]


def solved(matrix: list[list[float]], right: list[float]) -> list[float]:
    """Solve a small positive definite system by elimination. The pivots of the elimination are positive
    without exchanging rows.
    """
    rows = [[*row, value] for row, value in zip(matrix, right, strict=True)]
    for place, pivot in enumerate(rows):
        for row in rows[place + 1 :]:
            factor = row[place] / pivot[place]
            row[place:] = [a - factor * b for a, b in zip(row[place:], pivot[place:], strict=True)]
    solution: list[float] = []
    for place in reversed(range(len(rows))):
        row = rows[place]
        rest = sum(a * b for a, b in zip(row[place + 1 : -1], solution, strict=True))
        solution.insert(0, (row[-1] - rest) / row[place])
    return solution
