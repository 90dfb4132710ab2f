"""The column site: in a partial step attention sees some keys and the feed-forward runs some neurons; the
rest is remembered.

Source: Chipmunk's code (sandyresearch/chipmunk, Apache-2.0): facts, not code. Both are differences: what the
chosen columns gave at the last computed step is taken out of its result, and what they give now is put in.

- Attention. In a computed step, each group of ``queries`` neighbours chooses the keys that get most of its
attention, and
  ``rest`` is what remains of its result without an attention on these alone. Later its result is ``rest`` and
  that attention, on the queries, keys and values of now.
- Feed-forward, of the image in double blocks, of all tokens in single ones. Each group of ``rows`` neighbours
runs the neurons
  whose mean over the group moved most since they were run last; one in ``TURN`` is run in its turn, moved or
  not. The last layer is applied to what changed.

In plain PyTorch every group gathers its own columns, which costs more time than it saves; kernels that gather
while they multiply are Chipmunk's point, and are not here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial, wraps
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..model import Neurons
from ..plans import Columns
from ..strict import EngineError
from .attention import Meeting, met
from .blocks import Block
from .current_call import CurrentCall

TURN = 20
AT_ONCE = 8  # groups whose columns are gathered together


def count(share: float, columns: int) -> int:
    """How many columns a share of them is: one at least."""
    return max(1, round(share * columns))


def groups(tokens: int, size: int) -> list[slice]:
    """Neighbours in groups of ``size``; the last may be smaller."""
    return [slice(start, min(start + size, tokens)) for start in range(0, tokens, size)]


def alike(tokens: int, size: int) -> Iterator[tuple[slice, slice]]:
    """Tokens and their groups, so many groups of one size at a time as fit into memory."""
    whole = tokens // size
    for first in range(0, whole, AT_ONCE):
        last = min(first + AT_ONCE, whole)
        yield slice(first * size, last * size), slice(first, last)
    if tokens % size:
        yield slice(whole * size, tokens), slice(whole, whole + 1)


class ColumnSite:
    """Stands in the way of every block's attention and of its feed-forward's two layers. ``at``: the call at
    hand.
    """

    def __init__(self, at: CurrentCall, site: Columns) -> None:
        self.at, self.site = at, site
        self.means: dict[tuple[int, str], Tensor] = {}  # of the call at hand, until they are remembered
        self.entered: Tensor | None = None  # into the feed-forward at hand

    def forwards(self) -> Iterator[tuple[nn.Module, Callable[..., Any]]]:
        """For each module, the forward to run in place of its own."""
        for block in self.at.blocks[self.site.dense_blocks :]:
            attention = block.module.get_submodule(block.section.attention)
            place = (block.number, block.section.attention)
            yield attention, wraps(attention.forward)(partial(self.attention, place, attention.forward))
            for name, neurons in block.section.neurons.items():
                parts = FeedForward(block, neurons, self.site)
                for layer, forward in ((parts.first, self.first), (parts.last, self.last)):
                    yield (
                        layer,
                        wraps(layer.forward)(partial(forward, (block.number, name), parts, layer.forward)),
                    )

    def attention(
        self, place: tuple[int, str], original: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Any:
        here = self.at.here(Columns, place)
        if here is None:
            return original(*args, **kwargs)

        def attend(meeting: Meeting, whole: Callable[[], Tensor]) -> Tensor:
            if here.serving:
                rest, keys = here.remembered
                return rest + sparse(meeting, keys.long(), self.site.queries)
            result, keys = whole(), chosen_keys(meeting, self.site)
            rest = result - sparse(meeting, keys, self.site.queries)
            here.remember((rest, keys.int()))
            return result

        return met(original, attend, *args, **kwargs)

    def first(
        self, place: tuple[int, str], parts: FeedForward, original: Callable[..., Any], entering: Tensor
    ) -> Tensor:
        """The feed-forward's first layer: for all neurons, or for none, because ``last`` runs those that are
        chosen.
        """
        here = self.at.here(Columns, place)
        if here is None:
            return original(entering)
        self.means[place] = original(
            torch.stack([entering[:, rows].mean(dim=1) for rows in parts.groups(entering)], dim=1)
        )
        if not here.serving:
            return original(entering)
        self.entered = entering
        return entering[..., :0]

    def last(
        self, place: tuple[int, str], parts: FeedForward, original: Callable[..., Any], entering: Tensor
    ) -> Tensor:
        """Its last layer, on the neurons and on what stands before them."""
        here = self.at.here(Columns, place)
        if here is None:
            return original(entering)
        means = self.means.pop(place)
        if not here.serving:
            result = original(entering)
            here.remember((result, entering, means))
            return result
        result, before, ran = here.remembered
        assert self.entered is not None
        if parts.offset:
            result += F.linear(entering - before[..., : parts.offset], parts.last.weight[:, : parts.offset])
            before[..., : parts.offset] = entering
        neurons = parts.moved(means, ran, here.call.step)
        ran.scatter_(2, neurons, means.gather(2, neurons))
        parts.update(result, before[..., parts.offset :], self.entered, neurons)
        self.entered = None
        return result


class FeedForward:
    """One block's feed-forward, column by column. Raises EngineError where its layers are not plain ones."""

    def __init__(self, block: Block, neurons: Neurons, site: Columns) -> None:
        self.site = site
        self.between = neurons.between(block.module)
        self.first, self.last = (
            plain(block.module.get_submodule(name)) for name in (neurons.first, neurons.last)
        )
        self.offset = (
            self.last.in_features - self.first.out_features
        )  # where the neurons begin in what the last layer takes

    def groups(self, tokens: Tensor) -> list[slice]:
        return groups(tokens.shape[1], self.site.rows)

    def moved(self, means: Tensor, ran: Tensor, step: int) -> Tensor:
        """(batch, groups, chosen): the neurons to be run, by their means now and when they were run last."""
        moved = (means - ran).abs()
        moved[..., step % TURN :: TURN] = torch.inf
        return moved.topk(count(self.site.neurons, moved.shape[-1]), dim=-1).indices

    def update(self, result: Tensor, before: Tensor, entering: Tensor, neurons: Tensor) -> None:
        """Run the chosen neurons and bring ``before``, their values, and ``result``, the last layer's, up to
        date.
        """
        for sample in range(len(entering)):
            for tokens, places in alike(entering.shape[1], self.site.rows):
                chosen = neurons[sample, places]  # (groups, chosen)
                apart = (len(chosen), -1)
                now = torch.matmul(
                    entering[sample, tokens].unflatten(0, apart), self.first.weight[chosen].transpose(1, 2)
                )
                now = self.between(
                    now if self.first.bias is None else now + self.first.bias[chosen].unsqueeze(1)
                )
                then = before[sample, tokens].unflatten(0, apart)
                at = chosen.unsqueeze(1).expand_as(now)
                change = torch.matmul(now - then.gather(2, at), self.last.weight.t()[chosen + self.offset])
                result[sample, tokens] += change.flatten(0, 1)
                before[sample, tokens] = then.scatter(2, at, now).flatten(0, 1)


