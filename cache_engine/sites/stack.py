"""The stack site: a run of blocks is computed and its residual remembered, or skipped and the residual predicted."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial, wraps
from typing import Any, NamedTuple

from torch import Tensor, nn

from ..model import Section
from ..records import Stack, active_site
from ..session import Call, Session
from .memory import Computed, Front, Memory


class Block(NamedTuple):
    """One transformer block: its module, its original forward, and where its tensors are among the arguments."""

    index: int
    module: nn.Module
    forward: Callable[..., Any]
    section: Section
    positions: tuple[int, ...]

    def inputs(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Tensor]:
        found = {}
        for name, position in zip(self.section.takes, self.positions, strict=True):
            found[name] = kwargs[name] if name in kwargs else args[position]
        return found

    def outputs(self, result: Any) -> dict[str, Tensor]:
        """The block's result by name."""
        values = result if len(self.section.returns) > 1 else (result,)
        return dict(zip(self.section.returns, values, strict=True))

    def result(self, values: dict[str, Tensor]) -> Any:
        """The inverse of ``outputs``."""
        found = tuple(values[name] for name in self.section.returns)
        return found if len(found) > 1 else found[0]


def numbered(transformer: nn.Module, sections: tuple[Section, ...]) -> list[Block]:
    """The model's blocks 0..N-1 across its sections."""
    found: list[Block] = []
    for section in sections:
        for module in transformer.get_submodule(section.path).children():
            names = list(inspect.signature(module.forward).parameters)
            positions = tuple(names.index(name) for name in section.takes)
            found.append(Block(len(found), module, module.forward, section, positions))
    return found


class StackSite:
    """Stands in every block's way, decides at the first skippable one, and serves or remembers."""

    def __init__(self, session: Session, blocks: list[Block]) -> None:
        self.session, self.blocks = session, blocks
        self.call: Call | None = None

    def enter(self, call: Call) -> None:
        """A call of the transformer begins."""
        assert self.session.plan is not None
        self.call, self.skipping = call, False
        self.stack = active_site(self.session.plan, call.step)
        self.memory = self.session.memory.setdefault(call.stream, Memory())
        if self.stack is None:
            self.session.decide(call)

    def leave(self) -> None:
        """The call is over, or has failed: keep no tensor of it."""
        self.call = self.stack = self.entry = self.start = None

    def forwards(self) -> list[tuple[nn.Module, Callable[..., Any]]]:
        """For each block's module, the forward to run in place of its own."""
        return [(block.module, wraps(block.forward)(partial(self.block, block))) for block in self.blocks]

    def block(self, block: Block, *args: Any, **kwargs: Any) -> Any:
        call, stack = self.call, self.stack
        if call is None or stack is None:
            if call is not None:
                call.blocks_run += 1
            return block.forward(*args, **kwargs)
        inputs = block.inputs(args, kwargs)
        if block.index == 0:
            self.entry = inputs[block.section.takes[0]]
        if block.index == stack.start:
            self.decide(call, stack, block, inputs)
            if self.skipping:
                return block.result(self.served(call, inputs))
        if self.skipping and stack.start < block.index < stack.stop:
            return block.result(inputs)
        call.blocks_run += 1
        result = block.forward(*args, **kwargs)
        if block.index == stack.stop - 1 and not self.skipping:
            self.remember(call, block.outputs(result))
        return result

    def decide(self, call: Call, stack: Stack, block: Block, inputs: dict[str, Tensor]) -> None:
        image, *text = (inputs[name] for name in block.section.takes)
        if not self.memory.fits(image, *text):
            self.session.forget(call)
            self.memory = self.session.memory.setdefault(call.stream, Memory())
        residual = image - self.entry if self.session.plan.signal and stack.start > 0 else None
        measure = None
        if residual is not None and self.memory.front is not None:
            front = self.memory.front
            measure = (lambda: float(front.change(residual))) if call.live else (lambda: front.change(residual))
        decision = self.session.decide(call, measure)
        self.skipping = decision.mode == stack.serves
        if not self.skipping:
            self.start = inputs
            self.memory.front = Front(residual) if residual is not None else None

    def served(self, call: Call, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        predicted = self.memory.predict(self.session.plan.predictor, call.step)
        if not self.stack.residual:
            return {name: value for name, value in zip(inputs, predicted, strict=False) if value is not None}
        return {name: value if delta is None else delta + value
                for (name, value), delta in zip(inputs.items(), predicted, strict=False)}

    def remember(self, call: Call, outputs: dict[str, Tensor]) -> None:
        names = [name for name in self.start if name in outputs]
        values = [outputs[name] - self.start[name] if self.stack.residual else outputs[name] for name in names]
        computed = Computed(call.step, values[0], values[1] if len(values) > 1 else None)
        self.memory.remember(computed, self.session.plan.predictor.keep)
