"""What is wanted of a setting, and which one to measure next: the one that is expected to bring the most."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from ..strict import Strict
from .gaussian_process import GaussianProcess, Posterior

SAME = 1e-9


class Goal(Strict):
    """``close``: the least compute with at least ``value`` dB.  ``fast``, ``cheap``: the closest picture at
    least ``value`` times as fast (denoise loop), or with so many times less compute.  ``share``: of the
    prompts, so many have to be as close.
    """

    kind: Literal["close", "fast", "cheap"] = "close"
    value: float = Field(gt=0, le=1000)
    share: float = Field(default=0.95, gt=0, le=1)

    def may_miss(self, prompts: int) -> int:
        """How many of so many prompts may be below."""
        return int((1 - self.share) * prompts + SAME)

    def held(self, closeness: np.ndarray) -> np.ndarray:
        """(..., prompts) in dB -> (...): what the wanted share of the prompts reaches."""
        return np.sort(closeness, axis=-1)[..., self.may_miss(closeness.shape[-1])]


class SettingCosts(NamedTuple):
    """By setting: compute and seconds of the denoise loop, expected until measured; and the baseline's."""

    tflops: np.ndarray
    seconds: np.ndarray
    full_tflops: float
    full_seconds: float


class Search:
    """Chooses the settings to measure, one by one, and knows the best of those that were."""

    def __init__(self, goal: Goal, process: GaussianProcess, costs: SettingCosts) -> None:
        self._goal, self._process = goal, process
        self._costs = costs._replace(tflops=costs.tflops.copy(), seconds=costs.seconds.copy())
        self._expected_seconds = costs.seconds
        self.measured: dict[int, float] = {}

    def measure(self, place: int, closeness: float, tflops: float, seconds: float) -> None:
        """What real runs of a setting gave."""
        self.measured[place] = closeness
        self._costs.tflops[place], self._costs.seconds[place] = tflops, seconds

    @property
    def costs(self) -> SettingCosts:
        """Expected, or measured where a setting was; later measurements do not reach what was handed out."""
        return self._costs._replace(tflops=self._costs.tflops.copy(), seconds=self._costs.seconds.copy())

    @property
    def posterior(self) -> Posterior:
        return self._process.after(list(self.measured.items()))

    def ranked(self) -> list[int]:
        """The measured settings that reach the goal, the best first."""
        cheap = self._cheap_enough()
        if self._goal.kind == "close":
            reach = [place for place, closeness in self.measured.items() if closeness >= self._goal.value]
            return sorted(reach, key=lambda place: (self._costs.tflops[place], -self.measured[place]))
        return sorted(
            filter(cheap.__getitem__, self.measured),
            key=lambda place: (-self.measured[place], self._costs.tflops[place]),
        )

    def next(self, *, least: float = 0.0) -> int | None:
        """The setting to measure next; None where none is expected to bring more than ``least`` (a share of
        the full compute, or dB).
        """
        posterior, best = self.posterior, next(iter(self.ranked()), None)
        if self._goal.kind == "close":
            most = self._costs.full_tflops if best is None else self._costs.tflops[best]
            gain = (
                np.maximum(most - self._costs.tflops, 0)
                / self._costs.full_tflops
                * posterior.reaches(self._goal.value)
            )
        else:
            over = -np.inf if best is None else self.measured[best]
            gain = (posterior.mean if best is None else posterior.gain(over)) * self._cheap_enough()
        gain[list(self.measured)] = 0
        place = int(np.argmax(gain))
        return place if gain[place] > max(least, SAME) else None

    def _cheap_enough(self) -> np.ndarray:
        """Expected seconds are corrected by how the measured ones came out."""
        costs = self._costs
        if self._goal.kind == "cheap":
            return costs.tflops * self._goal.value <= costs.full_tflops * (1 + SAME)
        places = list(self.measured)
        ratios = costs.seconds[places] / self._expected_seconds[places] if places else np.ones(1)
        seconds = costs.seconds * np.where(
            np.isin(np.arange(len(costs.seconds)), places), 1.0, np.median(ratios)
        )
        return seconds * self._goal.value <= costs.full_seconds