def chosen_keys(meeting: Meeting, site: Columns) -> Tensor:
    """(batch, heads, groups, keys): for each group of queries the keys that get most of its attention."""
    most = count(site.keys, meeting.key.shape[2])
    found = [
        meeting.weights(rows).sum(dim=2).topk(most, dim=-1).indices
        for rows in groups(meeting.query.shape[2], site.queries)
    ]
    return torch.stack(found, dim=2)


def sparse(meeting: Meeting, keys: Tensor, size: int) -> Tensor:
    """(batch, heads, queries, channels): attention of each group on its keys alone, as if there were no
    others.
    """

    def some(tensor: Tensor, chosen: Tensor) -> Tensor:
        """Of (batch, heads, tokens, channels) the chosen ones for every group, each group a head of its
        own.
        """
        whole = tensor.unsqueeze(2).expand(-1, -1, chosen.shape[2], -1, -1)
        return whole.gather(3, chosen.unsqueeze(-1).expand(*chosen.shape, tensor.shape[-1])).flatten(1, 2)

    found = []
    for tokens, places in alike(meeting.query.shape[2], size):
        chosen, mask = keys[:, :, places], meeting.mask
        apart = (chosen.shape[2], -1)
        if mask is not None:
            mask = mask.expand(*chosen.shape[:3], -1).gather(3, chosen).flatten(1, 2).unsqueeze(2)
        result = F.scaled_dot_product_attention(
            meeting.query[:, :, tokens].unflatten(2, apart).flatten(1, 2),
            some(meeting.key, chosen),
            some(meeting.value, chosen),
            attn_mask=mask,
            scale=meeting.scale,
        )
        found.append(result.unflatten(1, (-1, chosen.shape[2])).flatten(2, 3))
    return torch.cat(found, dim=2)


def plain(layer: nn.Module) -> nn.Linear:
    if (
        type(layer) is not nn.Linear
        or type(layer.weight) is not nn.Parameter
        or not layer.weight.is_floating_point()
    ):
        raise EngineError(
            f"the feed-forward's layers are {type(layer).__name__} with other than plain weights, so their "
            f"neurons "
            "cannot be run apart; use bfloat16 or float32 weights with every LoRA fused."
        )
    return layer
