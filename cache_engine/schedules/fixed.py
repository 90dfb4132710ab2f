"""Schedules that are known before the run: the step number alone decides."""

from __future__ import annotations

from dataclasses import dataclass

from ..plans import COMPUTE_ALWAYS, Decide, Decision, Mode, Probe, Reason, comparison


@dataclass(frozen=True)
class Always:
    """Compute every step, as the baseline does."""

    def begin(self) -> Decide:
        return lambda probe: COMPUTE_ALWAYS


@dataclass(frozen=True)
class Fixed:
    """Use the modes in ``letters`` in turn. This schedule serves to count the cost of each mode."""

    letters: tuple[Mode, ...]

    def begin(self) -> Decide:
        return lambda probe: Decision(self.letters[probe.step], Reason.FIXED)


@dataclass(frozen=True)
class Interval:
    """Compute the first ``first`` steps, then one step in ``interval``, counted from the last computed step.

    between: the modes of the steps between two computed steps, in turn.
    """

    interval: int
    first: int = 1
    between: tuple[Mode, ...] = ("c",)

    def begin(self) -> Decide:
        return self._decide

    def _decide(self, probe: Probe) -> Decision:
        if probe.step < self.first or not probe.ready:
            return Decision("C", Reason.FIRST)
        if probe.streak >= self.interval - 1:
            return Decision("C", Reason.INTERVAL)
        return Decision(self.between[probe.streak % len(self.between)], Reason.INTERVAL)


@dataclass(frozen=True)
class Mask:
    """Compute the steps that have a 1 in the mask, and cache those with a 0."""

    digits: str

    def begin(self) -> Decide:
        return self._decide

    def _decide(self, probe: Probe) -> Decision:
        if not probe.ready:
            return Decision("C", Reason.FIRST)
        return Decision("C" if self.digits[probe.step] == "1" else "c", Reason.MASK)


@dataclass(frozen=True)
class Widening:
    """Compute the first ``first`` steps; then leave gaps of ``window`` steps that widen by ``growth`` after
    each computed step.

    Paper: Spectrum (arXiv 2603.01623). A gap is the window rounded down to whole steps.
    """

    first: int
    window: float
    growth: float

    def begin(self) -> Decide:
        window = self.window

        def decide(probe: Probe) -> Decision:
            nonlocal window
            if probe.step < self.first or not probe.ready:
                return Decision("C", Reason.FIRST)
            if probe.streak + 1 < int(window):
                return Decision("c", Reason.WINDOW, detail=f"{window:g}")
            detail = f"{window:g}"
            window += self.growth
            return Decision("C", Reason.WINDOW, detail=detail)

        return decide


@dataclass(frozen=True)
class Magnitude:
    """MagCache's rule: cache while the expected size of the residual stays close to the size of the
    remembered residual.

    Paper: MagCache (arXiv 2506.09045). ``ratios``: each step's residual size divided by that of the step
    before, for a run of as many steps; runs of another length use the nearest entry. The product of the
    ratios since the last computed step tells the error of the remembered residual. The errors of cached steps
    may add up to ``threshold``, over at most ``longest`` steps. ``start``: share of the run's steps that are
    computed at the start. ``landmark``: the steps of this entry are computed whatever the error is; -1 for no
    entry.
    """

    ratios: tuple[float, ...]
    threshold: float
    longest: int
    start: float
    landmark: int = -1

    def begin(self) -> Decide:
        ratio, error = 1.0, 0.0

        def decide(probe: Probe) -> Decision:
            nonlocal ratio, error
            entry = self._entry(probe)
            if probe.step < int(self.start * probe.total + 0.5) or not probe.ready:
                return Decision("C", Reason.FIRST)
            ratio *= self.ratios[entry]
            error += abs(1 - ratio)
            decision = self._decide(error, probe.streak, entry)
            if decision.mode == "C":
                ratio, error = 1.0, 0.0
            return decision

        return decide

    def _entry(self, probe: Probe) -> int:
        last = len(self.ratios) - 1
        return round(probe.step * last / (probe.total - 1)) if probe.total > 1 else last

    def _decide(self, error: float, streak: int, entry: int) -> Decision:
        if self.threshold <= 0:
            return Decision("C", Reason.THRESHOLD_0)
        if streak >= self.longest:
            return Decision("C", Reason.MAX_IN_A_ROW)
        if entry == self.landmark:
            return Decision("C", Reason.LANDMARK)
        if error <= self.threshold:
            return Decision("c", Reason.ERROR, detail=comparison(error, "<=", self.threshold))
        return Decision("C", Reason.ERROR, detail=comparison(error, ">", self.threshold))
