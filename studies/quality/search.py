"""Searches DBCache's space and our space for the best setting, under equal conditions.

    python -m studies.quality.search

Both searches have the same number of evaluations, prompts and TFLOPs. Each search starts with masks that are
good by the surveys of plain runs (see mask_search.py). Real runs on the search's prompts then decide: the
best masks of every shape are drawn, and the best of these are improved by moving one computed step at a time.
Every evaluation is stored: to resume, run the same command again. The winners are written to
studies/quality/found.json; ``studies.quality`` scores them on prompts that the search did not use.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from cache_engine import MODELS, Method, method_from
from cache_engine.flops import costs
from cache_engine.methods.dbcache import DBCache
from cache_engine.whatif.simulation import simulate
from studies.quality.mask_search import MaskSearch
from studies.quality.settings import FOUND, SEARCHED, STEPS, request
from studies.quality.store import Store, method_key

SPACES = ("DBCache", "ours")
# numbers of computed steps of DBCache with one first block, whose TFLOPs are the limit for both searches
NEAR = (12, 8)
CLIMBED = 3  # number of starting points for hill climbs
DRAWN = 4  # number of settings whose threshold decides


class Shape(NamedTuple):
    """A method with all knobs except its mask."""

    knobs: dict[str, Any]

    def method(self, mask: str) -> Method:
        static = (
            {"steps_computation_policy": "static", "residual_diff_threshold": 1.0}
            if self.knobs["name"] == "dbcache"
            else {}
        )
        return method_from({**self.knobs, **static, "steps_computation_mask": mask})


def shapes(space: str) -> Iterator[Shape]:
    """Yield the shapes of a space. Our space holds shapes that DBCache's space does not have."""
    front = {"name": "dbcache", "Fn_compute_blocks": 1}
    if space == "DBCache":
        for order in (1, 2, 3):
            yield Shape({**front, "taylorseer_order": order})
        yield Shape({**front, "predictor": "dmd"})
        yield Shape({**front, "taylorseer_order": 2, "Bn_compute_blocks": 1})
        yield Shape({**front, "taylorseer_order": 2, "Fn_compute_blocks": 2})
        return
    yield Shape({**front, "predictor": "newton", "taylorseer_order": 2})
    for settle in (0.5, 0.75, 1.0):
        yield Shape({"name": "kriging", "settle": settle})
    for predictor, order in (("newton", 2), ("newton", 3), ("hermite", 2)):
        yield Shape({"name": "fixed_mask", "predictor": predictor, "order": order})


def tflops(method: Method, computed: int) -> float:
    """Return the TFLOPs of a run with ``computed`` computed steps."""
    asked = MODELS["tiny"].resolve(request(0))
    facts = MODELS["tiny"].facts(asked)
    cost = costs(asked, method.plan(facts))
    return len(facts.streams) * (computed * cost("C", 0) + (STEPS - computed) * cost("c", STEPS - 1))


def affordable(shape: Shape, limit: float) -> int:
    """Return the largest number of computed steps that costs at most ``limit`` TFLOPs."""
    method = shape.method("1" * STEPS)
    return max(n for n in range(1, STEPS + 1) if tflops(method, n) <= limit * (1 + 1e-9))


