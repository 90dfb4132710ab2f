"""Records a sample of the image stream around every block of a baseline run. The run itself does not change.

On a CUDA device, all records stay in the device's queue: there is no synchronisation until ``fetched``, after
the loop. Recording a call costs one gather of a few thousand values for each block, and one subtraction and
one norm of the image stream (four passes over it).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from inspect import signature
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..models.catalog import sections_of
from ..session import Call, Session
from .blocks import Block, image_first, image_part, numbered
from .clock import Clock
from .loop import set_temporarily
from .sampling import SampledPositions


class RecordedCalls(NamedTuple):
    """The calls of a run in their order; the streams of a step follow each other.

    arguments: each call's arguments by name.
    answers: the transformer's results, (1, tokens, outputs) each.
    block_tensors: for each call, the whole tensors before the first block and after every block, (1 + blocks,
    values).
    """

    arguments: Sequence[Mapping[str, Any]]
    answers: Sequence[Tensor]
    block_tensors: Sequence[Tensor]


class RecordedActivations(NamedTuple):
    """The result of ``fetched``: float32 arrays of numpy. The axes are c: calls in order, k: blocks, n:
    positions.

    ``values`` (c, 1 + k, n): the image stream before the first block, then after each block.
    ``modulated`` (c, n): TeaCache's signal, or (c, 0) if the model has no such signal.
    ``weights`` (n,): weights of the positions; their sum is about 1.
    ``last`` (outputs, channels): the last layer's weights.
    ``modulation`` (c, channels): the factors of the last layer's norm. Both ``last`` and ``modulation`` are
    (0,) unless the last layer is of a known kind and every position was recorded.
    ``mean_abs`` (c, k): the exact mean size of the residuals.
    ``first_change`` (c,): the exact change of the first block's residual since the stream's last call; NaN at
    the stream's first call.
    ``seconds`` (c, 1 + k): the time of the whole call, then of each block.
    """

    steps: tuple[int, ...]
    streams: tuple[str, ...]
    values: Any
    modulated: Any
    weights: Any
    last: Any
    modulation: Any
    mean_abs: Any
    first_change: Any
    seconds: Any


class ActivationRecorder:
    """Records up to ``most`` positions of every tensor.

    most: a function (elements of the image stream) -> number of positions to record.
    """

    def __init__(
        self,
        session: Session,
        clock: Clock,
        blocks: list[Block],
        most: Callable[[int], int],
        last: Last | None,
        names: tuple[str, ...],
    ) -> None:
        self.session, self.clock, self.blocks, self.most, self.last = session, clock, blocks, most, last
        self.names = names
        self.calls: list[Call] = []
        self.samples: list[Tensor] = []
        self.modulated: list[Tensor] = []
        self.modulations: list[Tensor] = []
        self.norms: list[Tensor] = []
        self.changes: list[Tensor] = []
        self.marks: list[list[Any]] = []
        self.arguments: list[dict[str, Any]] = []
        self.answers: list[Tensor] = []
        self.block_tensors: list[
            list[Tensor]
        ] = []  # by call: the whole tensors before and after the blocks, while every position is kept
        self.positions: SampledPositions | None = None
        self.before: dict[
            str, tuple[Tensor, Tensor]
        ] = {}  # by stream: the first block's last residual, and its mean

    def block(self, block: Block, *args: Any, **kwargs: Any) -> Any:
        image = block.inputs(args, kwargs)[block.section.takes[0]]
        if block.number == 0:
            self.enter(block, image, args, kwargs)
        begin = self.clock.mark()
        result = block.forward(*args, **kwargs)
        self.marks[-1] += [begin, self.clock.mark()]
        outputs = block.outputs(result)
        self.passes(block, outputs)
        self.look(
            block.number + 1, image_part(outputs[block.section.takes[0]], self.entry.shape[1], block.section)
        )
        return result

    def passes(self, block: Block, values: dict[str, Tensor]) -> None:
        assert self.positions is not None
        if self.positions.whole and self.last is not None:
            parts = image_first(block, block.carried(values), self.entry.shape[1])
            self.block_tensors[-1].append(torch.cat([part.detach().flatten() for part in parts]))

    @torch.no_grad()
    def enter(self, block: Block, image: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Record the image stream before the first block."""
        self.calls.append(self.session.calls[-1])
        self.marks.append([])
        self.entry = image
        if self.positions is None:
            self.positions = SampledPositions(image, self.most(image.numel()), len(self.blocks))
        samples = image.new_empty(1 + len(self.blocks), self.positions.most)
        self.samples.append(samples)
        self.norms.append(torch.zeros(len(self.blocks), device=image.device))
        self.look(0, image)
        self.block_tensors.append([])
        self.passes(block, block.inputs(args, kwargs))
        if block.section.modulated is not None:
            self.modulated.append(block.section.modulated(block.module, block.arguments(args, kwargs)))
            if (
                not self.positions.open
            ):  # in the first call, the positions are not drawn yet, so the tensor itself is kept
                self.modulated[-1] = self.positions.of(self.modulated[-1])

    @torch.no_grad()
    def look(self, place: int, image: Tensor) -> None:
        """Keep a sample of ``image``, the image stream after ``place`` blocks."""
        assert self.positions is not None
        if not self.positions.whole and place > 0:
            residual = image - self.entry
            mean = torch.linalg.vector_norm(residual, 1, dtype=torch.float32) / residual.numel()
            self.norms[-1][place - 1] = mean
            if place == 1:
                self.compare(residual, mean)
        self.positions.take(place, image, self.samples[-1])
        if place == len(self.blocks):
            if self.positions.open:
                self.positions.close(self.samples[-1])
                self.modulated = [self.positions.of(signal) for signal in self.modulated]
            del self.entry

    def modulate(self, *args: Any, **kwargs: Any) -> Any:
        """Record the modulation of the last norm: for each channel, a scale and then a shift."""
        assert self.last is not None
        result = self.last.modulation(*args, **kwargs)
        self.modulations.append(1 + result.detach()[:, : self.last.weight.shape[1]])
        return result

    def call(self, _: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], result: Any) -> None:
        """Record a call of the transformer after it returned."""
        if self.positions is not None and self.positions.whole and self.last is not None:
            self.arguments.append(dict(zip(self.names, args)) | kwargs)
            self.answers.append(result[0])

    def recorded_calls(self) -> RecordedCalls | None:
        """Return the calls that ``propagate_errors`` needs.

        Returns None if some positions were not recorded, or if a call does not hold exactly one sample of
        tokens.
        """
        lengths = {tensor.shape for call in self.block_tensors for tensor in call}
        if (
            len(lengths) != 1
            or len(self.modulations) != len(self.calls)
            or any(tensor.ndim != 3 or len(tensor) != 1 for tensor in self.answers)
        ):
            return None
        return RecordedCalls(self.arguments, self.answers, [torch.stack(call) for call in self.block_tensors])

    def compare(self, residual: Tensor, mean: Tensor) -> None:
        """Record the exact change since the step before, for ``survey.sampling_error``."""
        stream = self.calls[-1].stream
        then = self.before.get(stream)
        moved = (
            torch.linalg.vector_norm(residual - then[0], 1, dtype=torch.float32) / residual.numel()
            if then
            else mean * torch.nan
        )
        self.changes.append(moved / (then[1] if then else mean))
        self.before[stream] = residual, mean

    def fetched(self) -> RecordedActivations:
        """Return everything that was recorded, on the host. This synchronises the device."""
        assert self.positions is not None
        values = torch.stack(self.samples).float().cpu()
        weights = self.positions.weights.float().cpu()
        means = torch.stack(self.norms).cpu()
        if self.positions.whole:
            means = (values[:, 1:] - values[:, :1]).abs().mean(dim=2)
        last = modulation = values.new_empty(0)
        if (
            self.last is not None
            and self.positions.whole
            and self.last.weight.shape[1] == self.positions.channels
        ):
            factors = torch.cat(self.modulations).float().cpu()
            if len(factors) == len(values):  # true if each call holds one sample
                last, modulation = self.last.weight.detach().float().cpu(), factors
        modulated = (
            torch.stack(self.modulated).float().cpu() if self.modulated else values.new_empty(len(values), 0)
        )
        changes = torch.stack(self.changes).cpu() if self.changes else self.whole_changes(values)
        seconds = torch.tensor(
            [[call.seconds(), *self.between(marks)] for call, marks in zip(self.calls, self.marks)]
        )
        return RecordedActivations(
            tuple(call.step for call in self.calls),
            tuple(call.stream for call in self.calls),
            values.numpy(),
            modulated.numpy(),
            weights.numpy(),
            last.numpy(),
            modulation.numpy(),
            means.numpy(),
            changes.numpy(),
            seconds.numpy(),
        )

    def between(self, marks: list[Any]) -> list[float]:
        return [self.clock.between(begin, end) for begin, end in zip(marks[::2], marks[1::2])]

    def whole_changes(self, values: Tensor) -> Tensor:
        """Return the changes that ``compare`` would measure, from values of all positions."""
        before: dict[str, Tensor] = {}
        changes = []
        for call, value in zip(self.calls, values):
            now = value[1] - value[0]
            then = before.get(call.stream)
            changes.append(
                (now - then).abs().mean() / then.abs().mean()
                if then is not None
                else now.new_tensor(torch.nan)
            )
            before[call.stream] = now
        return torch.stack(changes)


