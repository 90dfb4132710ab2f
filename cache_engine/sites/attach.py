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
from .refusals import refuse_attached, refuse_changed_requests, refuse_model, unwrapped
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

    A pipeline needs ``.transformer`` and ``.scheduler``; each ``pipe()`` is a new run. A pipeline's
    ``.transformer_2`` runs under the same method, and has a memory of its own. A bare transformer needs
    ``steps`` and ``streams``, and a call of ``session.begin()`` before each run. Set ``session.costs`` before
    the first call if the trace shall contain TFLOPs.

    method: a Method, or another object with ``plan(facts)``, such as a FixedPlan.
    stop: every call checks this event, and raises Cancelled if it is set.
    on_call: is called at the end of each transformer call, with its trace.
    clock: receives the times at which the denoising loop begins and ends. Raises EngineError if the model is
    not known, is already attached, or cannot be cached.
    """
    transformers, scheduler = transformers_and_scheduler(target)
    if scheduler is None and steps is None:
        raise EngineError("steps: a bare transformer does not tell how many steps a run has; pass steps=.")
    refuse_changed_requests(method)
    transformer, *_ = transformers.values()
    sections = sections_of(transformer)
    stacks = {name: numbered(model, sections_of(model)) for name, model in transformers.items()}
    blocks, *others = stacks.values()
    for name, model in transformers.items():
        refuse_attached(model)
        refuse_model(model, (block.module for block in stacks[name]))
    if any([block.section for block in other] != [block.section for block in blocks] for other in others):
        raise EngineError(
            f"{' and '.join(transformers)} have different blocks, so one plan does not fit both; run the "
            "pipeline without a cache."
        )
    session = Session(
        planner(method, transformer, sections, blocks, streams or ("cond",)),
        len(blocks),
        total=steps or 0,
        streams=streams or (None if scheduler is not None else ("cond",)),
        stepped=scheduler is not None,
    )
    clock = clock or Clock(device_of(target))
    with ExitStack() as exits:
        exits.callback(session.end)
        loop = None if scheduler is None else Loop(target, session, clock, stop, exits)
        for number, (name, model) in enumerate(transformers.items()):
            set_temporarily(exits, model, "_cachelens", True)
            site = StackSite(session, stacks[name])
            CallHooks(site, clock, loop, stop, on_call, name if number else "").attach(exits, model)
        yield session


def transformers_and_scheduler(target: Any) -> tuple[dict[str, nn.Module], Any]:
    """Return a pipeline's transformers and its scheduler, or a bare transformer and None.

    Wan 2.2 has two transformers: one for the first steps, one for the other steps. Raises EngineError for a
    transformer inside another model's wrapper.
    """
    if not hasattr(target, "transformer"):
        return {"transformer": unwrapped(target)}, None
    named = {name: getattr(target, name, None) for name in ("transformer", "transformer_2")}
    transformers = {name: unwrapped(model) for name, model in named.items() if model is not None}
    if not transformers:
        raise EngineError(f"this {type(target).__name__} has no transformer; load the pipeline with one.")
    return transformers, getattr(target, "scheduler", None)


def planner(
    method: PlanMaker,
    transformer: Any,
    sections: tuple[Section, ...],
    blocks: list[Block],
    streams: tuple[str, ...],
) -> Callable[[int], Plan]:
    """Return a function that makes the method's plan for a number of steps."""
    lengths = tuple(sum(block.section == section for block in blocks) for section in sections)
    coefficients = coefficients_of(type(transformer).__name__, getattr(transformer, "config", {}))
    return lambda total: method.plan(model_facts(sections, lengths, total, streams, coefficients))


def device_of(target: Any) -> torch.device:
    """Return the device that runs the calls of a pipeline or transformer.

    A pipeline that offloads its parts keeps them on another device between the calls.
    """
    if (device := getattr(target, "_execution_device", None)) is not None:
        return device
    transformer = getattr(target, "transformer", None) or getattr(target, "transformer_2", None) or target
    return getattr(transformer, "device", None) or next(transformer.parameters()).device
