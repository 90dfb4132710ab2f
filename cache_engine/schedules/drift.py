"""Schedules that depend on the data: the change of a signal decides."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from ..plans import Decide, Decision, Probe, Reason, comparison

StreakRule = Literal["1.5.3", "before"]
WARM_UP, FIRST, MASKED, SERVED = (
    Decision("C", Reason.WARM_UP),
    Decision("C", Reason.FIRST),
    Decision("C", Reason.MASK),
    Decision("c", Reason.MASK),
)
MOST_IN_ALL, MOST_IN_A_ROW = Decision("C", Reason.MAX_IN_ALL), Decision("C", Reason.MAX_IN_A_ROW)


class _Streak:
    """Counts cached steps in a row as cache-dit did before 1.5.3.

    The old count went back to zero only if the limit on cached steps was reached, not if a step was computed
    for another reason. The old rule did not count a cached step right after a gap, unless that step was the
    very first cached step. The published tables were made with this rule.
    """

    def __init__(self) -> None:
        self.count = 0
        self.last: int | None = None

    def cached(self, step: int) -> None:
        if self.last is None:
            self.count += 1
        elif step == self.last + 1:
            self.count += 1 if self.count else 2
        self.last = step


@dataclass(frozen=True)
class Drift:
    """DBCache's rule: cache a step while the residual of the first blocks stays close to that of the last
    computed step.

    Source: cache-dit 1.5.3, with the same conditions in the same order. The run begins with ``warmup`` steps,
    of which every ``interval``-th is computed. Afterwards the mask and the limits on cached steps decide, and
    last the comparison of the change with ``threshold``. A limit of -1 means no limit. A mask with the policy
    "static" decides alone.
    """

    warmup: int
    interval: int
    threshold: float
    max_cached: int = -1
    max_in_a_row: int = -1
    mask: str = ""
    static: bool = False
    streak_rule: StreakRule = "1.5.3"

    def begin(self) -> Decide:
        mask, static, threshold, max_cached, max_in_a_row = (
            self.mask,
            self.static,
            self.threshold,
            self.max_cached,
            self.max_in_a_row,
        )
        warmup = self._warm_up_steps()
        always, never = (
            Decision("c", Reason.THRESHOLD_1, threshold),
            Decision("C", Reason.THRESHOLD_0, threshold),
        )
        below, above = Decision("c", Reason.CHANGE, threshold), Decision("C", Reason.CHANGE, threshold)

        def decide(probe: Probe, streak: int | None = None) -> Decision:
            if probe.step in warmup:
                return WARM_UP
            if mask and mask[probe.step] == "1":
                return MASKED
            if not probe.ready:
                return FIRST
            if mask and static:
                return SERVED
            if 0 <= max_cached <= probe.cached:
                return MOST_IN_ALL
            if 0 <= max_in_a_row <= (probe.streak if streak is None else streak):
                return MOST_IN_A_ROW
            if threshold <= 0:
                return never
            # cache-dit's "always": the change never decides, so the device need not be synchronised
            if threshold >= 1:
                return always
            return below if probe.change() < threshold else above

        return decide if self.streak_rule == "1.5.3" else _with_old_streak(decide)

    def _warm_up_steps(self) -> range:
        """Return the numbers of the warm-up steps. With a mask, these are its leading
        computed steps at most.
        """
        leading_ones = len(self.mask) - len(self.mask.lstrip("1"))
        return range(0, min(self.warmup, leading_ones) if self.mask else self.warmup, self.interval)


def _with_old_streak(decide: Callable[[Probe, int], Decision]) -> Decide:
    """Return ``decide`` with the streak counted as cache-dit did before 1.5.3."""
    streak = _Streak()

    def decide_as_before(probe: Probe) -> Decision:
        decision = decide(probe, streak.count)
        if decision is MOST_IN_A_ROW:
            streak.count = 0
        if decision.mode == "c":
            streak.cached(probe.step)
        return decision

    return decide_as_before


@dataclass(frozen=True)
class Accumulated:
    """TeaCache's rule: cache while the rescaled changes since the last computed step add up to less than
    ``threshold``.

    Paper: TeaCache (arXiv 2411.19108). The change is measured from each step to the next, cached steps
    included, and rescaled by ``polynomial`` (highest power first). The first and the last step are always
    computed.
    """

    threshold: float
    polynomial: tuple[float, ...]

    def begin(self) -> Decide:
        total = 0.0

        def decide(probe: Probe) -> Decision:
            nonlocal total
            forced = self._forced(probe)
            if forced:
                total = 0.0
                return Decision("C", forced)
            total += self.rescaled(probe.change())
            if total < self.threshold:
                return Decision("c", Reason.SUM, detail=comparison(total, "<", self.threshold))
            reached, total = comparison(total, ">=", self.threshold), 0.0
            return Decision("C", Reason.SUM, detail=reached)

        return decide

    def _forced(self, probe: Probe) -> Reason | None:
        """Return why this step is computed whatever the change is, or None if the change decides."""
        if not probe.ready:
            return Reason.FIRST
        if probe.step == probe.total - 1:
            return Reason.LAST
        return Reason.THRESHOLD_0 if self.threshold <= 0 else None

    def rescaled(self, change: float) -> float:
        """Return the polynomial's value: the likely change of the output for a change of the input."""
        value = 0.0
        for coefficient in self.polynomial:
            value = value * change + coefficient
        return value
