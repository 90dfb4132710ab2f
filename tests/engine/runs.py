"""Parts shared by tests of a method on a pipeline: settings that cache, settings that compute every step, and
the state of instances.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import Tensor

from cache_engine.method import Method
from cache_engine.methods.baseline import Baseline
from cache_engine.methods.dbcache import DBCache
from cache_engine.session import Session
from cache_engine.sites.attach import attached
from tests.tiny_pipeline import draw

STEPS = 6
CACHING: dict[str, Method] = {
    "reuse": DBCache(max_warmup_steps=2, residual_diff_threshold=1, taylorseer_order=0),
    "forecast": DBCache(
        Fn_compute_blocks=2,
        Bn_compute_blocks=1,
        max_warmup_steps=1,
        max_continuous_cached_steps=2,
        residual_diff_threshold=0.9,
        taylorseer_order=2,
    ),
}
COMPUTING: dict[str, Method] = {
    "baseline": Baseline(),
    "threshold 0": DBCache(max_warmup_steps=0, residual_diff_threshold=0, taylorseer_order=0),
    "threshold 0, order 3, back": DBCache(
        Bn_compute_blocks=2, max_warmup_steps=0, residual_diff_threshold=0, taylorseer_order=3
    ),
    "all warm-up": DBCache(Fn_compute_blocks=5, max_warmup_steps=STEPS, residual_diff_threshold=1),
    "mask of ones": DBCache(
        steps_computation_mask="1" * STEPS, steps_computation_policy="static", residual_diff_threshold=1
    ),
    "nothing is below 1e-6": DBCache(max_warmup_steps=0, residual_diff_threshold=1e-6),
}
Pipe = Any


def footprint(pipe: Pipe) -> dict[str, Any]:
    """Return the attributes of each instance, the forward it would run, and its number of hooks."""
    modules = [
        (f"{part} {name}", module)
        for part in ("transformer", "vae")
        for name, module in getattr(pipe, part).named_modules()
    ]
    collected = {}
    for name, item in [("pipeline", pipe), ("scheduler", pipe.scheduler), *modules]:
        own = vars(item)
        collected[name] = (
            sorted(own),
            id(own.get("forward")),
            id(type(item).__dict__.get("forward")),
            {key: len(value) for key, value in own.items() if key.endswith("_hooks")},
        )
    return collected


def run(pipe: Pipe, method: Method, **more: Any) -> tuple[Tensor, Session]:
    """Run the pipeline once under the method. Return its latents (or picture) and its session."""
    more = {"steps": STEPS} | more
    with attached(pipe, method) as session:
        return draw(pipe, **more), session


def modes(session: Session, stream: str = "cond") -> str:
    return "".join(call.mode for call in session.trace if call.stream == stream)


def at_step(index: int, act: Callable[[], object]) -> Callable[..., dict[str, Any]]:
    """Return a pipeline callback that calls ``act`` after the step ``index``."""

    def callback(pipe: Pipe, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if step == index:
            act()
        return {}

    return callback
