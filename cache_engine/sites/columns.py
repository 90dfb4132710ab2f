"""The column site: a partial step runs some keys of the attention and some neurons of the feed-forward.

Source: facts, not code, of Chipmunk's implementation (sandyresearch/chipmunk, Apache-2.0). A partial step
updates the results of the attention and of the feed-forward. Each new result is the result of the last
computed step, minus the earlier contribution of the chosen columns, plus their current contribution.

- Attention. In a computed step, each group of ``queries`` neighbours chooses the keys that get most of its
  attention, and remembers ``rest``: its result minus an attention on these keys alone. A partial step adds an
  attention on these keys again, with the current queries, keys and values.
- Feed-forward (of the image in double blocks, of all tokens in single blocks). Each group of ``rows``
  neighbours runs the neurons whose mean over the group changed most since they last ran. In addition, one
  neuron in ``TURN`` runs in rotation, whether it changed or not. The last layer is applied to the change of
  the neurons.

In plain PyTorch, every group gathers its own columns, which takes more time than it saves. Chipmunk's kernels
gather while they multiply; this project does not contain them.
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
AT_ONCE = 8  # number of groups whose columns are gathered together


def count(share: float, columns: int) -> int:
    """Return the number of columns that make this share, at least 1."""
    return max(1, round(share * columns))


def groups(tokens: int, size: int) -> list[slice]:
    """Return the tokens in groups of ``size`` neighbours. The last group may be smaller."""
    return [slice(start, min(start + size, tokens)) for start in range(0, tokens, size)]


def alike(tokens: int, size: int) -> Iterator[tuple[slice, slice]]:
    """Yield tokens and their groups. To limit memory, each item has at most ``AT_ONCE`` groups, all of one
    size.
    """
    whole = tokens // size
    for first in range(0, whole, AT_ONCE):
        last = min(first + AT_ONCE, whole)
        yield slice(first * size, last * size), slice(first, last)
    if tokens % size:
        yield slice(whole * size, tokens), slice(whole, whole + 1)


class ColumnSite:
    """Replaces every block's attention and the two layers of its feed-forward. ``at``: the running call."""

    def __init__(self, at: CurrentCall, site: Columns) -> None:
        self.at, self.site = at, site
        self.means: dict[tuple[int, str], Tensor] = {}  # means of the current call, until remembered
        self.entered: Tensor | None = None  # the input of the current feed-forward

    def forwards(self) -> Iterator[tuple[nn.Module, Callable[..., Any]]]:
        """Yield each module together with the forward that replaces its own."""
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
        """Run the feed-forward's first layer for all neurons or for none: ``last`` runs the chosen ones."""
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
        """Run the feed-forward's last layer on its neurons, and on the inputs whose
        columns come before them.
        """
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
            weight = parts.last.weight[:, : parts.offset].to(entering.dtype)
            result += F.linear(entering - before[..., : parts.offset], weight)
            before[..., : parts.offset] = entering
        neurons = parts.moved(means, ran, here.call.step)
        ran.scatter_(2, neurons, means.gather(2, neurons))
        parts.update(result, before[..., parts.offset :], self.entered, neurons)
        self.entered = None
        return result


class FeedForward:
    """One block's feed-forward, column by column. Raises EngineError if the feed-forward's layers are not
    plain linear layers.
    """

    def __init__(self, block: Block, neurons: Neurons, site: Columns) -> None:
        self.site = site
        self.between = neurons.between(block.module)
        self.first, self.last = (
            plain(block.module.get_submodule(name)) for name in (neurons.first, neurons.last)
        )
        self.offset = (
            self.last.in_features - self.first.out_features
        )  # the column at which the neurons begin in the last layer's input

    def groups(self, tokens: Tensor) -> list[slice]:
        return groups(tokens.shape[1], self.site.rows)

    def moved(self, means: Tensor, ran: Tensor, step: int) -> Tensor:
        """Return the neurons to run, (batch, groups, chosen): those whose means changed most since they last
        ran.
        """
        moved = (means - ran).abs()
        moved[..., step % TURN :: TURN] = torch.inf
        return moved.topk(count(self.site.neurons, moved.shape[-1]), dim=-1).indices

    def update(self, result: Tensor, before: Tensor, entering: Tensor, neurons: Tensor) -> None:
        """Run the chosen neurons. Update the neurons' values in ``before`` and the last
        layer's ``result`` in place.

        The weights may be stored in another dtype than the data (layerwise casting), and a product may have a
        third dtype (autocast).
        """
        first, last, bias, dtype = self.first.weight, self.last.weight.t(), self.first.bias, entering.dtype
        for sample in range(len(entering)):
            for tokens, places in alike(entering.shape[1], self.site.rows):
                chosen = neurons[sample, places]  # (groups, chosen)
                apart = (len(chosen), -1)
                weight = first[chosen].to(dtype).transpose(1, 2)
                now = torch.matmul(entering[sample, tokens].unflatten(0, apart), weight)
                now = now if bias is None else now + bias[chosen].to(now.dtype).unsqueeze(1)
                now = self.between(now).to(before.dtype)
                then = before[sample, tokens].unflatten(0, apart)
                at = chosen.unsqueeze(1).expand_as(now)
                change = torch.matmul(now - then.gather(2, at), last[chosen + self.offset].to(now.dtype))
                result[sample, tokens] += change.flatten(0, 1)
                before[sample, tokens] = then.scatter(2, at, now).flatten(0, 1)


def chosen_keys(meeting: Meeting, site: Columns) -> Tensor:
    """Return, for each group of queries, the keys that get most of its attention: (batch, heads, groups,
    keys).
    """
    most = count(site.keys, meeting.key.shape[2])
    keys = [
        meeting.weights(rows).sum(dim=2).topk(most, dim=-1).indices
        for rows in groups(meeting.query.shape[2], site.queries)
    ]
    return torch.stack(keys, dim=2)


def sparse(meeting: Meeting, keys: Tensor, size: int) -> Tensor:
    """Return each group's attention on its chosen keys alone: (batch, heads, queries, channels)."""

    def some(tensor: Tensor, chosen: Tensor) -> Tensor:
        """Return every group's chosen tokens from (batch, heads, tokens, channels); each group becomes a
        head.
        """
        whole = tensor.unsqueeze(2).expand(-1, -1, chosen.shape[2], -1, -1)
        return whole.gather(3, chosen.unsqueeze(-1).expand(*chosen.shape, tensor.shape[-1])).flatten(1, 2)

    results = []
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
        results.append(result.unflatten(1, (-1, chosen.shape[2])).flatten(2, 3))
    return torch.cat(results, dim=2)


def plain(layer: nn.Module) -> nn.Linear:
    if (
        type(layer) is not nn.Linear
        or type(layer.weight) is not nn.Parameter
        or not layer.weight.is_floating_point()
    ):
        raise EngineError(
            f"the feed-forward has layers of the type {type(layer).__name__} whose weights are not plain, "
            "so single neurons cannot run; use bfloat16 or float32 weights, with every LoRA fused."
        )
    return layer