@contextmanager
def recording_activations(
    transformer: Any, session: Session, clock: Clock, most: Callable[[int], int]
) -> Iterator[ActivationRecorder]:
    """Record at ``transformer``'s blocks for the time of the ``with`` block. Enter it inside ``attached``.

    most: a function (elements of the image stream) -> number of positions to record.
    """
    blocks = numbered(transformer, sections_of(transformer))
    last = last_of(transformer)
    recorder = ActivationRecorder(
        session, clock, blocks, most, last, tuple(signature(transformer.forward).parameters)
    )
    with ExitStack() as exits:
        exits.callback(transformer.register_forward_hook(recorder.call, with_kwargs=True).remove)
        if last is not None:
            set_temporarily(
                exits,
                transformer.norm_out.linear,
                "forward",
                wraps(last.modulation)(partial(recorder.modulate)),
            )
        for block in blocks:
            set_temporarily(
                exits, block.module, "forward", wraps(block.forward)(partial(recorder.block, block))
            )
        yield recorder


class Last(NamedTuple):
    """The layer after the blocks: it normalises every token, modulates it, and maps it with ``weight``
    (outputs, channels).
    """

    weight: Tensor
    modulation: Callable[..., Any]


def last_of(transformer: Any) -> Last | None:
    """Return the last layer if it has FLUX.1's form: diffusers' AdaLayerNormContinuous, then one matrix.
    Otherwise return None.
    """
    norm: Any = getattr(transformer, "norm_out", None)
    matrix = getattr(transformer, "proj_out", None)
    if type(norm).__name__ != "AdaLayerNormContinuous" or not isinstance(matrix, nn.Linear):
        return None
    if not isinstance(norm.norm, nn.LayerNorm) or norm.norm.elementwise_affine:
        return None
    return Last(matrix.weight, norm.linear.forward)
