"""The stack site: it computes a run of blocks and remembers their residual, or skips them and predicts the
residual.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial, wraps
from typing import Any, SupportsFloat

from torch import Tensor, nn

from ..history import reference_modes
from ..plans import Stack
from ..session import Call, Session
from ..strict import EngineError
from .blocks import Block, image_part
from .current_call import CurrentCall
from .not_computed import BETWEEN_BLOCKS, NotComputed
from .tensor_history import SignalReference


def parts(blocks: list[Block], stack: Stack) -> dict[int, range]:
    """Return, for each block of the stack, the range of neighbouring blocks that carry the same tensors.

    Each such part has its own residual, because the model joins or splits its tensors between two parts.
    """
    part_of: dict[int, range] = {}
    first = stack.start
    for index in range(stack.start, stack.stop):
        carries = blocks[index].section[1:3]
        if carries != blocks[first].section[1:3]:
            first = index
        if index + 1 == stack.stop or blocks[index + 1].section[1:3] != carries:
            part_of |= dict.fromkeys(range(first, index + 1), range(first, index + 1))
    return part_of


class StackSite:
    """Replaces every block's forward. For each call, it gets the decision, and then computes or skips the
    stack's blocks.

    The decision is made once for each call, at the first block that may be skipped. If the stack has several
    parts, the first part decides for all parts.
    """

    def __init__(self, session: Session, blocks: list[Block]) -> None:
        self.session, self.blocks = session, blocks
        self.at = CurrentCall(session, blocks)
        self._drop_tensors()

    def enter(self, call: Call) -> None:
        """Begin a call of the transformer."""
        self.at.enter(call)
        stack = self.at.stack
        self.decides_at = stack.start if stack else 0
        self.parts = parts(self.blocks, stack) if stack else {}

    def leave(self) -> None:
        """End the call, also after a failure, and keep none of its tensors."""
        self.at.leave()
        self._drop_tensors()

    def _drop_tensors(self) -> None:
        self.entry: Tensor | None = None  # the image before the first block
        self.signal: Tensor | None = None
        self.start: dict[str, Tensor] = {}  # the tensors before the current part
        # the number of the block that ran or was skipped last, and its results
        self.handed_on: tuple[int | None, dict[str, Tensor]] = None, {}
        self.parts: dict[int, range] = {}

    def forwards(self) -> list[tuple[nn.Module, Callable[..., Any]]]:
        """Return each block's module together with the forward that replaces its own."""
        return [
            (block.module, wraps(block.module.forward)(partial(self.block, block))) for block in self.blocks
        ]

    def block(self, block: Block, *args: Any, **kwargs: Any) -> Any:
        """Run one block, or skip it and use the predicted result."""
        at = self.at
        if at.call is None:
            return block.forward(*args, **kwargs)
        inputs = block.inputs(args, kwargs)
        if block.number == 0:
            self.find_signal(block, block.arguments(args, kwargs))
        if block.number == self.decides_at:
            self.decide(at.call, block, inputs)
        part = self.parts.get(block.number)
        if part and block.number == part.start:
            self.start = inputs
        elif part:
            self.refuse_changes(block, inputs)
        if at.stack and part and at.skipping:
            return block.result(self.skipped(at.stack, part, block, inputs))
        at.call.blocks_run += not (at.serving and at.inner is not None and at.inner.serves == "c")
        result = block.forward(*args, **kwargs)
        if at.stack and part:
            outputs = block.outputs(result)
            if block.number == part.stop - 1:
                self.remember(at.stack, part, outputs)
            else:
                self.handed_on = block.number, outputs
        return result

    def refuse_changes(self, block: Block, inputs: dict[str, Tensor]) -> None:
        """Raise EngineError if the inputs are not the very results of the block before.

        Skipping a range of blocks is right only if nothing happens between them. Objects are compared, not
        their values, so the check takes no time on the device. This check finds most such models in their
        first call.
        """
        before, values = self.handed_on
        self.handed_on = None, {}
        if block.section.refilled:
            return
        if before != block.number - 1 or any(inputs[name] is not values[name] for name in inputs):
            raise EngineError(BETWEEN_BLOCKS)

    def skipped(
        self, stack: Stack, part: range, block: Block, inputs: dict[str, Tensor]
    ) -> dict[str, Tensor]:
        """Return the results of a skipped block: predicted for the part's last block, else not computed.

        Where the model itself refills the text, the first block has the predicted results and the others pass
        them on.
        """
        if block.section.refilled:
            return self.predicted(stack, part, inputs) if block.number == part.start else inputs
        if block.number == part.stop - 1:
            return self.predicted(stack, part, self.start)
        if block.number == part.start:
            inputs = {name: NotComputed.like(tensor) for name, tensor in inputs.items()}
        self.handed_on = block.number, inputs
        return inputs

    def find_signal(self, block: Block, arguments: dict[str, Any]) -> None:
        """At the first block, keep the image, and also the modulated input if it is the signal."""
        self.entry = arguments[block.section.takes[0]]
        signal, modulated = self.at.plan.signal, block.section.modulated
        wanted = signal is not None and signal.kind == "modulated_input"
        self.signal = modulated(block.module, arguments) if wanted and modulated else None

    def place(self, stack: Stack, part: range) -> Hashable:
        """Return the key under which a part's values are remembered."""
        return stack if part.start == stack.start else (stack, part.start)

    def decide(self, call: Call, block: Block, inputs: dict[str, Tensor]) -> None:
        """Let the session decide the call. Keep the call's signal if later changes are measured from it."""
        at = self.at
        if not at.history.fits(*inputs.values()):
            at.forget(call)
            at.history.fits(*inputs.values())
        if at.stack:
            places = dict.fromkeys(self.place(at.stack, part) for part in self.parts.values())
            call.ready = call.ready and at.history.enter(at.stack, *places).can_predict
        signal = at.plan.signal
        if signal and self.signal is None and self.entry is not None and self.decides_at > 0:
            image = image_part(next(iter(inputs.values())), self.entry.shape[1], block.section)
            self.signal = image - self.entry  # the residual of the blocks before the stack
        decision = self.session.decide(call, self.measure(call))
        at.follow(decision)
        if decision.mode in reference_modes(signal):
            at.history.reference = None if self.signal is None else SignalReference(self.signal)

    def measure(self, call: Call) -> Callable[[], SupportsFloat] | None:
        """Return a function that measures the signal's change: a float on a CPU, otherwise a scalar on the
        device.

        Returns None if the call has no signal, or no earlier signal to compare it with.
        """
        reference, signal = self.at.history.reference, self.signal
        if reference is None or signal is None or signal.is_meta:
            return None
        return (lambda: float(reference.change(signal))) if call.live else (lambda: reference.change(signal))

    def predicted(self, stack: Stack, part: range, inputs: dict[str, Tensor]) -> dict[str, Tensor]:
        """Return the outputs of a skipped part: predicted outputs, or the part's inputs plus the predicted
        residual.
        """
        predicted = self.at.at(self.place(stack, part)).predict()
        if not stack.residual:
            return inputs | dict(zip(inputs, predicted))
        return inputs | {name: delta + value for (name, value), delta in zip(inputs.items(), predicted)}

    def remember(self, stack: Stack, part: range, outputs: dict[str, Tensor]) -> None:
        """Remember a computed part's residual or outputs. A model's last block may return no text."""
        names = [name for name in self.start if outputs.get(name) is not None]
        values = tuple(
            outputs[name] - self.start[name] if stack.residual else outputs[name] for name in names
        )
        self.at.at(self.place(stack, part)).remember(values)
