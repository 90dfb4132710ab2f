"""Chooses the positions of the image stream that a recorder samples."""

from __future__ import annotations

import torch
from torch import Tensor

MOST_TOKENS = (
    # number of tokens that positions are drawn from; they take 0.4 GB at FLUX.1-dev's size until the first
    # call ends
    1024
)
# this share of the draw is spread evenly over the channels, because small channels may grow later
EVEN_SHARE = 0.5


class SampledPositions:
    """Samples the same positions of every tensor.

    During the first call, whole tokens spread over the picture are kept; then positions are drawn among them.
    Half of a channel's share is the same for all channels; the other half follows the channel's part of
    mean|residual|, averaged over the blocks.

    most: number of positions to sample.
    """

    def __init__(self, image: Tensor, most: int, blocks: int) -> None:
        tokens, self.channels = image.shape[0] * image.shape[1], image.shape[2]
        self.most = min(most, image.numel())
        self.whole = self.open = self.most == image.numel()
        self.open = not self.whole
        self.weights = torch.full((self.most,), 1 / self.most, device=image.device)
        if self.open:
            host = torch.Generator().manual_seed(0)  # separate from the generators that draw pictures
            count = min(tokens, MOST_TOKENS)
            spread = (torch.arange(count) + torch.rand(count, generator=host)) * tokens / count
            self.tokens = (
                spread.long().clamp_(max=tokens - 1)[torch.randperm(count, generator=host)].to(image.device)
            )
            self.rows = image.new_empty(1 + blocks, count, self.channels)

    def take(self, place: int, image: Tensor, into: Tensor) -> None:
        if self.whole:
            into[place] = image.flatten()
        elif self.open:
            torch.index_select(image.reshape(-1, self.channels), 0, self.tokens, out=self.rows[place])
        else:
            torch.index_select(image.reshape(-1), 0, self.positions, out=into[place])

    def of(self, signal: Tensor) -> Tensor:
        """Return another tensor's values at the sampled positions."""
        return signal.flatten() if self.whole else torch.index_select(signal.reshape(-1), 0, self.positions)

    def close(self, into: Tensor) -> None:
        """End the first call: draw the positions, and write the call's own values into ``into``.

        The draw is systematic, so every channel gets its share.
        """
        sizes = (self.rows[1:] - self.rows[0]).float().abs().mean(dim=1)
        profile = (sizes / sizes.sum(dim=1, keepdim=True).clamp(min=torch.finfo(torch.float32).tiny)).mean(
            dim=0
        )
        share = EVEN_SHARE / self.channels + (1 - EVEN_SHARE) * profile / profile.sum()
        ticks = (torch.arange(self.most, device=into.device) + 0.5) / self.most
        channel = torch.searchsorted(share.cumsum(0), ticks).clamp_(max=self.channels - 1)
        slot = torch.arange(self.most, device=into.device) % len(self.tokens)
        self.positions = self.tokens[slot] * self.channels + channel
        self.weights = 1 / (share[channel] * self.channels * self.most)
        into.copy_(self.rows.flatten(1).index_select(1, slot * self.channels + channel))
        self.open = False
        del self.rows
