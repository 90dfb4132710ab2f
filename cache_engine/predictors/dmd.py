"""Dynamic mode decomposition (DMD): damped and rotating exponentials, fitted to evenly spaced computed
values.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

from ..plans import Gram
from .differences import Taylor, no_inner_products


@dataclass(frozen=True)
class DMD:
    """The linear map from each computed value to the next one, raised to a (fractional) power for the steps
    ahead.

    Sources: Schmid 2010; and the behaviour, not the code, of cache-dit 1.5.3. As there, at least four evenly
    spaced values are needed, at most six are used, and singular values below 1e-4 of the largest are cut off.
    With fewer values, ``fallback`` makes the forecast. The fit lies in the span of the values, so it needs
    only their inner products, and its result is a row of weights. Difference: we make one fit for a whole
    batch, while cache-dit fits each picture of the batch.
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
    """Return the weights, newest value first, that predict the value ``ahead`` spacings after the newest
    value.

    If no mode can be fitted, the weights are those of reuse.

    gram: inner products of the values, newest first.
    """
    import numpy as np  # numpy finds the eigenvalues of a matrix that is not symmetric

    inner = np.array(gram, dtype=np.float64)[::-1, ::-1]  # oldest first, because the map runs forward in time
    energies, turn = np.linalg.eigh(inner[:-1, :-1])
    reuse = (1.0,) + (0.0,) * (len(gram) - 1)
    if not np.isfinite(energies).all() or energies[-1] <= 0:
        return reuse
    large = energies > energies[-1] * 1e-8  # the energies are squares of the singular values
    scaled = turn[:, large] / np.sqrt(energies[large])
    eigenvalues, vectors = np.linalg.eig(scaled.T @ inner[:-1, 1:] @ scaled)
    shapes = scaled @ vectors  # each mode, as weights of the values 1 to n
    products = shapes.conj().T @ inner[1:, 1:] @ shapes
    amplitudes = np.linalg.lstsq(products, shapes.conj().T @ inner[1:, -1], rcond=1e-12)[0]
    weights = (shapes @ (eigenvalues.astype(complex) ** ahead * amplitudes)).real
    return (*weights[::-1].tolist(), 0.0) if np.isfinite(weights).all() else reuse
