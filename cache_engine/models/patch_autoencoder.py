"""The embedded model's autoencoder: a linear encoder and a convolutional decoder, used like `AutoencoderKL`.

Flux packs 2 x 2 latents of C channels into one token of 4C numbers. Here these 4C numbers are the coordinates
of one 16 x 16 patch of the half-size picture in an orthonormal basis (PCA), each divided by the square root
of its standard deviation, so that the coordinates are comparable and large ones still come first. The decoder
draws 32 x 32 pixels for a token.
"""

from __future__ import annotations

from types import SimpleNamespace

import torch
from diffusers.configuration_utils import ConfigMixin, register_to_config
from diffusers.models.autoencoders.vae import DecoderOutput
from diffusers.models.modeling_utils import ModelMixin
from torch import Tensor, nn

from .patch_decoder import PictureDecoder


class PatchAutoencoder(ModelMixin, ConfigMixin):
    """Pictures (B, 3, 16h, 16w) in -1..1 <-> latents (B, C, h, w), h and w even.

    latent_channels: C. patch_size: side in pixels of a patch of the half-size picture. block_out_channels:
    five entries mean 2 ** 4 = 16 pixels per latent; the values are not read.
    """

    @register_to_config
    def __init__(
        self,
        latent_channels: int = 24,
        patch_size: int = 16,
        scaling_factor: float = 1.0,
        shift_factor: float = 0.0,
        block_out_channels: tuple[int, ...] = (1, 1, 1, 1, 1),
    ) -> None:
        super().__init__()
        self.patch_size, numbers = patch_size, 4 * latent_channels
        self.basis = nn.Parameter(torch.zeros(3 * patch_size**2, numbers), requires_grad=False)
        self.mean = nn.Parameter(torch.zeros(3 * patch_size**2), requires_grad=False)
        self.scale = nn.Parameter(torch.ones(numbers), requires_grad=False)
        self.decoder = PictureDecoder(numbers).requires_grad_(False)

    def tokens(self, pictures: Tensor) -> Tensor:
        """Half-size pictures (B, 3, H, W) in -1..1 -> packed tokens (B, HW / 256, 4C), as the transformer
        sees them.
        """
        patches = nn.functional.unfold(pictures, self.patch_size, stride=self.patch_size).mT
        return (patches - self.mean) @ self.basis / self.scale

    def patches(self, tokens: Tensor) -> Tensor:
        """Packed tokens (B, HW / 256, 4C) -> patches of the half-size pictures (B, HW / 256, 3 * 256)."""
        return (tokens * self.scale) @ self.basis.T + self.mean

    def encode(self, x: Tensor, return_dict: bool = True) -> SimpleNamespace | tuple[SimpleNamespace]:
        """Pictures -> a distribution without variance; use it as `encode(x).latent_dist.mode()`."""
        batch, _, height, width = x.shape
        rows, columns = height // (2 * self.patch_size), width // (2 * self.patch_size)
        z = self.tokens(nn.functional.avg_pool2d(x, 2)).mT.reshape(batch, -1, rows, columns)
        z = nn.functional.pixel_shuffle(z, 2)
        spread = SimpleNamespace(mode=lambda: z, sample=lambda generator=None: z, mean=z)
        return SimpleNamespace(latent_dist=spread) if return_dict else (spread,)

    def decode(
        self, z: Tensor, return_dict: bool = True, generator: torch.Generator | None = None
    ) -> DecoderOutput | tuple[Tensor]:
        """Latents (B, C, h, w) -> pictures (B, 3, 16h, 16w)."""
        sample = self.decoder(nn.functional.pixel_unshuffle(z, 2))
        return DecoderOutput(sample=sample) if return_dict else (sample,)
