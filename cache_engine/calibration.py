"""Fits the coefficients that TeaCache, MagCache and Kriging need for a model, from
plain runs of that model.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .model import Coefficients
from .plans import ModelFacts, Plan, Signal, Stack
from .predictors import Reuse
from .records import StepTrace
from .schedules import Always
from .session import Session
from .sites.attach import attached
from .strict import EngineError

DEGREE = 4  # degree of TeaCache's polynomial
SAMPLED = 200_000  # values of a residual that are enough to compare two residuals


def calibrate(target: Any, draws: Iterable[Callable[[], Any]], **attach: Any) -> Coefficients:
    """Run each of ``draws``, which call ``target``, and return the coefficients that were fitted.

    target: a pipeline, or a bare transformer with the further arguments of ``attached``.

    ratios: for MagCache. |residual| over |residual of the step before|, averaged over tokens, runs and
    streams.
    polynomial: for TeaCache. Least squares of the change of the residual (of all blocks) on the change of the
    modulated input; None for a model whose modulated input is not described. TeaCache's authors fit the
    change of the output instead. We fit the change of the residual, because a skipped step reuses the
    residual: its change is the error.
    alike: for Kriging. Inner products of the residuals of every two steps, averaged in the same way; 1 is the
    mean size. Raises EngineError for too few steps.
    """
    watch = _Watch()
    with attached(target, watch, on_call=lambda call: watch(session, call), **attach) as session:
        for draw in draws:
            if "steps" in attach:  # a bare transformer has no scheduler that could announce a new run
                session.begin()
            draw()
            watch.collect(session.trace)
    return watch.fit()


class _Watch:
    """A schedule that computes every step and sees each call's residual when it is remembered."""

    def __init__(self) -> None:
        self.before: dict[str, Tensor] = {}
        self.seen: dict[tuple[int, str], tuple[Tensor, Tensor]] = {}
        self.sizes: defaultdict[int, list[float]] = defaultdict(list)
        self.moves: list[tuple[float, float]] = []
        self.run: defaultdict[str, list[Tensor]] = defaultdict(list)
        self.alike: list[np.ndarray] = []

    def plan(self, facts: ModelFacts) -> Plan:
        signal = Signal("modulated_input", "previous")
        return Plan(Always(), Reuse(), (Stack(0, facts.blocks),), signal)

    def __call__(self, session: Session, call: StepTrace) -> None:
        memory = session.memory[call.stream]
        residual = next(iter(memory.places.values())).values[0][0].float()
        self.run[call.stream].append(residual.flatten()[:: max(1, residual.numel() // SAMPLED)].cpu())
        if call.step > 0:
            before = self.before[call.stream]
            ratio = (residual.norm(dim=-1) / before.norm(dim=-1)).mean()
            self.seen[call.step, call.stream] = ratio, (residual - before).abs().mean() / before.abs().mean()
        self.before[call.stream] = residual

    def collect(self, trace: Iterable[StepTrace]) -> None:
        """Fetch a run's measurements from the device, at the end of the run."""
        for call in trace:
            if call.step > 0:
                ratio, moved = torch.stack(self.seen[call.step, call.stream]).tolist()
                self.sizes[call.step].append(ratio)
                if call.change is not None:
                    self.moves.append((call.change, moved))
        for values in map(torch.stack, self.run.values()):
            self.alike.append((values @ values.T).double().numpy())
        self.run.clear()
        self.seen.clear()
        self.before.clear()

    def fit(self) -> Coefficients:
        """Return the coefficients of all runs so far."""
        if 0 < len(self.moves) <= DEGREE:
            raise EngineError(
                f"steps: {len(self.moves)} measured steps are too few to fit a polynomial of degree "
                f"{DEGREE}; use more steps or prompts."
            )
        ratios = (1.0, *(fmean(self.sizes[step]) for step in sorted(self.sizes)))
        return Coefficients(self._polynomial(), ratios, self._alike())

    def _polynomial(self) -> tuple[float, ...] | None:
        if not self.moves:
            return None
        inputs, outputs = np.array(self.moves).T
        return tuple(np.polyfit(inputs, outputs, DEGREE).tolist())

    def _alike(self) -> tuple[tuple[float, ...], ...]:
        if not self.alike:
            return ()
        total = sum(self.alike[1:], start=self.alike[0])
        return tuple(
            tuple(round(value, 6) for value in row) for row in (total / np.diag(total).mean()).tolist()
        )
