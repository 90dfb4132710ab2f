"""The embedded model's autoencoder: a fixed linear basis of 16 x 16 patches, behaving like `AutoencoderKL`.

Flux packs 2 x 2 latents of C channels into one token of 4C numbers. Here these 4C numbers are the coordinates
of one 16 x 16 patch in an orthonormal basis (PCA), each divided by the square root of its standard deviation,
so that the coordinates are comparable and large ones still come first.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn


class PatchAutoencoder(ModelMixin, ConfigMixin):
    """Pictures (B, 3, 8h, 8w) in -1..1 <-> latents (B, C, h, w), h and w even."""

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 24,
        patch_size: int = 16,
        scaling_factor: float = 1.0,
        shift_factor: float = 0.0,
        block_out_channels: tuple[int, ...] = (
            1,
            1,
            1,
            1,
        ),  # four entries mean 2 ** 3 = 8 pixels per latent; the values are not read
    ) -> None:
        super().__init__()
        self.patch_size, numbers = patch_size, 4 * latent_channels
        self.basis = nn.Parameter(torch.zeros(3 * patch_size**2, numbers), requires_grad=False)
        self.mean = nn.Parameter(torch.zeros(3 * patch_size**2), requires_grad=False)
        self.scale = nn.Parameter(torch.ones(numbers), requires_grad=False)

    def tokens(self, pictures: Tensor) -> Tensor:
        """Pictures (B, 3, H, W) in -1..1 -> packed tokens (B, HW / 256, 4C), as the transformer sees them."""
        patches = nn.functional.unfold(pictures, self.patch_size, stride=self.patch_size).mT
        return (patches - self.mean) @ self.basis / self.scale

    def patches(self, tokens: Tensor) -> Tensor:
        """Packed tokens (B, HW / 256, 4C) -> pictures' patches (B, HW / 256, 3 * 256)."""
        return (tokens * self.scale) @ self.basis.T + self.mean

    def encode(self, x: Tensor, return_dict: bool = True) -> SimpleNamespace | tuple[SimpleNamespace]:
        """Pictures -> a distribution without variance; use it as `encode(x).latent_dist.mode()`."""
        batch, _, height, width = x.shape
        rows, columns = height // self.patch_size, width // self.patch_size
        z = self.tokens(x).view(batch, rows, columns, -1, 2, 2).permute(0, 3, 1, 4, 2, 5)
        z = z.reshape(batch, -1, 2 * rows, 2 * columns)
        spread = SimpleNamespace(mode=lambda: z, sample=lambda generator=None: z, mean=z)
        return SimpleNamespace(latent_dist=spread) if return_dict else (spread,)

    def decode(
        self, z: Tensor, return_dict: bool = True, generator: torch.Generator | None = None
    ) -> DecoderOutput | tuple[Tensor]:
        """Latents (B, C, h, w) -> pictures (B, 3, 8h, 8w)."""
        batch, channels, height, width = z.shape
        tokens = z.view(batch, channels, height // 2, 2, width // 2, 2).permute(0, 2, 4, 1, 3, 5)
        tokens = tokens.reshape(batch, height * width // 4, 4 * channels)
        size = self.patch_size
        sample = nn.functional.fold(self.patches(tokens).mT, (height * 8, width * 8), size, stride=size)
        return DecoderOutput(sample=sample) if return_dict else (sample,)
