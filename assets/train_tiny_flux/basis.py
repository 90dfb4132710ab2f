"""The latent: PCA of 16 x 16 patches over training renders, half-whitened."""

from __future__ import annotations

import numpy as np
import torch

from cache_engine.models.patch_autoencoder import PatchAutoencoder

from .domain import Sampler
from .render import render

CHANNELS = 24  # channels of a latent; a token has 4 x 24 = 96 numbers


def pictures(count: int, seed: int) -> torch.Tensor:
    """Training renders (count, 3, 128, 128) in -1..1."""
    sampler = Sampler(seed)
    drawn = np.stack([render(spec, light) for spec, light, _ in (sampler.draw() for _ in range(count))])
    return torch.from_numpy(drawn).permute(0, 3, 1, 2).contiguous() * 2 - 1


@torch.no_grad()
def fit(count: int = 3000, seed: int = 1) -> PatchAutoencoder:
    """Fit an autoencoder to renders, always with the same result. Latents have unit variance on average."""
    vae = PatchAutoencoder(latent_channels=CHANNELS).eval()
    drawn = pictures(count, seed)
    patches = torch.nn.functional.unfold(drawn, 16, stride=16).mT.reshape(-1, 768)
    patches = patches[
        torch.randperm(len(patches), generator=torch.Generator().manual_seed(seed))[:60_000]
    ].double()
    vae.mean.copy_(patches.mean(0))
    centred = patches - patches.mean(0)
    variance, vectors = torch.linalg.eigh(centred.T @ centred / len(centred))
    deviation = variance.flip(0)[: 4 * CHANNELS].sqrt()
    basis = vectors.flip(1)[:, : 4 * CHANNELS]
    basis = basis * torch.sign(
        basis[basis.abs().argmax(0), torch.arange(basis.shape[1])]
    )  # make signs unique: eigh may return either
    vae.basis.copy_(basis)
    vae.scale.copy_(deviation.sqrt() * deviation.mean().sqrt())
    return vae
