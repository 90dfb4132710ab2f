"""attached(): a method on a pipeline or a bare transformer, for as long as the ``with`` lasts.

Every change is made on the instances and undone in the end, whatever happens in between; no class is touched.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from inspect import signature
from typing import Any

import torch

from ..model import model_facts
from ..models.catalog import coefficients_of, sections_of
from ..plans import Columns, Costs, ModelFacts, Modules, Plan, Site, Stack, Tokens
from ..records import StepTrace
from ..session import Session
from ..strict import Cancelled, EngineError
from .clock import Clock
from .columns import ColumnSite
from .loop import Loop, set_temporarily
from .modules import ModuleSite
from .refusals import batch_of, refuse_call, refuse_model
from .stack import StackSite, compiled, numbered
from .tokens import TokenSite

Inner = ModuleSite | TokenSite | ColumnSite


@contextmanager
def attached(
    target: Any,
    method: Any,
    *,
    steps: int | None = None,
    streams: tuple[str, ...] | None = None,
    costs: Costs | None = None,
    stop: threading.Event | None = None,
    on_call: Callable[[StepTrace], None] | None = None,
    clock: Clock | None = None,
    plan: Callable[[ModelFacts], Plan] | None = None,
) -> Iterator[Session]:
    """Run ``target`` (a diffusers pipeline, or a bare transformer) under ``method``.

    A pipeline needs ``.transformer`` and ``.scheduler``; each ``pipe()`` is a new run. For a bare transformer
    give ``steps`` and ``streams`` and call ``session.begin()`` before each run.

    costs: (mode, step) -> TFLOPs of one call, for the trace.  stop: looked at in every call; Cancelled is
    raised. on_call: told of every call as it ends.  clock: is given the loop's begin and end.  plan: in place
    of ``method.plan``. Raises EngineError for a model that is not known, attached already, or used in a way
    that cannot be cached.
    """
    scheduler = getattr(target, "scheduler", None) if hasattr(target, "transformer") else None
    transformer = target.transformer if hasattr(target, "transformer") else target
    sections = sections_of(transformer)
    for item in (transformer, scheduler):  # a shared scheduler would tell both runs of either's steps
        if "_cachelens" in getattr(item, "__dict__", ()):
            raise EngineError(
                f"this {type(item).__name__} already runs under a method; leave that `with` first."
            )
    if scheduler is None and steps is None:
        raise EngineError("steps: a bare transformer does not tell how many steps a run has; pass steps=.")
    blocks = numbered(transformer, sections)
    refuse_model(transformer, (block.module for block in blocks))
    make_plan = plan or method.plan
    lengths = tuple(sum(block.section is section for block in blocks) for section in sections)
    known = coefficients_of(type(transformer).__name__, transformer.config)
    session = Session(
        lambda total: make_plan(model_facts(sections, lengths, total, streams or ("cond",), known)),
        len(blocks),
        total=steps or 0,
        streams=streams or (None if scheduler is not None else ("cond",)),
        stepped=scheduler is not None,
        costs=costs,
    )
    site = StackSite(session, blocks)
    placed: list[Inner] = []
    traced = any(compiled(block.module) is not None for block in blocks)
    clock = clock or Clock(
        getattr(target, "_execution_device", None) or device_of(transformer)
    )  # offloaded parts start elsewhere
    loop = Loop(target, session, clock, stop) if scheduler is not None else None

    names = list(signature(transformer.forward).parameters)
    start: Any = None

    def begins(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        nonlocal start
        if site.call is not None:  # the last call never came to its end
            site.leave()
            session.end()
        if stop is not None and stop.is_set():
            raise Cancelled
        given = dict(zip(names, args)) | kwargs
        if loop is not None:
            loop.begin()
        sites = session.plan.sites if session.plan else ()
        refuse_call(given, skips=any(isinstance(one, Stack) for one in sites))
        call = session.open()
        call.batch = batch_of(given, names[0])
        if not placed:  # not before a plan asks for it: whoever compiles blocks wants nothing inside them
            placed.extend(inside(site, one, traced) for one in sites if not isinstance(one, Stack))
            for module, replacement in (pair for one in placed for pair in one.forwards()):
                set_temporarily(exits, module, "forward", replacement)
        call.live = clock.live
        if call.number == 0:
            clock.loop_begins = clock.synchronise()
        start = clock.mark()
        site.enter(call)

    def ends(_: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        call = site.call
        site.leave()
        if call is None or result is None:  # a run that failed is over: no later call may be served from it
            session.end()
            return
        call.seconds = partial(clock.between, start, clock.mark())
        if on_call is not None:
            try:
                on_call(session.traced(call, fetch=False))
            except BaseException:
                session.end()
                raise

    with ExitStack() as exits:
        exits.callback(session.end)
        exits.callback(site.leave)
        set_temporarily(exits, transformer, "_cachelens", True)
        for module, replacement in site.forwards():
            set_temporarily(exits, module, "forward", replacement)
            if compiled(module) is not None:
                set_temporarily(exits, module, "_compiled_call_impl", None)
        # hooks, not a forward: a pipeline that offloads puts the transformer's own forward back at the end of
        # every run
        for hook in (
            transformer.register_forward_pre_hook(begins, with_kwargs=True),
            transformer.register_forward_hook(ends, with_kwargs=True, always_call=True),
        ):
            exits.callback(hook.remove)
        if loop is not None:
            set_temporarily(exits, loop.scheduler, "_cachelens", True)
            loop.attach(exits)
        yield session
        if loop is not None:
            loop.close()


def inside(at: StackSite, site: Site, traced: bool) -> Inner:
    """What acts inside the blocks for this site of a plan. ``traced``: they are compiled, and what ran once
    is what runs.
    """
    if traced and not isinstance(site, Modules):
        raise EngineError(
            "the blocks are compiled, so no part of one can be run alone; use the model without "
            "compile_repeated_blocks(), or a method that skips whole blocks."
        )
    if isinstance(site, Tokens):
        return TokenSite(at, site)
    if isinstance(site, Columns):
        return ColumnSite(at, site)
    assert isinstance(site, Modules)
    return ModuleSite(at, before_projection=site.before_projection)


def device_of(transformer: Any) -> torch.device:
    return getattr(transformer, "device", None) or next(transformer.parameters()).device
