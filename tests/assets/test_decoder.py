"""Tests the embedded model's decoder: its quality on held-out renders, sizes, training data and training."""

from __future__ import annotations

from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from PIL import Image

from assets.train_tiny_flux import __main__ as recipe
from assets.train_tiny_flux.decoder import (
    Finals,
    Part,
    batch,
    grid,
    light_of,
    loss,
    one_minus_ssim,
    picture,
    train,
)
from assets.train_tiny_flux.decoder_quality import blockiness, decoder_quality, eight_bits
from assets.train_tiny_flux.domain import DRAWN, Light, Sampler, Spec
from assets.train_tiny_flux.evaluate import held_out, judge, nearest, reduced
from assets.train_tiny_flux.export import MOST_DECODER_BYTES
from assets.train_tiny_flux.render import render
from cache_engine.models.patch_autoencoder import PatchAutoencoder
from cache_engine.quality import measure

VAE = recipe.OUT / "vae"
NO_FINALS = Finals(torch.zeros(0, 64, 96), [])
PANDA = Spec("panda", "pink", "left", "medium")


@pytest.fixture(scope="module")
def vae() -> PatchAutoencoder:
    return PatchAutoencoder.from_pretrained(VAE, torch_dtype=torch.float32).eval()


def test_held_out_renders_are_drawn_sharply_and_without_seams(vae: PatchAutoencoder) -> None:
    found = decoder_quality(vae, 40)
    assert found.psnr_db >= 33
    assert found.ssim >= 0.97
    assert found.blockiness <= 1.05 * found.render_blockiness


def test_the_committed_autoencoder_is_small() -> None:
    assert sum(path.stat().st_size for path in VAE.iterdir()) <= MOST_DECODER_BYTES


@pytest.mark.parametrize(("height", "width"), [(256, 256), (64, 192), (320, 96), (32, 32)])
def test_a_picture_of_any_size_comes_back_in_its_size(vae: PatchAutoencoder, height: int, width: int) -> None:
    wanted = torch.zeros(2, 3, height, width)
    latents = vae.encode(wanted).latent_dist.mode()
    assert latents.shape == (2, 24, height // 16, width // 16)
    assert vae.decode(latents).sample.shape == wanted.shape


def test_the_latents_of_a_double_picture_are_those_of_the_picture(vae: PatchAutoencoder) -> None:
    """``encode`` and ``decode`` order the numbers of a token as FluxPipeline packs them."""
    from diffusers import FluxPipeline

    single = picture([render(PANDA, Light(1.0, 0.1))])
    latents = vae.encode(torch.nn.functional.interpolate(single, scale_factor=2)).latent_dist.mode()
    packed = FluxPipeline._pack_latents(latents, 1, *latents.shape[1:])
    torch.testing.assert_close(packed, vae.tokens(single), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(vae.decode(latents).sample, vae.decoder(grid(packed)), atol=1e-4, rtol=1e-4)


def test_a_render_of_double_size_is_the_same_picture() -> None:
    for spec, _ in held_out(12):
        double = render(spec, Light(0.95, 0.1), double=True)
        assert double.shape == (DRAWN, DRAWN, 3)
        verdict = judge(spec, nearest(reduced(double)))
        assert verdict.pop("psnr_db") > 25
        assert all(verdict.values())


def test_blockiness_is_1_without_seams_and_grows_with_them() -> None:
    ramp = np.broadcast_to(np.arange(64.0)[:, None, None], (64, 64, 3)) + np.arange(64.0)[:, None]
    assert blockiness(ramp) == pytest.approx(1)
    tiles = ramp + 5 * (np.indices((64, 64)) // 16).sum(0)[..., None]
    assert blockiness(tiles) == pytest.approx(6)
    assert blockiness(np.stack([ramp, tiles])) == pytest.approx(3.5)


def test_the_light_of_a_render_is_found_again(vae: PatchAutoencoder) -> None:
    light = Light(0.9, 0.12)
    found = light_of(vae.tokens(picture([render(PANDA, light)]))[0], PANDA, vae)
    assert found == pytest.approx(light, abs=0.02)


def test_the_loss_knows_the_ssim_of_the_published_tables() -> None:
    rng = np.random.default_rng(2)
    wanted = render(*Sampler(4).draw()[:2], double=True)
    drawn = np.clip(wanted + rng.normal(0, 0.05, wanted.shape), 0, 1).astype(np.float32)
    tables = measure(*(Image.fromarray(eight_bits(one)) for one in (wanted, drawn))).ssim
    assert 1 - float(one_minus_ssim(picture([wanted]), picture([drawn]))) == pytest.approx(tables, abs=0.02)
    assert float(loss(picture([wanted]), picture([wanted]))) == pytest.approx(0, abs=1e-5)


def test_a_third_of_a_batch_are_the_denoisers_own_latents(vae: PatchAutoencoder) -> None:
    rng = Random(1)
    own = Finals(torch.full((2, 64, 96), 7.0), [(PANDA, Light(1, 0)), (PANDA, Light(rng.uniform(0.9, 1), 0))])
    latents, wanted = batch(vae, own, 10, seed=5)
    assert (latents == 7).flatten(1).all(1).tolist() == [False] * 7 + [True] * 3
    panda = [picture([render(*one, double=True)])[0] for one in own.specs]
    assert all(any(torch.equal(drawn, one) for one in panda) for drawn in wanted[7:])
    assert latents.shape == (10, 96, 8, 8)
    assert len(batch(vae, NO_FINALS, 3, seed=5)[1]) == 3


def test_a_stopped_training_ends_with_the_weights_of_an_uninterrupted_one(
    tmp_path: Path, vae: PatchAutoencoder
) -> None:
    def fresh() -> PatchAutoencoder:
        torch.manual_seed(0)
        other = PatchAutoencoder()
        for name in ("basis", "mean", "scale"):
            getattr(other, name).data.copy_(getattr(vae, name))
        return other

    whole, stopped, resumed = fresh(), fresh(), fresh()
    part = Part("short", 3, 1e-3, seed=5, border=2.0)
    train(whole, NO_FINALS, tmp_path / "whole", part, size=2)
    train(stopped, NO_FINALS, tmp_path / "stopped", part, size=2, stop_at=2)
    train(resumed, NO_FINALS, tmp_path / "stopped", part, size=2)
    for ours, theirs in zip(whole.decoder.parameters(), resumed.decoder.parameters(), strict=True):
        assert torch.equal(ours, theirs)
    assert not torch.equal(stopped.decoder.paint.weight, resumed.decoder.paint.weight)
