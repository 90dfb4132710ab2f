"""The stack site: a run of blocks is computed and its residual remembered, or skipped and the residual
predicted.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Hashable
from functools import partial, wraps
from typing import Any, NamedTuple, SupportsFloat

from torch import Tensor, nn

from ..model import Section
from ..plans import Site, Stack, active_sites
from ..session import Call, Session
from ..strict import EngineError
from .memory import Memory, Reference


class Block(NamedTuple):
    """One transformer block: its module, its original forward, and where its tensors are among the
    arguments.
    """

    index: int
    module: nn.Module
    forward: Callable[..., Any]
    section: Section
    parameters: tuple[str, ...]

    def arguments(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
        """The forward's arguments by name."""
        return dict(zip(self.parameters, args)) | kwargs

    def inputs(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Tensor]:
        given = self.arguments(args, kwargs)
        return {name: given[name] for name in self.section.takes}

    def outputs(self, result: Any) -> dict[str, Tensor]:
        """The block's result by name."""
        if isinstance(result, tuple) != (len(self.section.returns) > 1):
            raise EngineError(
                f"{type(self.module).__name__} does not return {' and '.join(self.section.returns)}, as "
                "described; its model cannot be cached."
            )
        values = result if len(self.section.returns) > 1 else (result,)
        return dict(zip(self.section.returns, values, strict=True))

    def result(self, values: dict[str, Tensor]) -> Any:
        """The inverse of ``outputs``."""
        found = [values[name] for name in self.section.returns]
        return tuple(found) if len(found) > 1 else found[0]


def numbered(transformer: nn.Module, sections: tuple[Section, ...]) -> list[Block]:
    """The model's blocks 0..N-1 across its sections."""
    found: list[Block] = []
    for section in sections:
        for module in transformer.get_submodule(section.path).children():
            parameters = tuple(inspect.signature(module.forward).parameters)
            found.append(Block(len(found), module, compiled(module) or module.forward, section, parameters))
    return found


def compiled(module: nn.Module) -> Callable[..., Any] | None:
    """A compiled block as it was compiled: while it runs, the module's forward is its own again, so that none
    of ours is traced. None for a block that is not compiled.
    """
    run = getattr(module, "_compiled_call_impl", None)
    if run is None:
        return None

    def forward(*args: Any, **kwargs: Any) -> Any:
        ours = vars(module).pop("forward", None)
        try:
            return run(*args, **kwargs)
        finally:
            if ours is not None:
                module.forward = ours

    return forward


def parts(blocks: list[Block], stack: Stack) -> dict[int, range]:
    """For each block of the stack, the run of blocks around it that carry the same tensors.

    Each part has a residual of its own: between two parts the model joins or splits what its blocks carry.
    """
    found: dict[int, range] = {}
    first = stack.start
    for index in range(stack.start, stack.stop):
        carries = blocks[index].section[1:3]
        if carries != blocks[first].section[1:3]:
            first = index
        if index + 1 == stack.stop or blocks[index + 1].section[1:3] != carries:
            found |= dict.fromkeys(range(first, index + 1), range(first, index + 1))
    return found


