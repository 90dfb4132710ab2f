"""Refuses models and calls in which skipping blocks would spoil the picture or the measurement."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import nn

from ..plans import PlanMaker
from ..records import RunRequest
from ..strict import EngineError
from .blocks import is_compiled

CONTROL = (
    "controlnet_block_samples",
    "controlnet_single_block_samples",
    "block_controlnet_hidden_states",
    "control_hidden_states",
)
KEPT_KEYS = ("kv_cache", "kv_caches")


COMPILED = (
    "the transformer is compiled as a whole, so its blocks cannot be replaced; use the plain transformer, "
    "and call its compile_repeated_blocks() before attaching."
)


def unwrapped(transformer: Any) -> nn.Module:
    """Return the model inside peft's wrapper, whose calls run exactly this model.

    Raises EngineError for torch's wrappers, whose calls run copies or parts of the model.
    """
    if hasattr(transformer, "_orig_mod"):
        raise EngineError(COMPILED)
    if hasattr(transformer, "get_base_model"):
        return unwrapped(transformer.get_base_model())
    if isinstance(getattr(transformer, "module", None), nn.Module):
        raise EngineError(
            f"{type(transformer).__name__} runs copies or parts of the transformer, each of which would "
            "decide for itself; use the model inside it (its .module)."
        )
    return transformer


def refuse_model(transformer: nn.Module, modules: Iterable[nn.Module]) -> None:
    """Raise EngineError for a model whose blocks cannot be skipped one by one."""
    if is_compiled(transformer):
        raise EngineError(COMPILED)
    if getattr(transformer, "_parallel_config", None) is not None:
        raise EngineError(
            "context parallelism splits a picture over several devices, and each device would decide "
            "for itself; run the model on one device."
        )
    devices = set()
    for module in modules:
        placing = getattr(module, "_hf_hook", None)
        if any(type(hook).__name__ == "AlignDevicesHook" for hook in getattr(placing, "hooks", (placing,))):
            raise EngineError(
                "the blocks are loaded or placed one by one (sequential offload, or a device map), which "
                "hides the time that skipping saves; use enable_model_cpu_offload() or one device."
            )
        hooks = getattr(getattr(module, "_diffusers_hook", None), "hooks", {})
        if any("offload" in name for name in hooks):
            raise EngineError(
                "group offloading loads the next block while a block runs, even if the next block is "
                "skipped; use enable_model_cpu_offload() or one device."
            )
        if hooks:
            raise EngineError(
                f"the blocks already have hooks ({', '.join(hooks)}); disable the model's other cache first."
            )
        devices |= {parameter.device for parameter in module.parameters()}
    if len(devices) > 1:
        raise EngineError(
            f"the blocks are on {len(devices)} devices ({', '.join(sorted(map(str, devices)))}); load "
            "the transformer on one device."
        )


def refuse_attached(item: Any) -> None:
    """Raise EngineError for a transformer or scheduler that runs under a method already.

    Two pipelines may share a scheduler: both sessions would then count the steps of both runs.
    """
    if "_cachelens" in getattr(item, "__dict__", ()):
        raise EngineError(f"this {type(item).__name__} already runs under a method; leave that `with` first.")


def refuse_changed_requests(method: PlanMaker) -> None:
    """Raise EngineError for a method that changes the request, because here the pipeline's caller makes the
    request.
    """
    effective = getattr(method, "effective", None)
    # the largest number of steps that a request may have
    request = RunRequest(model="-", prompt="-", steps=200)
    if effective is not None and effective(request) != request:
        raise EngineError(
            f"{type(method).__name__} runs fewer steps, but here the pipeline's caller sets the steps; give "
            "the pipeline fewer steps, and attach the baseline or a cache; or use run() or compare()."
        )


def refuse_late_compiling(transformer: nn.Module, modules: Iterable[nn.Module]) -> None:
    """Raise EngineError in a call if the transformer or its blocks were compiled after attaching.

    torch.compile would then trace the engine itself.
    """
    tracing = torch._C._dynamo.eval_frame.get_eval_frame_callback()  # pyright: ignore[reportAttributeAccessIssue]
    if tracing not in (None, False) or is_compiled(transformer):
        raise EngineError(COMPILED)
    if any(getattr(module, "_compiled_call_impl", None) is not None for module in modules):
        raise EngineError(
            "the blocks were compiled inside the `with`; call compile_repeated_blocks() before attaching."
        )


def refuse_call(given: Mapping[str, Any], skips: bool) -> None:
    """Raise EngineError for arguments that act between blocks. ``skips``: True if the plan skips blocks."""
    if not skips:
        return
    if any(given.get(name) is not None for name in CONTROL):
        raise EngineError(
            "a control signal (ControlNet, VACE) is added between the blocks, which a cache skips; run it "
            "without the signal, or without a cache."
        )
    if any(given.get(name) is not None for name in KEPT_KEYS):
        raise EngineError(
            "this pipeline keeps keys and values of its own between the calls; run it without "
            "reference pictures."
        )
    if given.get("skip_layers"):
        raise EngineError(
            "skip-layer guidance leaves out blocks itself, so the remembered values would not fit; "
            "switch it off."
        )


def batch_of(given: Mapping[str, Any], picture: str) -> int:
    """Return the number of samples in a call.

    picture: the name of the forward's first parameter. This parameter is a tensor (batch, ...), or a list
    with one tensor for each sample. If the argument is missing, the model itself raises an error.
    """
    samples = given.get(picture)
    return 1 if samples is None else len(samples)
