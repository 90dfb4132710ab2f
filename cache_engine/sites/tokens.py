"""The token site: a partial step uses remembered attention, and runs the feed-forward for the tokens that
need it most.

Source: facts, not code, of ToCa (arXiv 2410.05317) and its implementation for FLUX. In a double block, image
and text have a feed-forward each: its results for the chosen tokens replace the remembered results, and all
results are multiplied by the gates of the current step. In a single block, attention and feed-forward end in
one common projection: it runs for the chosen tokens, on their remembered attention and their new feed-forward
results.

A computed step remembers every module's output, and in single blocks also the attention before the
projection. A computed step also remembers each token's score, and the step at which the token last ran.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from functools import partial, wraps
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..model import Section, Source
from ..plans import Tokens
from ..session import Call
from ..strict import EngineError
from .attention import Meeting, met
from .blocks import Block
from .current_call import CurrentCall, PlaceInCall

Place = tuple[int, str]  # a block's number and the name of a module in it
# number of blocks over which the share falls from 1.5 to 0.5 times the ratio; DiT-XL, the rule's origin, has
# 28 blocks
FALL = 27


def share(ratio: float, depth: int, blocks: int, *, joint: bool, both: bool) -> float:
    """Return the share of tokens that run in the block at ``depth`` of a list of ``blocks``.

    The share falls with depth. If the model has both double and (joint) single blocks, as FLUX has
    (``both``), double blocks run 0.4 and single blocks 1.6 times the share. In such a model the share
    falls as in ToCa's code for FLUX, whatever the list's length. Averaged over FLUX.1's blocks, this
    makes 0.47 and 1.30 times the ratio. In a model with one kind of block, the share falls over the whole
    list and is the ratio on average.
    """
    fall = 1.5 - depth / (FALL if both else max(blocks - 1, 1))
    return min(max(ratio * fall * ((1.6 if joint else 0.4) if both else 1), 0), 1)


def taken(tensor: Tensor, tokens: Tensor) -> Tensor:
    """Return the chosen tokens of a tensor (batch, tokens, channels). ``tokens``: (batch, chosen)."""
    return tensor.gather(1, tokens.unsqueeze(-1).expand(-1, -1, tensor.shape[-1]))


class TokenSite:
    """Replaces every block's attention, the modules after it, and the modules that feed them.

    at: the running call.
    """

    def __init__(self, at: CurrentCall, site: Tokens) -> None:
        self.at, self.site = at, site
        lengths = Counter(block.section.path for block in at.blocks)
        both = {block.section.joint for block in at.blocks} == {True, False}
        depths: Counter[str] = Counter()
        self.shares: dict[int, float] = {}
        for block in at.blocks:
            path = block.section.path
            self.shares[block.number] = share(
                site.ratio, depths[path], lengths[path], joint=block.section.joint, both=both
            )
            depths[path] += 1
        self.scores: dict[Place, Tensor] = {}  # scores of the current call, until remembered
        # the tokens that run in the current single block
        self.choice: tuple[Call, Place, Tensor] | None = None

    def forwards(self) -> Iterator[tuple[nn.Module, Callable[..., Any]]]:
        """Yield each module together with the forward that replaces its own."""

        def instead(
            module: nn.Module, forward: Callable[..., Any], *arguments: Any
        ) -> tuple[nn.Module, Callable[..., Any]]:
            return module, wraps(module.forward)(partial(forward, *arguments, module.forward))

        for block in self.at.blocks:
            section, part = block.section, block.module.get_submodule
            attention = part(section.attention)
            yield instead(attention, self.attention, block)
            for name in section.muted:
                if name != section.attention:
                    yield instead(part(name), self.feeding, block)
            for name, source in section.tokenwise.items():
                yield instead(part(name), self.refreshed, block, (block.number, name))
                if self.site.score.endswith("_norm"):
                    layer = part(source.key if self.site.score == "k_norm" else source.value)
                    yield instead(layer, self.projected, (block.number, name), heads_of(attention))

    def attention(self, block: Block, original: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Use the remembered attention (in single blocks, for the chosen tokens alone), or run the attention
        and remember it.
        """
        here = self.at.here(Tokens, (block.number, block.section.attention))
        if here is None:
            return original(*args, **kwargs)
        if not here.serving:
            watched = self.site.score == "attention"
            result = (
                met(original, partial(self.watched, block), *args, **kwargs)
                if watched
                else original(*args, **kwargs)
            )
            here.remember(result if isinstance(result, tuple) else (result,))
            return result
        values = here.remembered
        if block.section.joint:
            (attended,) = values
            return taken(attended, self.chosen(block, here, only_output(block.section)))
        return values[0] if len(values) == 1 else values

    def watched(self, block: Block, meeting: Meeting, original: Callable[[], Tensor]) -> Tensor:
        """Keep the attention that every token receives as the token's score."""
        received = meeting.received()
        self.scores |= {(block.number, name): received for name in block.section.tokenwise}
        return original()

    def projected(
        self, place: Place, heads: int, original: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> Tensor:
        """Keep the length of every token's value (or key) vector as its score: the mean over the heads."""
        result = original(*args, **kwargs)
        here = self.at.here(Tokens, place)
        if here is not None and not here.serving:
            apart = result.unflatten(-1, (heads, -1))
            self.scores[place] = torch.linalg.vector_norm(apart, dim=-1, dtype=torch.float32).mean(dim=-1)
        return result

    def feeding(self, block: Block, original: Callable[..., Any], entering: Tensor) -> Tensor:
        """In single blocks, run a module that feeds the common projection, for the chosen tokens."""
        here = self.at.here(Tokens, (block.number, only_output(block.section)))
        if here is None or not here.serving:
            return original(entering)
        chosen = self.chosen(block, here, only_output(block.section))
        return original(taken(entering, chosen)) if chosen.shape[1] else entering[:, :0, :0]

    def refreshed(
        self,
        block: Block,
        place: Place,
        original: Callable[..., Any],
        entering: Tensor,
        *args: Any,
        **kwargs: Any,
    ) -> Tensor:
        """Run the chosen tokens and use remembered results for the others, or run all tokens and remember the
        results.
        """
        here = self.at.here(Tokens, place)
        if here is None:
            return original(entering, *args, **kwargs)
        step = here.call.step
        if not here.serving:
            result = original(entering, *args, **kwargs)
            score = self.score(block.section.tokenwise[place[1]], place, result)
            here.remember((result, score, torch.full_like(score, step)))
            return result
        result, _, fresh = here.remembered
        chosen = self.chosen(block, here, place[1])
        if chosen.shape[1]:
            run = original(entering if block.section.joint else taken(entering, chosen), *args, **kwargs)
            result.scatter_(
                1, chosen.unsqueeze(-1).expand_as(run), run
            )  # no other code holds this tensor: the block multiplies it by a gate and adds it
            fresh.scatter_(1, chosen, step)
        return result

    def score(self, source: Source, place: Place, result: Tensor) -> Tensor:
        """Return each token's need to run: (batch, tokens), a vector of length 1 for
        each sample, in float32.
        """
        tokens = result.shape[1]
        if self.site.score == "age":
            return torch.zeros(result.shape[:2], dtype=torch.float32, device=result.device)
        scores = self.scores.pop(place, None)
        if scores is None:
            raise EngineError(
                f"score: the attention's projections are fused, so the score {self.site.score} cannot "
                "be measured; call unfuse_qkv_projections(), or choose attention or age."
            )
        scores = F.normalize(scores[:, :tokens] if source.text else scores[:, -tokens:], dim=-1)
        return -scores if self.site.score == "low_v_norm" else scores

    def chosen(self, block: Block, here: PlaceInCall, name: str) -> Tensor:
        """Return the tokens to run: (batch, chosen). All modules of a single block use the same tokens."""
        place = (block.number, name)
        call = here.call
        if self.choice is None or self.choice[0] is not call or self.choice[1] != place:
            _, score, fresh = self.at.history.at(place).values[0]
            need = score + self.site.aging * (call.step - fresh)
            self.choice = (
                call,
                place,
                need.topk(int(self.shares[block.number] * need.shape[1]), dim=1).indices,
            )
        return self.choice[2]


def heads_of(attention: Any) -> int:
    return attention.heads


def only_output(section: Section) -> str:
    return next(iter(section.tokenwise))