class Search:
    """The search of one space under one limit. Each evaluation draws all of the search's prompts."""

    def __init__(
        self, store: Store, masks: MaskSearch, space: str, budget: int, evaluations: int, prompts: int
    ) -> None:
        self.store, self.masks, self.space, self.evaluations, self.prompts = (
            store,
            masks,
            space,
            evaluations,
            prompts,
        )
        self.limit = tflops(DBCache(residual_diff_threshold=1.0), budget)
        self.name = f"{space}, {budget}"
        self.random = random.Random(self.name)
        self.seen: dict[str, tuple[float, Method]] = {}

    def psnr(self, method: Method) -> float:
        """Return the mean PSNR over the search's prompts, in dB."""
        name = method_key(method)
        if name not in self.seen:
            scores = self.store.score(method, range(self.prompts))
            mean = float(np.mean([100.0 if score.psnr_db is None else score.psnr_db for score in scores]))
            self.seen[name] = (mean, method)
            print(
                f"{self.name}: {len(self.seen)} of {self.evaluations}: {mean:.2f} dB, {scores[0].computed} "
                f"steps: {name}",
                file=sys.stderr,
                flush=True,
            )
        return self.seen[name][0]

    @property
    def finished(self) -> bool:
        return len(self.seen) >= self.evaluations

    def best(self) -> tuple[float, Method]:
        starts = [(self.psnr(shape.method(mask)), shape, mask) for shape, mask in self._starts()]
        if self.space == "DBCache":
            for method in self._dynamic(DRAWN):
                self.psnr(method)
        climbing = sorted(starts, key=lambda start: -start[0])[:CLIMBED]
        while not self.finished:
            climbing = [self._step(*start) for start in climbing]
        return max(self.seen.values(), key=lambda seen: seen[0])

    def _starts(self) -> Iterator[tuple[Shape, str]]:
        for shape in shapes(self.space):
            count = affordable(shape, self.limit)
            if shape.knobs.get("predictor") == "dmd":  # dmd needs evenly spaced steps
                yield shape, _digits(range(0, STEPS, -(-STEPS // count)))
            for mask in self.masks.masks(shape.method("1" * STEPS), count):
                yield shape, _digits(mask)

    def _step(self, psnr: float, shape: Shape, mask: str) -> tuple[float, Shape, str]:
        """Move one computed step to a nearby place. Keep the move if the PSNR is better."""
        ones = [step for step in range(1, STEPS) if mask[step] == "1"]
        for _ in range(100):
            moved = self.random.choice(ones)
            place = moved + self.random.choice((-2, -1, 1, 2))
            if 0 < place < STEPS and mask[place] == "0":
                other = _digits({0, *ones, place} - {moved})
                if method_key(shape.method(other)) in self.seen:
                    continue
                better = self.psnr(shape.method(other))
                return (better, shape, other) if better > psnr else (psnr, shape, mask)
        return psnr, shape, mask

    def _dynamic(self, count: int) -> Iterator[Method]:
        """Yield settings with random knobs in which the threshold decides.

        The threshold is the one that uses up the limit, by simulation on the surveys.
        """
        for _ in range(count):
            draw = self.random
            knobs: dict[str, Any] = dict(
                max_warmup_steps=draw.choice((1, 2, 4)),
                warmup_interval=draw.choice((1, 2)),
                taylorseer_order=draw.choice((1, 2, 3)),
                max_continuous_cached_steps=draw.choice((-1, 5, 8)),
                predictor=draw.choice(("taylor", "taylor", "dmd")),
            )
            low, high = 0.0, 1.0
            for _ in range(12):
                middle = (low + high) / 2
                spent = np.mean(
                    [
                        simulate(survey, DBCache(**knobs, residual_diff_threshold=middle)).tflops or 0.0
                        for survey in self.masks.surveys
                    ]
                )
                low, high = (low, middle) if spent <= self.limit else (middle, high)
            yield DBCache(**knobs, residual_diff_threshold=round(high, 4))


def _digits(steps: Any) -> str:
    computed = set(steps)
    return "".join("1" if step in computed else "0" for step in range(STEPS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--evaluations", type=int, default=60, help="number of real evaluations for each space and limit"
    )
    parser.add_argument("--prompts", type=int, default=SEARCHED, help="number of the search's prompts")
    options = parser.parse_args()
    store = Store("search")
    masks = MaskSearch(store.folder)
    results = {}
    for budget in NEAR:
        for space in SPACES:
            search = Search(store, masks, space, budget, options.evaluations, options.prompts)
            psnr, method = search.best()
            results[search.name] = {
                "method": method.to_dict(),
                "psnr_db": round(psnr, 2),
                "evaluations": len(search.seen),
                "prompts": options.prompts,
            }
            print(f"{search.name}: {psnr:.2f} dB: {method_key(method)}", flush=True)
    FOUND.write_text(
        json.dumps({"revision": store.revision, "found": results}, indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
