"""Tests a device whose memory is full in the middle of a run: one sentence, no memory held, and a correct
next run.
"""

from __future__ import annotations

import weakref
from typing import Any

import pytest
import torch

from cache_engine import METHODS, Baselines, EngineError, RunRequest, run, run_comparison
from cache_engine.loading import load_model

APPLE = RunRequest(prompt="a small red apple on a blue background", seed=7, steps=4, true_cfg_scale=1)
SETTING = METHODS["dbcache"](
    Fn_compute_blocks=1, max_warmup_steps=2, residual_diff_threshold=0.3, taylorseer_order=1
)
FULL = (
    torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
    RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 8 bytes"),
)


class Full:
    """A block that finds the device full in one of its calls. ``seen``: the arguments of that call."""

    def __init__(self, error: Exception, call: int) -> None:
        self.error, self.call, self.seen = error, call, list[weakref.ref[torch.Tensor]]()

    def __call__(self, module: Any, args: Any, given: dict[str, Any]) -> None:
        self.call -= 1
        if self.call < 0:
            self.seen += [weakref.ref(value) for value in given.values() if isinstance(value, torch.Tensor)]
            raise self.error


@pytest.mark.parametrize("error", FULL, ids=["torch", "cuBLAS", "CPU"])
def test_in_the_middle_of_a_run(error: Exception) -> None:
    before = run(APPLE, SETTING)
    baselines = Baselines()
    full = Full(error, call=2)  # in the third of four steps
    hook = (
        load_model("tiny")
        .pipe.transformer.transformer_blocks[1]
        .register_forward_pre_hook(full, with_kwargs=True)
    )
    try:
        with pytest.raises(
            EngineError,
            match=r"^model: tiny FLUX \(embedded\) does not fit this device's memory .*choose a smaller "
            r"picture",
        ) as caught:
            run_comparison(APPLE, SETTING, baselines=baselines)
    finally:
        hook.remove()
    assert str(caught.value).endswith(".")
    assert len(full.seen) >= 2
    assert not any(
        tensor() is not None for tensor in full.seen
    )  # although the error and its stack frames still exist
    assert baselines.get(before.request, before.engine) is None
    after = run(APPLE, SETTING)
    assert after.image.tobytes() == before.image.tobytes()
    assert [call.change for call in after.trace] == [call.change for call in before.trace]
