"""The recorder: looks at every block of a baseline run and keeps a sample of the image stream. It changes nothing.

On a CUDA device everything stays in the device's queue: no synchronisation until ``fetched``, after the loop. A call costs one
gather of a few thousand values a block, and one subtraction and one norm of the image stream (four passes over it).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial, wraps
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from ..model import sections_of
from ..session import Call, Session
from .attach import replaced
from .clock import Clock
from .stack import Block, numbered

MOST_CANDIDATES = 1024  # tokens that positions are drawn from: 0.4 GB at FLUX.1-dev's size, until the first call ends
READ_SHARE = 0.2  # of what is kept: whole tokens as the last layer reads them
EVEN_SHARE = 0.5  # of the draw goes to all channels alike: what is small at first may grow


class Recording(NamedTuple):
    """What ``fetched`` gives, as numpy arrays of float32; calls c in their order, blocks k, positions n.

    values (c, 1 + k, n): before the first block, then after each.  modulated (c, n) or (c, 0).  weights (n,), sum 1 or nearly.
    readout (c, k, tokens, outputs): what the last layer would make of the residuals, at whole tokens; no tokens where a model's last
    layer is not known.  spread (c,): of a token's values after the last block, mean over tokens.
    mean_abs (c, k) of the residuals, exact.  first_change (c,): exact change of the first block's residual from the stream's
    last call, NaN at its first.  seconds (c, 1 + k): of the call as a whole, then of each block.
    """

    steps: tuple[int, ...]
    streams: tuple[str, ...]
    values: Any
    modulated: Any
    weights: Any
    readout: Any
    spread: Any
    mean_abs: Any
    first_change: Any
    seconds: Any


class Recorder:
    """Keeps ``most`` positions of every tensor. ``most`` is asked for once the size of the image stream is known."""

    def __init__(self, session: Session, clock: Clock, blocks: list[Block], most: Callable[[int], int],
                 last: nn.Linear | None) -> None:
        self.session, self.clock, self.blocks, self.most, self.last = session, clock, blocks, most, last
        self.calls: list[Call] = []
        self.kept: list[Tensor] = []
        self.modulated: list[Tensor] = []
        self.read: list[Tensor] = []
        self.spreads: list[Tensor] = []
        self.norms: list[Tensor] = []
        self.changes: list[Tensor] = []
        self.marks: list[list[Any]] = []
        self.candidates: Candidates | None = None
        self.before: dict[str, tuple[Tensor, Tensor]] = {}  # by stream: the first block's last residual, and its mean

    def block(self, block: Block, *args: Any, **kwargs: Any) -> Any:
        image = block.inputs(args, kwargs)[block.section.takes[0]]
        if block.index == 0:
            self.enter(block, image, args, kwargs)
        begin = self.clock.mark()
        result = block.forward(*args, **kwargs)
        self.marks[-1] += [begin, self.clock.mark()]
        self.look(block.index + 1, block.outputs(result)[block.section.takes[0]])
        return result

    @torch.no_grad()
    def enter(self, block: Block, image: Tensor, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """The image stream before the first block."""
        self.calls.append(self.session.calls[-1])
        self.marks.append([])
        self.entry = image
        if self.candidates is None:
            self.candidates = Candidates(image, self.most(image.numel()), len(self.blocks))
            self.tokens = self.read_tokens(image)
        kept = image.new_empty(1 + len(self.blocks), self.candidates.most)
        self.kept.append(kept)
        self.norms.append(torch.zeros(len(self.blocks), device=image.device))
        self.look(0, image)
        if block.section.modulated is not None:
            self.modulated.append(block.section.modulated(block.module, block.arguments(args, kwargs)))
            if not self.candidates.open:  # in the first call the positions are not drawn yet: the tensor itself waits
                self.modulated[-1] = self.candidates.of(self.modulated[-1])

    @torch.no_grad()
    def look(self, place: int, image: Tensor) -> None:
        """Keep a sample of ``image``, which is the stream after ``place`` blocks."""
        assert self.candidates is not None
        image = image[:, image.shape[1] - self.entry.shape[1]:]  # of joint streams, the text comes first
        if not self.candidates.whole and place > 0:
            residual = image - self.entry
            mean = torch.linalg.vector_norm(residual, 1, dtype=torch.float32) / residual.numel()
            self.norms[-1][place - 1] = mean
            if place == 1:
                self.compare(residual, mean)
            self.read_out(place, residual, image)
        self.candidates.take(place, image, self.kept[-1])
        if place == len(self.blocks):
            if self.candidates.open:
                self.candidates.close(self.kept[-1])
                self.modulated = [self.candidates.of(signal) for signal in self.modulated]
            del self.entry

    def read_tokens(self, image: Tensor) -> Tensor:
        """Places of the tokens that are read out, spread evenly over the picture."""
        if self.last is None or self.last.in_features != image.shape[2]:
            return torch.zeros(0, dtype=torch.long, device=image.device)
        assert self.candidates is not None
        tokens = image.shape[0] * image.shape[1]
        count = tokens if self.candidates.whole else min(tokens, max(1, int(self.candidates.most * READ_SHARE) // self.last.out_features))
        return ((torch.arange(count) + 0.5) * tokens / count).long().to(image.device)

    def read_out(self, place: int, residual: Tensor, image: Tensor) -> None:
        if self.last is None or not len(self.tokens):
            return
        rows = residual.reshape(-1, residual.shape[2]).index_select(0, self.tokens)
        if place == 1:
            self.read.append(rows.new_empty(len(self.blocks), len(self.tokens), self.last.out_features))
        torch.matmul(rows - rows.mean(dim=1, keepdim=True), self.last.weight.T, out=self.read[-1][place - 1])
        if place == len(self.blocks):
            self.spreads.append(image.reshape(-1, image.shape[2]).index_select(0, self.tokens).float().std(dim=1).mean())

    def compare(self, residual: Tensor, mean: Tensor) -> None:
        """The exact change from the step before, for ``survey.sampling_error``."""
        stream = self.calls[-1].stream
        then = self.before.get(stream)
        moved = torch.linalg.vector_norm(residual - then[0], 1, dtype=torch.float32) / residual.numel() if then else mean * torch.nan
        self.changes.append(moved / (then[1] if then else mean))
        self.before[stream] = residual, mean

    def fetched(self) -> Recording:
        """Everything that was kept, on the host. Synchronises."""
        assert self.candidates is not None
        values = torch.stack(self.kept).float().cpu()
        weights = self.candidates.weights.float().cpu()
        means = torch.stack(self.norms).cpu()
        read, spread = (torch.stack(self.read).float().cpu(), torch.stack(self.spreads).cpu()) if self.read else (
            values.new_empty(len(values), len(self.blocks), 0, 0), values.new_ones(len(values)))
        if self.candidates.whole:
            means = (values[:, 1:] - values[:, :1]).abs().mean(dim=2)
            if self.last is not None and len(self.tokens):
                read, spread = self.whole_read_out(values)
        modulated = torch.stack(self.modulated).float().cpu() if self.modulated else values.new_empty(len(values), 0)
        changes = torch.stack(self.changes).cpu() if self.changes else self.whole_changes(values)
        seconds = torch.tensor([[call.seconds(), *self.between(marks)] for call, marks in zip(self.calls, self.marks)])
        return Recording(tuple(call.step for call in self.calls), tuple(call.stream for call in self.calls), values.numpy(),
                         modulated.numpy(), weights.numpy(), read.numpy(), spread.numpy(), means.numpy(), changes.numpy(), seconds.numpy())

    def between(self, marks: list[Any]) -> list[float]:
        return [self.clock.between(begin, end) for begin, end in zip(marks[::2], marks[1::2])]

    def whole_read_out(self, values: Tensor) -> tuple[Tensor, Tensor]:
        """As ``read_out``, where every value was kept."""
        assert self.candidates is not None
        assert self.last is not None
        rows = values.unflatten(2, (-1, self.candidates.channels))
        weight = self.last.weight.detach().float().cpu()
        read = [(one[1:] - one[0] - (one[1:] - one[0]).mean(dim=2, keepdim=True)) @ weight.T for one in rows]
        return torch.stack(read), rows[:, -1].std(dim=2).mean(dim=1)

    def whole_changes(self, values: Tensor) -> Tensor:
        """As ``compare``, where every value was kept."""
        before: dict[str, Tensor] = {}
        found = []
        for call, value in zip(self.calls, values):
            now = value[1] - value[0]
            then = before.get(call.stream)
            found.append((now - then).abs().mean() / then.abs().mean() if then is not None else now.new_tensor(torch.nan))
            before[call.stream] = now
        return torch.stack(found)


class Candidates:
    """Which positions are kept. During the first call, rows of tokens spread over the picture, whole; then the draw among them.

    A channel's share is half even and half its part of mean|residual|, averaged over the blocks.
    """

    def __init__(self, image: Tensor, most: int, blocks: int) -> None:
        tokens, self.channels = image.shape[0] * image.shape[1], image.shape[2]
        self.most = min(most, image.numel())
        self.whole = self.open = self.most == image.numel()
        self.open = not self.whole
        self.weights = torch.full((self.most,), 1 / self.most, device=image.device)
        if self.open:
            host = torch.Generator().manual_seed(0)  # apart from the generators that draw pictures
            count = min(tokens, MOST_CANDIDATES)
            spread = (torch.arange(count) + torch.rand(count, generator=host)) * tokens / count
            self.tokens = spread.long().clamp_(max=tokens - 1)[torch.randperm(count, generator=host)].to(image.device)
            self.rows = image.new_empty(1 + blocks, count, self.channels)

    def take(self, place: int, image: Tensor, into: Tensor) -> None:
        if self.whole:
            into[place] = image.flatten()
        elif self.open:
            torch.index_select(image.reshape(-1, self.channels), 0, self.tokens, out=self.rows[place])
        else:
            torch.index_select(image.reshape(-1), 0, self.positions, out=into[place])

    def of(self, signal: Tensor) -> Tensor:
        """One more tensor's values at the positions."""
        return signal.flatten() if self.whole else torch.index_select(signal.reshape(-1), 0, self.positions)

    def close(self, into: Tensor) -> None:
        """The first call is over: draw, and keep its own values too. Systematic, so that every channel gets its due."""
        sizes = (self.rows[1:] - self.rows[0]).float().abs().mean(dim=1)
        profile = (sizes / sizes.sum(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)).mean(dim=0)
        share = EVEN_SHARE / self.channels + (1 - EVEN_SHARE) * profile / profile.sum()
        ticks = (torch.arange(self.most, device=into.device) + 0.5) / self.most
        channel = torch.searchsorted(share.cumsum(0), ticks).clamp_(max=self.channels - 1)
        slot = torch.arange(self.most, device=into.device) % len(self.tokens)
        self.positions = self.tokens[slot] * self.channels + channel
        self.weights = 1 / (share[channel] * self.channels * self.most)
        into.copy_(self.rows.flatten(1).index_select(1, slot * self.channels + channel))
        self.open = False
        del self.rows


@contextmanager
def recorded(transformer: Any, session: Session, clock: Clock, most: Callable[[int], int]) -> Iterator[Recorder]:
    """Look at ``transformer``'s blocks for as long as the ``with`` lasts; enter it within ``attached``.

    most: elements of the image stream -> how many are kept.
    """
    blocks = numbered(transformer, sections_of(transformer))
    last = getattr(transformer, "proj_out", None)
    recorder = Recorder(session, clock, blocks, most, last if isinstance(last, nn.Linear) else None)
    with ExitStack() as exits:
        for block in blocks:
            replaced(exits, block.module, "forward", wraps(block.forward)(partial(recorder.block, block)))
        yield recorder
