"""``attached()`` runs a pipeline or a bare transformer under a method for the time of the ``with`` block.

Every change is made on instances, and is undone at the end, also after an error. No class is changed.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import nn

from ..model import Section, model_facts
from ..models.catalog import coefficients_of, sections_of
from ..plans import Plan, PlanMaker
from ..records import StepTrace
from ..session import Session
from ..strict import EngineError
from .blocks import Block, numbered
from .call_hooks import CallHooks
from .clock import Clock
from .loop import Loop, set_temporarily
from .refusals import refuse_model
from .stack import StackSite


@contextmanager
def attached(
    target: Any,
    method: PlanMaker,
    *,
    steps: int | None = None,
    streams: tuple[str, ...] | None = None,
    stop: threading.Event | None = None,
    on_call: Callable[[StepTrace], None] | None = None,
    clock: Clock | None = None,
) -> Iterator[Session]:
    """Run ``target`` (a diffusers pipeline, or a bare transformer) under ``method``; yield the session.

    A pipeline needs ``.transformer`` and ``.scheduler``; each ``pipe()`` is a new run. A bare transformer
    needs ``steps`` and ``streams``, and a call of ``session.begin()`` before each run. Set ``session.costs``
    before the first call if the trace shall contain TFLOPs.

    method: a Method, or another object with ``plan(facts)``, such as a FixedPlan.
    stop: every call checks this event, and raises Cancelled if it is set.
    on_call: is called at the end of each transformer call, with its trace.
    clock: receives the times at which the denoising loop begins and ends. Raises EngineError if the model is
    not known, is already attached, or cannot be cached.
    """
    transformer, scheduler = transformer_and_scheduler(target)
    if scheduler is None and steps is None:
        raise EngineError("steps: a bare transformer does not tell how many steps a run has; pass steps=.")
    sections = sections_of(transformer)
    blocks = numbered(transformer, sections)
    refuse_model(transformer, (block.module for block in blocks))
    session = Session(
        planner(method, transformer, sections, blocks, streams or ("cond",)),
        len(blocks),
        total=steps or 0,
        streams=streams or (None if scheduler is not None else ("cond",)),
        stepped=scheduler is not None,
    )
    clock = clock or Clock(device_of(target))
    loop = Loop(target, session, clock, stop) if scheduler is not None else None
    with ExitStack() as exits:
        exits.callback(session.end)
        set_temporarily(exits, transformer, "_cachelens", True)
        CallHooks(StackSite(session, blocks), clock, loop, stop, on_call).attach(exits, transformer)
        if loop is not None:
            set_temporarily(exits, scheduler, "_cachelens", True)
            loop.attach(exits)
        yield session
        if loop is not None:
            loop.close()


def transformer_and_scheduler(target: Any) -> tuple[nn.Module, Any]:
    """Return a pipeline's transformer and scheduler, or a bare transformer and None.

    Raises EngineError if the transformer or the scheduler already runs under a method. If two pipelines share
    a scheduler, both sessions would count the steps of both runs.
    """
    piped = hasattr(target, "transformer")
    transformer = target.transformer if piped else target
    scheduler = getattr(target, "scheduler", None) if piped else None
    for item in (transformer, scheduler):
        if "_cachelens" in getattr(item, "__dict__", ()):
            raise EngineError(
                f"this {type(item).__name__} already runs under a method; leave that `with` first."
            )
    return transformer, scheduler


def planner(
    method: PlanMaker,
    transformer: Any,
    sections: tuple[Section, ...],
    blocks: list[Block],
    streams: tuple[str, ...],
) -> Callable[[int], Plan]:
    """Return a function that makes the method's plan for a number of steps."""
    lengths = tuple(sum(block.section is section for block in blocks) for section in sections)
    coefficients = coefficients_of(type(transformer).__name__, getattr(transformer, "config", {}))
    return lambda total: method.plan(model_facts(sections, lengths, total, streams, coefficients))


def device_of(target: Any) -> torch.device:
    """Return the device that runs the calls of a pipeline or transformer.

    A pipeline that offloads its parts keeps them on another device between the calls.
    """
    if (device := getattr(target, "_execution_device", None)) is not None:
        return device
    transformer = getattr(target, "transformer", target)
    return getattr(transformer, "device", None) or next(transformer.parameters()).device
