"""The best of DBCache's whole space against the best of ours: one search, one budget, the same prompts, equal
TFLOPs.

    python -m studies.quality.search

A mask is first improved on a record: the plain runs' surveys say what each forecast would miss at each step,
and this is added up. Then real runs on the search's prompts decide: the best masks of every shape, and from
the best of these one computed step after another is moved. Every evaluation is kept, so it can be stopped and
gone on with. What it finds stands in studies/quality/found.json; ``studies.quality.__main__`` scores it on prompts that it
never saw.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from cache_engine import METHODS, MODELS, Method, method_from
from cache_engine.flops import costs
from cache_engine.whatif.simulation import simulate
from studies.quality.__main__ import Store, key
from studies.quality.record import Record
from studies.quality.settings import FOUND, SEARCHED, STEPS, request

SPACES = ("DBCache", "ours")
NEAR = (12, 8)  # computed steps, of DBCache with one first block: its TFLOPs are the limit for both
CLIMBED = 3  # starting points
DRAWN = 4  # settings whose threshold decides


class Shape(NamedTuple):
    """A method with everything but its mask."""

    knobs: dict[str, Any]

    def method(self, mask: str) -> Method:
        static = (
            {"steps_computation_policy": "static", "residual_diff_threshold": 1.0}
            if self.knobs["name"] == "dbcache"
            else {}
        )
        return method_from({**self.knobs, **static, "steps_computation_mask": mask})


def shapes(space: str) -> Iterator[Shape]:
    """What a space has beside its masks. Ours is everything that is not in DBCache's."""
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
    """Of a run with so many computed steps."""
    asked = MODELS["tiny"].resolve(request(0))
    facts = MODELS["tiny"].facts(asked)
    cost = costs(asked, method.plan(facts))
    return len(facts.streams) * (computed * cost("C", 0) + (STEPS - computed) * cost("c", STEPS - 1))


def affordable(shape: Shape, limit: float) -> int:
    """The most computed steps within ``limit`` TFLOPs."""
    method = shape.method("1" * STEPS)
    return max(n for n in range(1, STEPS + 1) if tflops(method, n) <= limit * (1 + 1e-9))


class Search:
    """One space at one limit. ``evaluations``: real ones, each of all the search's prompts."""

    def __init__(
        self, store: Store, record: Record, space: str, budget: int, evaluations: int, prompts: int
    ) -> None:
        self.store, self.record, self.space, self.evaluations, self.prompts = (
            store,
            record,
            space,
            evaluations,
            prompts,
        )
        self.limit = tflops(METHODS["dbcache"](residual_diff_threshold=1.0), budget)
        self.name = f"{space}, {budget}"
        self.random = random.Random(self.name)
        self.seen: dict[str, tuple[float, Method]] = {}

    def psnr(self, method: Method) -> float:
        """Mean over the search's prompts."""
        name = key(method)
        if name not in self.seen:
            found = self.store.score(method, range(self.prompts))
            mean = float(np.mean([100.0 if one.psnr_db is None else one.psnr_db for one in found]))
            self.seen[name] = (mean, method)
            print(
                f"{self.name}: {len(self.seen)} of {self.evaluations}: {mean:.2f} dB, {found[0].computed} "
                f"steps: {name}",
                file=sys.stderr,
                flush=True,
            )
        return self.seen[name][0]

    @property
    def over(self) -> bool:
        return len(self.seen) >= self.evaluations

    def best(self) -> tuple[float, Method]:
        starts = [(self.psnr(shape.method(mask)), shape, mask) for shape, mask in self._starts()]
        if self.space == "DBCache":
            for method in self._dynamic(DRAWN):
                self.psnr(method)
        climbing = sorted(starts, key=lambda start: -start[0])[:CLIMBED]
        while not self.over:
            climbing = [self._step(*start) for start in climbing]
        return max(self.seen.values(), key=lambda found: found[0])

    def _starts(self) -> Iterator[tuple[Shape, str]]:
        for shape in shapes(self.space):
            count = affordable(shape, self.limit)
            if shape.knobs.get("predictor") == "dmd":  # it wants evenly spaced steps
                yield shape, _digits(range(0, STEPS, -(-STEPS // count)))
            for mask in self.record.masks(shape.method("1" * STEPS), count):
                yield shape, _digits(mask)

    def _step(self, psnr: float, shape: Shape, mask: str) -> tuple[float, Shape, str]:
        """One computed step moved to a place nearby: kept where that is better."""
        ones = [step for step in range(1, STEPS) if mask[step] == "1"]
        for _ in range(100):
            moved = self.random.choice(ones)
            place = moved + self.random.choice((-2, -1, 1, 2))
            if 0 < place < STEPS and mask[place] == "0":
                found = _digits({0, *ones, place} - {moved})
                if key(shape.method(found)) in self.seen:
                    continue
                better = self.psnr(shape.method(found))
                return (better, shape, found) if better > psnr else (psnr, shape, mask)
        return psnr, shape, mask

    def _dynamic(self, count: int) -> Iterator[Method]:
        """Settings whose threshold decides, drawn at random; the threshold is what the surveys say the limit
        allows.
        """
        for _ in range(count):
            draw = self.random
            knobs = dict(
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
                        simulate(survey, METHODS["dbcache"](**knobs, residual_diff_threshold=middle)).tflops
                        or 0.0
                        for survey in self.record.surveys
                    ]
                )
                low, high = (low, middle) if spent <= self.limit else (middle, high)
            yield METHODS["dbcache"](**knobs, residual_diff_threshold=round(high, 4))


def _digits(steps: Any) -> str:
    computed = set(steps)
    return "".join("1" if step in computed else "0" for step in range(STEPS))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evaluations", type=int, default=60, help="real ones for each space and limit")
    parser.add_argument("--prompts", type=int, default=SEARCHED, help="how many of the search's prompts")
    options = parser.parse_args()
    store = Store("search")
    record = Record(store.folder)
    found = {}
    for budget in NEAR:
        for space in SPACES:
            search = Search(store, record, space, budget, options.evaluations, options.prompts)
            psnr, method = search.best()
            found[search.name] = {
                "method": method.to_dict(),
                "psnr_db": round(psnr, 2),
                "evaluations": len(search.seen),
                "prompts": options.prompts,
            }
            print(f"{search.name}: {psnr:.2f} dB: {key(method)}", flush=True)
    FOUND.write_text(
        json.dumps({"revision": store.revision, "found": found}, indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
