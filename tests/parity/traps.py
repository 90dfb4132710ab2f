"""Records cache-dit's behaviour where this engine differs on purpose. It runs beside the reference, and no
test imports it.
"""

from __future__ import annotations

from typing import Any

import cache_dit
from cache_dit import DBCacheConfig

from tests.parity.loop import control_samples, denoise, tiny_flux
from tests.tiny_pipeline import draw, tiny_pipeline


class Watch:
    """Records C or c for each call of a FLUX or Qwen-Image transformer, by hooks at its
    first middle block.
    """

    def __init__(self, model: Any, front: int = 1) -> None:
        self.seen: list[str] = []
        blocks = [*model.transformer_blocks, *getattr(model, "single_transformer_blocks", ())]
        if front < len(blocks):
            blocks[front].register_forward_pre_hook(lambda *_: self.seen.append("C"))
        model.register_forward_pre_hook(lambda *_: self.seen.append("|"))

    def calls(self) -> str:
        """Return the calls seen since this was last read."""
        calls = "".join(self.seen).replace("|C", "C").replace("|", "c")
        self.seen.clear()
        return calls


def cached(model: Any, **knobs: Any) -> Watch:
    watch = Watch(getattr(model, "transformer", model), knobs.get("Fn_compute_blocks", 1))
    defaults: dict[str, Any] = dict(Fn_compute_blocks=1, max_warmup_steps=4, residual_diff_threshold=1.0)
    cache_dit.enable_cache(model, cache_config=DBCacheConfig(**defaults | knobs))
    return watch


def calls(steps: int, streams: tuple[str, ...] = ("cond",), **knobs: Any) -> str:
    watch = cached(model := tiny_flux(), **{"enable_separate_cfg": False} | knobs)
    denoise(model, steps, streams)
    return watch.calls()


def failure(run: Any) -> str:
    try:
        run()
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def overlap() -> float:
    """Return how far the result is from the bare model's, if first and last blocks overlap and nothing is
    cached.
    """
    cached(model := tiny_flux(), Fn_compute_blocks=4, Bn_compute_blocks=4, residual_diff_threshold=0.0)
    return (denoise(model, 8) - denoise(tiny_flux(), 8)).abs().max().item()


def late_refresh() -> list[str]:
    watch = cached(model := tiny_flux(), num_inference_steps=8)
    collected = []
    for _ in range(3):
        denoise(model, 8)
        collected.append(watch.calls())
    return collected


def other_shape() -> str:
    cached(model := tiny_flux(), max_warmup_steps=1)
    return failure(lambda: denoise(model, 4, side=lambda step: 4 if step < 2 else 6))


def not_a_number() -> str:
    watch = cached(model := tiny_flux(), residual_diff_threshold=0.9)
    denoise(model, 8, broken_from=5)
    return watch.calls()


def control() -> tuple[float, float]:
    """Return how wrong the result is with control samples and nothing cached, and how much the samples
    matter.
    """
    cached(model := tiny_flux(), residual_diff_threshold=0.0)
    samples = control_samples()
    right = denoise(tiny_flux(), 4, **samples)
    wrong, plain = denoise(model, 4, **samples), denoise(tiny_flux(), 4)
    return (wrong - right).abs().max().item(), (plain - right).abs().max().item()


def sibling() -> tuple[str, str]:
    """Return the calls of a cached pipeline alone, and those with another bare pipeline of its class called
    between steps 6 and 7.
    """
    pipe, bare = tiny_pipeline(), tiny_pipeline(1)
    watch = cached(pipe)
    draw(pipe, steps=12)
    alone = watch.calls()

    def between(pipe: Any, step: int, time: Any, tensors: dict[str, Any]) -> dict[str, Any]:
        if step == 6:
            draw(bare, steps=4)
        return {}

    draw(pipe, steps=12, callback_on_step_end=between)
    return alone, watch.calls()


def after_disable() -> bool:
    pipe = tiny_pipeline()
    cache_dit.enable_cache(pipe, cache_config=DBCacheConfig(Fn_compute_blocks=1))
    cache_dit.disable_cache(pipe)
    return "forward" in vars(pipe.transformer)


def fall_into_all() -> dict[str, Any]:
    static: dict[str, Any] = dict(steps_computation_policy="static", steps_computation_mask=[0, 1, 1, 0])
    return {
        "overlap": overlap(),
        "no cached steps": calls(8, max_cached_steps=0),
        "none in a row": calls(8, max_continuous_cached_steps=0),
        "long warm-up": calls(4, max_warmup_steps=8),
        "static from 0": failure(lambda: calls(4, max_warmup_steps=0, **static)),
        "short mask": calls(8, steps_computation_mask=[1, 1, 1]),
        "one stream for two": calls(4, ("cond", "uncond")),
        "unknown knob": failure(lambda: DBCacheConfig().update(max_continous_cached_steps=3)),
        "late refresh": late_refresh(),
        "other shape": other_shape(),
        "not a number": not_a_number(),
        "control": control(),
        "sibling": sibling(),
        "after disable": after_disable(),
    }
