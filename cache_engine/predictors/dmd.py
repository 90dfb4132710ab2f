"""Dynamic mode decomposition: damped and turning exponentials, fitted to evenly spaced computed values."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from ..plans import Gram
from .differences import Taylor, no_inner_products


@dataclass(frozen=True)
class DMD:
    """The linear map that takes each computed value to the next one, raised to the (fractional) power of the
    gap.

    Sources: Schmid 2010; cache-dit 1.5.3 (behaviour, not code), whose floor of four evenly spaced values,
    window of six and cut-off at 1e-4 of the largest singular value are kept, as is its fallback:
    ``fallback``'s forecast below the floor. The fit lies in the span of the values, so it needs their inner
    products alone and comes out as a row of weights. Ours differs: one fit for a whole batch, where cache-dit
    fits each picture of it.
    """

    fallback: Taylor = field(default=Taylor(1, first_difference=3))
    keep: int = 6
    uses_last_prediction, needs_inner_products = False, True

    def row(
        self,
        steps: tuple[int, ...],
        step: int,
        total: int = 0,
        last_prediction: int | None = None,
        gram: Gram = no_inner_products,
    ) -> tuple[float, ...]:
        even = self._evenly_spaced(steps)
        if even < 4:
            recent = self.fallback.row(steps[: self.fallback.keep], step)
            return (*recent, *(0.0,) * (len(steps) - len(recent)))
        newest_first = [line[:even] for line in gram()[:even]]
        weights = modes(newest_first, (step - steps[0]) / (steps[0] - steps[1]))
        return (*weights, *(0.0,) * (len(steps) - even))

    def _evenly_spaced(self, steps: tuple[int, ...]) -> int:
        gaps = [now - before for now, before in pairwise(steps)]
        same = next((place for place, gap in enumerate(gaps) if gap != gaps[0]), len(gaps))
        return same + 1


def modes(gram: list[tuple[float, ...]], ahead: float) -> tuple[float, ...]:
    """Return the weights, newest first, that predict the value ``ahead`` spacings after the newest one.

    The weights are those of reuse if no mode can be fitted.

    gram: inner products of the values, newest first.
    """
    import numpy as np  # the eigenvalues of a matrix that is not symmetric

    inner = np.array(gram, dtype=np.float64)[::-1, ::-1]  # oldest first, as the map runs
    energies, turn = np.linalg.eigh(inner[:-1, :-1])
    reuse = (1.0,) + (0.0,) * (len(gram) - 1)
    if not np.isfinite(energies).all() or energies[-1] <= 0:
        return reuse
    large = energies > energies[-1] * 1e-8  # squares of the singular values
    scaled = turn[:, large] / np.sqrt(energies[large])
    eigenvalues, vectors = np.linalg.eig(scaled.T @ inner[:-1, 1:] @ scaled)
    shapes = scaled @ vectors  # each mode as weights over the values 1..n
    products = shapes.conj().T @ inner[1:, 1:] @ shapes
    amplitudes = np.linalg.lstsq(products, shapes.conj().T @ inner[1:, -1], rcond=1e-12)[0]
    weights = (shapes @ (eigenvalues.astype(complex) ** ahead * amplitudes)).real
    return (*weights[::-1].tolist(), 0.0) if np.isfinite(weights).all() else reuse
