"""The hooks before and after each call of the transformer: the session opens the call, and the sites act in
it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from inspect import signature
from typing import Any

from torch import nn

from ..plans import Columns, Modules, Site, Stack, Tokens
from ..records import StepTrace
from ..strict import Cancelled, EngineError
from .blocks import compiled, is_compiled
from .clock import Clock
from .columns import ColumnSite
from .loop import Loop, set_temporarily
from .modules import ModuleSite
from .refusals import batch_of, refuse_call, refuse_late_compiling
from .stack import StackSite
from .tokens import TokenSite

InnerSite = ModuleSite | TokenSite | ColumnSite


class CallHooks:
    """The hooks on one transformer for the time of one ``attached`` block."""

    def __init__(
        self,
        site: StackSite,
        clock: Clock,
        loop: Loop | None,
        stop: threading.Event | None,
        on_call: Callable[[StepTrace], None] | None,
        name: str = "",
    ) -> None:
        self.name = name  # name of the pipeline's second transformer, or ""
        self.site, self.clock, self.loop, self.stop, self.on_call = site, clock, loop, stop, on_call
        self.session = site.session
        self.modules = [block.module for block in site.blocks]
        self.compiled = any(map(is_compiled, self.modules))
        self.inner = ExitStack()  # removes the sites inside the blocks
        self.run: Any = None  # the calls of the run for which the sites were placed
        self.parameters: list[str] = []
        self.start: Any = None  # the clock's mark at the start of the current call

    def attach(self, exits: ExitStack, transformer: nn.Module) -> None:
        """Replace the blocks' forwards and hook the transformer's; ``exits`` undoes both.

        The transformer gets hooks and not a new forward, because a pipeline that offloads restores the
        transformer's own forward after every run.
        """
        self.parameters = list(signature(transformer.forward).parameters)
        exits.callback(self.site.leave)
        exits.callback(self.inner.close)
        for module, replacement in self.site.forwards():
            set_temporarily(exits, module, "forward", replacement)
            if compiled(module) is not None:
                set_temporarily(exits, module, "_compiled_call_impl", None)
        for hook in (
            transformer.register_forward_pre_hook(self.before, with_kwargs=True),
            transformer.register_forward_hook(self.after, with_kwargs=True, always_call=True),
        ):
            exits.callback(hook.remove)

    def before(self, transformer: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Begin a call of the transformer."""
        if self.site.at.call is not None:  # the previous call failed before its end
            self.site.leave()
            self.session.end()
        if self.stop is not None and self.stop.is_set():
            raise Cancelled
        if self.loop is not None:
            self.loop.begin()
        refuse_late_compiling(transformer, self.modules)
        arguments = dict(zip(self.parameters, args)) | kwargs
        sites = self.session.plan.sites if self.session.plan else ()
        refuse_call(arguments, skips=any(isinstance(site, Stack) for site in sites))
        call = self.session.open(self.name)
        call.batch = batch_of(arguments, self.parameters[0])
        call.live = self.clock.live
        if self.run is not self.session.calls:
            self.place(sites)
        if call.number == 0:
            self.clock.loop_begins = self.clock.synchronise()
        self.start = self.clock.mark()
        self.site.enter(call)

    def place(self, sites: tuple[Site, ...]) -> None:
        """Attach the sites that act inside blocks, in the first call of each run.

        Before a run, other modules may have entered the blocks: a LoRA puts its layers around the model's own
        layers. The blocks may also be compiled before the first run.
        """
        self.inner.close()
        inner = [self.inner_site(site) for site in sites if not isinstance(site, Stack)]
        for module, replacement in (pair for site in inner for pair in site.forwards()):
            set_temporarily(self.inner, module, "forward", replacement)
        self.run = self.session.calls

    def inner_site(self, site: Site) -> InnerSite:
        """Return the object that carries out the plan's site inside the blocks.

        The code of a compiled block cannot be changed. So a compiled model allows only sites that replace
        whole modules inside a block. Raises EngineError for any other site.
        """
        if self.compiled and not isinstance(site, Modules):
            raise EngineError(
                "the blocks are compiled, so no part of a block can run alone; use the model without "
                "compile_repeated_blocks(), or a method that skips whole blocks."
            )
        if isinstance(site, Tokens):
            return TokenSite(self.site.at, site)
        if isinstance(site, Columns):
            return ColumnSite(self.site.at, site)
        assert isinstance(site, Modules)
        return ModuleSite(self.site.at, before_projection=site.before_projection)

    def after(self, _: Any, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """End a call that has returned or has failed (``result`` is then None)."""
        call = self.site.at.call
        self.site.leave()
        if call is None or result is None:  # the run has failed: its remembered values must not be used later
            self.session.end()
            return
        call.seconds = partial(self.clock.between, self.start, self.clock.mark())
        if self.on_call is not None:
            try:
                self.on_call(self.session.traced(call, fetch=False))
            except BaseException:
                self.session.end()
                raise
