"""Runs every setting on cache-dit and writes the results. It needs its own process, because cache-dit patches
classes.

python -m tests.parity.reference OUT
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import cache_dit
import torch

from tests.parity import traps
from tests.parity.loop import denoise, tiny_flux, tiny_qwen_image
from tests.parity.settings import BFLOAT16, FLOAT32, NAMES, Setting


def run(setting: Setting) -> dict[str, Any]:
    """Run a setting. ``calls``: C or c for each call, seen at the first middle block. ``changes``:
    cache-dit's own changes, by stream and step.
    """
    model = tiny_qwen_image() if setting.model == "qwen-image" else tiny_flux(getattr(torch, setting.dtype))
    knobs: dict[str, Any] = {NAMES[key]: value for key, value in setting.knobs.items()}
    order, mask = knobs.pop("taylorseer_order", 0), knobs.pop("steps_computation_mask", None)
    knobs = {"Fn_compute_blocks": 1, "enable_separate_cfg": len(setting.streams) == 2} | knobs
    config = cache_dit.DBCacheConfig(
        **knobs, steps_computation_mask=[int(digit) for digit in mask] if mask else None
    )
    forecast = cache_dit.TaylorSeerCalibratorConfig(taylorseer_order=order) if order else None
    cache_dit.enable_cache(model, cache_config=config, calibrator_config=forecast)

    watch = traps.Watch(model, config.Fn_compute_blocks)
    latents = denoise(model, setting.steps, setting.streams, setting.side, getattr(torch, setting.dtype))
    stats, *_ = cache_dit.summary(model)  # for a single list, cache-dit reports everything twice
    return {
        "calls": watch.calls(),
        "latents": latents,
        "changes": {"cond": stats.residual_diffs, "uncond": stats.cfg_residual_diffs},
    }


def main(out: str) -> None:
    logging.disable(logging.WARNING)
    torch.set_num_threads(1)
    runs = {str(setting): run(setting) for setting in (*FLOAT32, *BFLOAT16)}
    torch.save({"version": cache_dit.__version__, "runs": runs, "traps": traps.fall_into_all()}, out)


if __name__ == "__main__":
    main(sys.argv[1])
