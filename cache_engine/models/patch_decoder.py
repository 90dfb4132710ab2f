"""The embedded model's decoder: a small convolutional network that draws two layers and blends them.

The back layer is smooth: one colour at each corner of the token grid, interpolated between the corners. The
front layer has the details: colours, and for each pixel the share of the back layer that is seen through it.
Plain backgrounds therefore have no seams between tokens.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

WIDTHS = (256, 128, 96, 48, 24)  # channels of the stages with 1, 2, 4, 8 and 16 cells per side of a token
BLOCKS = (2, 1, 1, 1, 1)  # residual blocks in each stage
CELL = 2 ** (len(WIDTHS) - 1)  # cells per side of a token in the last stage; a cell becomes 2 x 2 pixels
PIXELS = 2 * CELL  # side of a token in the drawn picture


class Block(nn.Module):
    """Features plus two 3 x 3 convolutions of them; it starts as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)

    def forward(self, x: Tensor) -> Tensor:
        """Features (batch, width, rows, columns) -> features of the same shape."""
        return x + self.second(nn.functional.silu(self.first(x)))


class PictureDecoder(nn.Module):
    """A grid of tokens (batch, numbers, h, w) -> pictures (batch, 3, 32 h, 32 w), about -1..1.

    numbers: coordinates of a token.
    """

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.read = nn.Conv2d(numbers, WIDTHS[0], 3, padding=1)
        stages: list[nn.Module] = []
        for width, blocks, following in zip(WIDTHS, BLOCKS, (*WIDTHS[1:], 0)):
            stages += [Block(width) for _ in range(blocks)]
            if following:
                stages += [nn.Conv2d(width, 4 * following, 1), nn.PixelShuffle(2)]
        self.details = nn.Sequential(*stages[BLOCKS[0] :])
        self.common = nn.Sequential(*stages[: BLOCKS[0]])
        self.paint = nn.Conv2d(WIDTHS[-1], 4 * 4, 3, padding=1)
        self.corners = nn.Conv2d(WIDTHS[0], 3, 2, padding=1, padding_mode="replicate")

    def forward(self, latents: Tensor) -> Tensor:
        """Draw the pictures; see the class for the shapes."""
        rows, columns = latents.shape[2:]
        common = self.common(self.read(latents))
        back = nn.functional.interpolate(
            self.corners(common), (PIXELS * rows, PIXELS * columns), mode="bilinear", align_corners=True
        )
        front = nn.functional.pixel_shuffle(self.paint(self.details(common)), 2)
        colour, seen_through = front[:, :3], torch.sigmoid(front[:, 3:])
        return torch.lerp(colour, back, seen_through)
