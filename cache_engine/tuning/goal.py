"""The goal of a tune, and its search: the setting with the largest expected gain is measured next."""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from ..strict import Strict
from .gaussian_process import GaussianProcess, Posterior

SAME = 1e-9


class Goal(Strict):
    """The kind of setting that a tune looks for.

    kind: ``close`` looks for the least compute with at least ``value`` dB; ``fast`` for the closest picture
    whose denoising loop is at least ``value`` times as fast; ``cheap`` for the closest picture with at least
    ``value`` times less compute. share: this share of the prompts must reach the goal.
    """

    kind: Literal["close", "fast", "cheap"] = "close"
    value: float = Field(gt=0, le=1000)
    share: float = Field(default=0.95, gt=0, le=1)

    def may_miss(self, prompts: int) -> int:
        """Return how many of ``prompts`` prompts may miss the goal."""
        return int((1 - self.share) * prompts + SAME)

    def held(self, closeness: np.ndarray) -> np.ndarray:
        """Return the dB that the goal's share of the prompts reaches: (..., prompts) -> (...)."""
        return np.sort(closeness, axis=-1)[..., self.may_miss(closeness.shape[-1])]


class SettingCosts(NamedTuple):
    """Compute and denoising seconds of all settings: expected until they are measured."""

    tflops: np.ndarray  # shape (settings,)
    seconds: np.ndarray  # shape (settings,)
    full_tflops: float  # the baseline's TFLOPs
    full_seconds: float


class Search:
    """Chooses the settings to measure, one after the other, and ranks the measured settings."""

    def __init__(self, goal: Goal, process: GaussianProcess, costs: SettingCosts) -> None:
        self._goal, self._process = goal, process
        self._costs = costs._replace(tflops=costs.tflops.copy(), seconds=costs.seconds.copy())
        self._expected_seconds = costs.seconds
        self.measured: dict[int, float] = {}

    def measure(self, place: int, closeness: float, tflops: float, seconds: float) -> None:
        """Record the results of a setting's real runs."""
        self.measured[place] = closeness
        self._costs.tflops[place], self._costs.seconds[place] = tflops, seconds

    @property
    def costs(self) -> SettingCosts:
        """Return a copy of the costs: measured costs of settings that have run,
        expected costs of the others.
        """
        return self._costs._replace(tflops=self._costs.tflops.copy(), seconds=self._costs.seconds.copy())

    @property
    def posterior(self) -> Posterior:
        """Return the posterior given all measurements so far."""
        return self._process.posterior(list(self.measured.items()))

    def ranked(self) -> list[int]:
        """Return the places of the measured settings that reach the goal, the best first."""
        cheap = self._cheap_enough()
        if self._goal.kind == "close":
            reach = [place for place, closeness in self.measured.items() if closeness >= self._goal.value]
            return sorted(reach, key=lambda place: (self._costs.tflops[place], -self.measured[place]))
        return sorted(
            filter(cheap.__getitem__, self.measured),
            key=lambda place: (-self.measured[place], self._costs.tflops[place]),
        )

    def next(self, *, least: float = 0.0) -> int | None:
        """Return the place of the setting to measure next, or None if no setting is expected to gain enough.

        least: the smallest gain that counts, as a share of the full compute (``close``) or in dB.
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
        """Return which settings meet a goal of compute or time: (settings,).

        Expected seconds are corrected by the median ratio of measured to expected seconds so far.
        """
        costs = self._costs
        if self._goal.kind == "cheap":
            return costs.tflops * self._goal.value <= costs.full_tflops * (1 + SAME)
        places = list(self.measured)
        ratios = costs.seconds[places] / self._expected_seconds[places] if places else np.ones(1)
        seconds = costs.seconds * np.where(
            np.isin(np.arange(len(costs.seconds)), places), 1.0, np.median(ratios)
        )
        return seconds * self._goal.value <= costs.full_seconds