class StackSite:
    """Stands in every block's way, decides where the first skippable one begins, and serves or remembers.

    The decision is made once a call: where the stack spans lists of blocks that carry different tensors, the
    first part decides and the others obey.

    What the call at hand is, and what its stream remembers, stands here for the sites inside the blocks too.
    """

    def __init__(self, session: Session, blocks: list[Block]) -> None:
        self.session, self.blocks = session, blocks
        self.leave()

    def enter(self, call: Call) -> None:
        """A call of the transformer begins."""
        assert self.session.plan is not None
        self.plan, self.call = self.session.plan, call
        active = active_sites(self.plan, call.step)
        self.stack = next((site for site in active if isinstance(site, Stack)), None)
        self.inner = next((site for site in active if not isinstance(site, Stack)), None)
        self.decides_at = self.stack.start if self.stack else 0
        self.parts = parts(self.blocks, self.stack) if self.stack else {}
        self.skipping = self.serving = False
        self.memory = self.session.memory.setdefault(call.stream, Memory())

    def leave(self) -> None:
        """The call is over, or has failed: keep no tensor of it."""
        self.call: Call | None = None
        self.stack: Stack | None = None
        self.inner: Site | None = None  # the one that acts inside the blocks
        self.entry: Tensor | None = None  # the first block's image
        self.signal: Tensor | None = None
        self.start: dict[str, Tensor] = {}  # what enters the part at hand
        self.parts: dict[int, range] = {}

    def forwards(self) -> list[tuple[nn.Module, Callable[..., Any]]]:
        """For each block's module, the forward to run in place of its own."""
        return [
            (block.module, wraps(block.module.forward)(partial(self.block, block))) for block in self.blocks
        ]

    def block(self, block: Block, *args: Any, **kwargs: Any) -> Any:
        call, stack = self.call, self.stack
        if call is None:
            return block.forward(*args, **kwargs)
        inputs = block.inputs(args, kwargs)
        if block.index == 0:
            self.look(block, block.arguments(args, kwargs))
        if block.index == self.decides_at:
            self.decide(call, block, inputs)
        part = self.parts.get(block.index)
        if stack and part and self.skipping:
            return block.result(
                self.served(call, stack, part, inputs) if block.index == part.start else inputs
            )
        if part and block.index == part.start:
            self.start = inputs
        call.blocks_run += not (self.serving and self.inner is not None and self.inner.serves == "c")
        result = block.forward(*args, **kwargs)
        if stack and part and block.index == part.stop - 1:
            self.remember(call, stack, part, block.outputs(result))
        return result

    def look(self, block: Block, arguments: dict[str, Any]) -> None:
        """At the first block: what the signal is taken from."""
        self.entry = arguments[block.section.takes[0]]
        wanted = self.plan.signal is not None and self.plan.signal.kind == "modulated_input"
        self.signal = (
            block.section.modulated(block.module, arguments) if wanted and block.section.modulated else None
        )

    def place(self, stack: Stack, part: range) -> Hashable:
        """Where a part's values are remembered."""
        return stack if part.start == stack.start else (stack, part.start)

    def decide(self, call: Call, block: Block, inputs: dict[str, Tensor]) -> None:
        if not self.memory.fits(*inputs.values()):
            self.session.forget(call)
            self.memory = self.session.memory.setdefault(call.stream, Memory())
            self.memory.fits(*inputs.values())
        if self.stack:
            if self.stack.steps:
                self.memory.keep_only(*(self.place(self.stack, part) for part in self.parts.values()))
            call.ready = call.ready and bool(self.memory.at(self.stack).computed)
        if self.plan.signal and self.signal is None and self.entry is not None and self.decides_at > 0:
            image = image_of(next(iter(inputs.values())), self.entry.shape[1], block.section)
            self.signal = image - self.entry  # of the blocks in front
        decision = self.session.decide(call, self.measure(call))
        self.skipping = self.stack is not None and decision.mode == self.stack.serves
        self.serving = self.inner is not None and decision.mode == self.inner.serves
        if self.plan.signal and (decision.mode == "C" or self.plan.signal.since == "previous"):
            self.memory.reference = Reference(self.signal) if self.signal is not None else None

    def measure(self, call: Call) -> Callable[[], SupportsFloat] | None:
        """How far the signal moved: a float where that costs nothing, else a scalar on the device."""
        reference, signal = self.memory.reference, self.signal
        if reference is None or signal is None or signal.is_meta:
            return None
        return (lambda: float(reference.change(signal))) if call.live else (lambda: reference.change(signal))

    def served(self, call: Call, stack: Stack, part: range, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        predicted = self.memory.at(self.place(stack, part)).predict(
            self.plan.predictor, call.step, call.total
        )
        if not stack.residual:
            return inputs | dict(zip(inputs, predicted))
        return inputs | {name: delta + value for (name, value), delta in zip(inputs.items(), predicted)}

    def remember(self, call: Call, stack: Stack, part: range, outputs: dict[str, Tensor]) -> None:
        """A model's last block may return no text: then there is none to remember, and none is asked for."""
        names = [name for name in self.start if outputs.get(name) is not None]
        values = tuple(
            outputs[name] - self.start[name] if stack.residual else outputs[name] for name in names
        )
        self.memory.at(self.place(stack, part)).remember(call.step, values, self.plan.predictor)


def image_of(tensor: Tensor, tokens: int, section: Section) -> Tensor:
    """The image's part of a tensor (batch, tokens, channels) that may hold the text too."""
    if tensor.shape[1] == tokens:
        return tensor
    return tensor[:, -tokens:] if section.text_first else tensor[:, :tokens]
