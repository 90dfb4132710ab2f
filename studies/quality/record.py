"""What masks would miss, from the surveys of plain runs: thousands of them a second, to start a search
with.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from cache_engine import METHODS, MODELS, Method, run
from cache_engine.plans import Plan, Predictor, Stack
from cache_engine.predictors import Taylor
from cache_engine.whatif.survey import Survey, load
from studies.quality.settings import SEARCHED, STEPS, request

# How much of an error made at a step is left in the end: measured on six training prompts by pushing one step
# of a plain run, 3 to 13 runs' means. The model mends much of what goes wrong early.
LEFT = (
    (0, 0.4),
    (3, 0.5),
    (6, 0.6),
    (10, 0.5),
    (15, 0.35),
    (20, 0.3),
    (26, 0.32),
    (32, 0.33),
    (38, 0.36),
    (43, 0.42),
    (46, 0.55),
    (48, 0.75),
    (49, 1.0),
)
RESTARTS = 1


class Record:
    """The search prompts' surveys, kept in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self.surveys: list[Survey] = []
        for number in range(SEARCHED):
            path = folder / f"survey-{number}.npz"
            if not path.is_file():
                survey = run(request(number), METHODS["baseline"](), survey=True).survey
                assert survey is not None
                survey.save(path)
            self.surveys.append(load(path))
        sigmas = np.array(self.surveys[0].sigmas)
        self.weights = np.diff(sigmas) * np.interp(np.arange(STEPS), *zip(*LEFT))
        self.products: dict[Stack, np.ndarray] = {}
        self.path = folder / "masks.json"
        self.known: dict[str, list[int]] = (
            json.loads(self.path.read_text(encoding="utf-8")) if self.path.is_file() else {}
        )

    def masks(self, method: Method, count: int) -> Iterator[tuple[int, ...]]:
        """Two of ``count`` computed steps: by what all steps' errors add up to, and by that and each gap's
        own.
        """
        plan = method.plan(MODELS["tiny"].facts(MODELS["tiny"].resolve(request(0))))
        stack = plan.sites[0] if isinstance(plan.sites[0], Stack) else Stack(0, self.surveys[0].facts.blocks)
        for gaps_too in (False, True):
            name = f"{stack}, {_judged(plan.predictor)}, {count}, {gaps_too}"
            if name not in self.known:
                self.known[name] = list(self._searched(plan, stack, count, gaps_too))
                self.path.write_text(json.dumps(self.known, indent=0), encoding="utf-8")
            yield tuple(self.known[name])

    def _alike(self, stack: Stack) -> np.ndarray:
        """Inner products (steps, steps) of what the stack adds to the guided velocity, as the last layer
        reads it.
        """
        if stack not in self.products:
            total = np.zeros((STEPS, STEPS))
            for survey in self.surveys:
                streams = len(survey.mix)
                found = survey.products(stack.start, stack.stop).reshape(streams, STEPS, streams, STEPS)
                total += np.einsum("s,sitj,t->ij", survey.mix, found, survey.mix)
            self.products[stack] = total
        return self.products[stack]

    def _searched(self, plan: Plan, stack: Stack, count: int, gaps_too: bool) -> tuple[int, ...]:
        """The best of several hill climbs: any computed step but the first moves anywhere."""
        judge = _Judge(_judged(plan.predictor), self._alike(stack), self.weights, gaps_too)
        chance = random.Random(count)
        found: list[tuple[float, tuple[int, ...]]] = []
        for restart in range(RESTARTS):
            drawn = (
                chance.sample(range(1, STEPS), count - 1)
                if restart
                else np.linspace(0, STEPS - 1, count).round().astype(int).tolist()
            )
            found.append(judge.climbed(tuple(sorted({0, *drawn}))))
        return min(found)[1]


def _judged(predictor: Predictor) -> Predictor:
    """One whose weights follow from step numbers: dmd's look at the data, so what it falls back to stands in
    for it.
    """
    return Taylor(1, first_difference=3) if predictor.needs_inner_products else predictor


class _Judge:
    """The squared error that a mask leaves in the end, in the surveys' units."""

    def __init__(self, predictor: Predictor, alike: np.ndarray, weights: np.ndarray, gaps_too: bool) -> None:
        self.predictor, self.alike, self.weights, self.gaps_too = predictor, alike, weights, gaps_too
        self._gaps: dict[tuple[tuple[int, ...], int], tuple[np.ndarray, float]] = {}

    def cost(self, mask: tuple[int, ...]) -> float:
        total, own = np.zeros(STEPS), 0.0
        for place in range(len(mask)):
            known = mask[max(0, place + 1 - self.predictor.keep) : place + 1][::-1]
            missed, error = self._gap(known, mask[place + 1] if place + 1 < len(mask) else STEPS)
            total, own = total + missed, own + error
        return float(total @ self.alike @ total) + (own if self.gaps_too else 0.0)

    def _gap(self, known: tuple[int, ...], stop: int) -> tuple[np.ndarray, float]:
        """What is missed between the newest of ``known`` and ``stop``, as weights of the true values; and
        its square.
        """
        if (known, stop) not in self._gaps:
            missed = np.zeros(STEPS)
            for step in range(known[0] + 1, stop):
                row = self.predictor.row(known, step, STEPS, None, _unasked)
                missed[list(known)] += self.weights[step] * np.array(row)
                missed[step] -= self.weights[step]
            self._gaps[known, stop] = missed, float(missed @ self.alike @ missed)
        return self._gaps[known, stop]

    def climbed(self, mask: tuple[int, ...]) -> tuple[float, tuple[int, ...]]:
        cost, better = self.cost(mask), True
        while better:
            better = False
            for moved in mask[1:]:
                for place in range(1, STEPS):
                    if place not in mask:
                        other = tuple(sorted({*mask, place} - {moved}))
                        if (found := self.cost(other)) < cost * (1 - 1e-9):
                            cost, mask, better = found, other, True
                            break
        return cost, mask


def _unasked() -> tuple[tuple[float, ...], ...]:
    raise AssertionError("only dmd asks for products")
