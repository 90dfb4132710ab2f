"""Estimates the error of step masks from the surveys of plain runs: thousands of masks a second.

The search with real runs starts from the masks that are best by this estimate.
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
from cache_engine.whatif.survey import Survey
from cache_engine.whatif.survey_file import load
from studies.quality.settings import SEARCHED, STEPS, request

# Pairs of a step and the share of an error made there that remains at the end. The shares were measured on
# six training prompts, by adding an error at one step of a plain run; each share is the mean of 3 to 13 runs.
# The model repairs much of an early error.
REMAINING_ERROR = (
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


class MaskSearch:
    """Finds good masks with the surveys of the search's prompts. ``folder`` holds surveys and masks."""

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
        steps, remaining = zip(*REMAINING_ERROR)
        self.weights = np.diff(sigmas) * np.interp(np.arange(STEPS), steps, remaining)
        self._products: dict[Stack, np.ndarray] = {}
        self._path = folder / "masks.json"
        self._masks: dict[str, list[int]] = (
            json.loads(self._path.read_text(encoding="utf-8")) if self._path.is_file() else {}
        )

    def masks(self, method: Method, count: int) -> Iterator[tuple[int, ...]]:
        """Yield two masks of ``count`` computed steps.

        The first mask has the smallest sum of all steps' errors. The second has the smallest total of this
        sum and each gap's own error.
        """
        plan = method.plan(MODELS["tiny"].facts(MODELS["tiny"].resolve(request(0))))
        stack = plan.sites[0] if isinstance(plan.sites[0], Stack) else Stack(0, self.surveys[0].facts.blocks)
        for gaps_too in (False, True):
            name = f"{stack}, {_by_step_numbers(plan.predictor)}, {count}, {gaps_too}"
            if name not in self._masks:
                self._masks[name] = list(self._searched(plan, stack, count, gaps_too))
                self._path.write_text(json.dumps(self._masks, indent=0), encoding="utf-8")
            yield tuple(self._masks[name])

    def _inner_products(self, stack: Stack) -> np.ndarray:
        """Return the inner products, (steps, steps), of the stack's residuals in the guided velocity.

        The residuals are measured as the last layer reads them.
        """
        if stack not in self._products:
            total = np.zeros((STEPS, STEPS))
            for survey in self.surveys:
                streams = len(survey.mix)
                products = survey.gram(stack.start, stack.stop).reshape(streams, STEPS, streams, STEPS)
                total += np.einsum("s,sitj,t->ij", survey.mix, products, survey.mix)
            self._products[stack] = total
        return self._products[stack]

    def _searched(self, plan: Plan, stack: Stack, count: int, gaps_too: bool) -> tuple[int, ...]:
        """Return the best result of RESTARTS hill climbs. A climb moves single computed steps, but never the
        first step.
        """
        cost = MaskCost(_by_step_numbers(plan.predictor), self._inner_products(stack), self.weights, gaps_too)
        chance = random.Random(count)
        found: list[tuple[float, tuple[int, ...]]] = []
        for restart in range(RESTARTS):
            drawn = (
                chance.sample(range(1, STEPS), count - 1)
                if restart
                else np.linspace(0, STEPS - 1, count).round().astype(int).tolist()
            )
            found.append(cost.climb(tuple(sorted({0, *drawn}))))
        return min(found)[1]


def _by_step_numbers(predictor: Predictor) -> Predictor:
    """Return a predictor whose weights depend on step numbers alone.

    The weights of dmd depend on the data, so its fallback predictor is used instead.
    """
    return Taylor(1, first_difference=3) if predictor.needs_inner_products else predictor


class MaskCost:
    """The squared error that a mask leaves at the end of a run, in the surveys' units."""

    def __init__(
        self, predictor: Predictor, products: np.ndarray, weights: np.ndarray, gaps_too: bool
    ) -> None:
        self.predictor, self.products, self.weights, self.gaps_too = predictor, products, weights, gaps_too
        self._gaps: dict[tuple[tuple[int, ...], int], tuple[np.ndarray, float]] = {}

    def cost(self, mask: tuple[int, ...]) -> float:
        total, own = np.zeros(STEPS), 0.0
        for place in range(len(mask)):
            remembered = mask[max(0, place + 1 - self.predictor.keep) : place + 1][::-1]
            missed, error = self._gap(remembered, mask[place + 1] if place + 1 < len(mask) else STEPS)
            total, own = total + missed, own + error
        return float(total @ self.products @ total) + (own if self.gaps_too else 0.0)

    def _gap(self, remembered: tuple[int, ...], stop: int) -> tuple[np.ndarray, float]:
        """Return the error from the newest remembered step up to ``stop``, and its square.

        The error is a weighted sum of the true values of all steps; the weights have shape (steps,).
        """
        if (remembered, stop) not in self._gaps:
            missed = np.zeros(STEPS)
            for step in range(remembered[0] + 1, stop):
                row = self.predictor.row(remembered, step, STEPS, None, _no_products)
                missed[list(remembered)] += self.weights[step] * np.array(row)
                missed[step] -= self.weights[step]
            self._gaps[remembered, stop] = missed, float(missed @ self.products @ missed)
        return self._gaps[remembered, stop]

    def climb(self, mask: tuple[int, ...]) -> tuple[float, tuple[int, ...]]:
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


def _no_products() -> tuple[tuple[float, ...], ...]:
    raise AssertionError("only dmd uses inner products")
