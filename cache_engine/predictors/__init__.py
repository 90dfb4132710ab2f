"""HOW to predict a skipped value: each of the last computed values gets a weight, newest first. The files
import no torch.
"""

from __future__ import annotations

from typing import Literal

from ..plans import Predictor
from .chebyshev import Chebyshev
from .differences import FoCa, Hermite, Newton, Reuse, Taylor
from .dmd import DMD

__all__ = [
    "Chebyshev",
    "DMD",
    "FoCa",
    "Hermite",
    "Newton",
    "PredictorName",
    "Reuse",
    "Taylor",
    "predictor_named",
]

PredictorName = Literal["taylor", "newton", "foca", "hermite", "chebyshev", "dmd"]


def predictor_named(name: PredictorName, order: int, first_difference: int = 2) -> Predictor:
    """Return the predictor with this name. With order 0, every name means reuse; foca and chebyshev ignore
    any other order.

    first_difference: the earliest step at which taylor, hermite, and dmd's fallback form a difference.
    """
    if order == 0:
        return Reuse()
    made: dict[str, Predictor] = {
        "taylor": Taylor(order, first_difference),
        "newton": Newton(order),
        "foca": FoCa(),
        "hermite": Hermite(order, first_difference),
        "chebyshev": Chebyshev(),
        "dmd": DMD(Taylor(order, first_difference)),
    }
    return made[name]
