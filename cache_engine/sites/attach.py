"""attached(): a method on a pipeline or a bare transformer, for as long as the ``with`` lasts.

Every change is made on the instances and undone in the end, whatever happens in between; no class is touched.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from inspect import signature
from typing import Any

import torch

from ..model import coefficients_of, model_facts, sections_of
from ..records import Cancelled, Columns, Costs, EngineError, ModelFacts, Modules, Plan, Site, Stack, StepTrace, Tokens
from ..session import Session
from .clock import Clock
from .columns import ColumnSite
from .modules import ModuleSite
from .refusals import batch_of, refuse_call, refuse_model
from .stack import StackSite, compiled, numbered
from .tokens import TokenSite

Inner = ModuleSite | TokenSite | ColumnSite


def replaced(exits: ExitStack, item: Any, name: str, value: Any) -> None:
    """Set an attribute of one instance; when the stack closes, the instance has what it had."""
    before = vars(item).get(name)
    own = name in vars(item)
    setattr(item, name, value)
    exits.callback(lambda: setattr(item, name, before) if own else delattr(item, name))


@contextmanager
def attached(target: Any, method: Any, *, steps: int | None = None, streams: tuple[str, ...] | None = None,
             costs: Costs | None = None, stop: threading.Event | None = None,
             on_call: Callable[[StepTrace], None] | None = None, clock: Clock | None = None,
             plan: Callable[[ModelFacts], Plan] | None = None) -> Iterator[Session]:
    """Run ``target`` (a diffusers pipeline, or a bare transformer) under ``method``.

    A pipeline needs ``.transformer`` and ``.scheduler``; each ``pipe()`` is a new run. For a bare transformer give
    ``steps`` and ``streams`` and call ``session.begin()`` before each run.

    costs: (mode, step) -> TFLOPs of one call, for the trace.  stop: looked at in every call; Cancelled is raised.
    on_call: told of every call as it ends.  clock: is given the loop's begin and end.  plan: in place of ``method.plan``.
    Raises EngineError for a model that is not known, attached already, or used in a way that cannot be cached.
    """
    scheduler = getattr(target, "scheduler", None) if hasattr(target, "transformer") else None
    transformer = target.transformer if hasattr(target, "transformer") else target
    sections = sections_of(transformer)
    for item in (transformer, scheduler):  # a shared scheduler would tell both runs of either's steps
        if "_cachelens" in getattr(item, "__dict__", ()):
            raise EngineError(f"this {type(item).__name__} already runs under a method; leave that `with` first.")
    if scheduler is None and steps is None:
        raise EngineError("steps: a bare transformer does not tell how many steps a run has; pass steps=.")
    blocks = numbered(transformer, sections)
    refuse_model(transformer, (block.module for block in blocks))
    make_plan = plan or method.plan
    lengths = tuple(sum(block.section is section for block in blocks) for section in sections)
    known = coefficients_of(type(transformer).__name__, transformer.config)
    session = Session(
        lambda total: make_plan(model_facts(sections, lengths, total, streams or ("cond",), known)), len(blocks),
        total=steps or 0, streams=streams or (None if scheduler is not None else ("cond",)),
        stepped=scheduler is not None, costs=costs)
    site = StackSite(session, blocks)
    placed: list[Inner] = []
    traced = any(compiled(block.module) is not None for block in blocks)
    clock = clock or Clock(device_of(transformer))

    names = list(signature(transformer.forward).parameters)

    def forward(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        if stop is not None and stop.is_set():
            raise Cancelled
        given = dict(zip(names, args)) | kwargs
        sites = session.plan.sites if session.plan else ()
        refuse_call(given, skips=any(isinstance(one, Stack) for one in sites))
        call = session.open()
        call.batch = batch_of(given)
        if not placed:  # not before a plan asks for it: whoever compiles blocks wants nothing inside them
            placed.extend(inside(site, one, traced) for one in sites if not isinstance(one, Stack))
            for module, replacement in (pair for one in placed for pair in one.forwards()):
                replaced(exits, module, "forward", replacement)
        call.live = clock.live
        if call.number == 0:
            clock.loop_begins = clock.synchronise()
        start = clock.mark()
        try:
            site.enter(call)
            result = original(*args, **kwargs)
        finally:
            site.leave()
        call.seconds = partial(clock.between, start, clock.mark())
        if on_call is not None:
            on_call(session.traced(call, fetch=False))
        return result

    def guarded(original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        try:
            return forward(original, *args, **kwargs)
        except BaseException:  # a run that failed is over: no later call may be served from it
            session.end()
            raise

    with ExitStack() as exits:
        exits.callback(session.end)
        replaced(exits, transformer, "_cachelens", True)
        for module, replacement in site.forwards():
            replaced(exits, module, "forward", replacement)
            if compiled(module) is not None:
                replaced(exits, module, "_compiled_call_impl", None)
        own = transformer.forward
        replaced(exits, transformer, "forward", wraps(own)(partial(guarded, own)))
        if scheduler is not None:
            replaced(exits, scheduler, "_cachelens", True)
            attach_scheduler(exits, scheduler, session, clock, stop)
        yield session


def inside(at: StackSite, site: Site, traced: bool) -> Inner:
    """What acts inside the blocks for this site of a plan. ``traced``: they are compiled, and what ran once is what runs."""
    if traced and not isinstance(site, Modules):
        raise EngineError("the blocks are compiled, so no part of one can be run alone; use the model without "
                          "compile_repeated_blocks(), or a method that skips whole blocks.")
    if isinstance(site, Tokens):
        return TokenSite(at, site)
    if isinstance(site, Columns):
        return ColumnSite(at, site)
    assert isinstance(site, Modules)
    return ModuleSite(at, before_projection=site.before_projection)


def device_of(transformer: Any) -> torch.device:
    return getattr(transformer, "device", None) or next(transformer.parameters()).device


def attach_scheduler(exits: ExitStack, scheduler: Any, session: Session, clock: Clock,
                     stop: threading.Event | None) -> None:
    """A run begins when ``set_timesteps`` returns, a step ends when ``step`` returns."""
    set_timesteps, step = scheduler.set_timesteps, scheduler.step
    finite: list[tuple[int, torch.Tensor]] = []

    @wraps(set_timesteps)
    def begins(*args: Any, **kwargs: Any) -> Any:
        result = set_timesteps(*args, **kwargs)
        session.begin(len(scheduler.timesteps))
        finite.clear()
        return result

    @wraps(step)
    def stepped(*args: Any, **kwargs: Any) -> Any:
        result = step(*args, **kwargs)
        sample = result[0] if isinstance(result, tuple) else result.prev_sample
        finite.append((session.step, torch.isfinite(sample).all()))
        session.next_step()
        if session.step == session.total:
            clock.loop_ends = clock.synchronise()
        if clock.live or session.step == session.total:  # elsewhere each look would hold the device up
            broken = next((step for step, fine in finite if not clock.fetch(fine)), None)
            finite.clear()
            if broken is not None:
                raise EngineError(f"step {broken}: the picture has values that are not numbers; use bfloat16 or float32 "
                                  "instead of float16, or another model file.")
        if stop is not None and stop.is_set():
            raise Cancelled
        return result

    replaced(exits, scheduler, "set_timesteps", begins)
    replaced(exits, scheduler, "step", stepped)
