"""Tests each metric against an independent reference on fixed pictures. Networks have random weights, in
files of the real form.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from cache_engine.metric import METRICS, Metric, MetricInput, available_metrics, load_metrics, scores
from cache_engine.strict import EngineError
from studies import image_reward_reference

TOKENIZER = Path(__file__).resolve().parents[2] / "assets" / "tiny_flux" / "tokenizer"
PROMPT = "a small red apple on a blue background"
FROM_FILES = ("lpips", "clip_score", "image_reward")


def pair(strength: float, size: tuple[int, int] = (96, 80), seed: int = 0) -> tuple[Image.Image, Image.Image]:
    """Return a smooth picture, and the same picture with noise."""
    chance = np.random.default_rng(seed)
    small = Image.fromarray(chance.integers(0, 256, (6, 6, 3), dtype=np.uint8))
    first = small.resize(size, Image.Resampling.BICUBIC)
    noisy = np.asarray(first).astype(float) + chance.normal(0, strength, (size[1], size[0], 3))
    return first, Image.fromarray(noisy.clip(0, 255).round().astype(np.uint8))


def score(metric: Metric, strength: float) -> float | None:
    reference, other = pair(strength)
    return metric.score(MetricInput(other, PROMPT, reference))


@pytest.mark.parametrize("strength", [1, 5, 20, 60])
def test_psnr_and_ssim_are_scikit_images(strength: float) -> None:
    from skimage.metrics import peak_signal_noise_ratio, structural_similarity

    reference, other = map(np.asarray, pair(strength))
    assert score(METRICS["psnr"](), strength) == pytest.approx(
        peak_signal_noise_ratio(reference, other), abs=1e-9
    )
    assert score(METRICS["ssim"](), strength) == pytest.approx(
        structural_similarity(reference, other, channel_axis=2), abs=1e-12
    )


@pytest.mark.parametrize(
    ("strength", "true", "wrapped"), [(4, 36.1, 36.1), (8, 30.1, 31.2), (12, 26.6, 29.8), (16, 24.1, 29.1)]
)
def test_the_published_psnr_wraps(strength: float, true: float, wrapped: float) -> None:
    """The reference is integer arithmetic modulo 256, and the result of cache-dit's own function for noise of
    these strengths.
    """
    reference, other = (np.asarray(picture_of_two).astype(int) for picture_of_two in pair(strength))
    figure = score(METRICS["psnr_wrapped"](), strength)
    assert figure == pytest.approx(
        10 * math.log10(255**2 / ((reference - other) ** 2 % 256).mean()), abs=1e-9
    )
    assert figure == pytest.approx(wrapped, abs=0.2)
    assert score(METRICS["psnr"](), strength) == pytest.approx(true, abs=0.2)


def test_identical_pictures_have_no_psnr() -> None:
    assert score(METRICS["psnr"](), 0) is None
    assert score(METRICS["ssim"](), 0) == 1
    flat = [Image.new("RGB", (8, 8), (level, level, level)) for level in (100, 116)]
    assert (
        METRICS["psnr_wrapped"]().score(MetricInput(flat[1], PROMPT, flat[0])) is None
    )  # a difference of 16: its square is 0 modulo 256
    assert METRICS["psnr"]().score(MetricInput(flat[1], PROMPT, flat[0])) == pytest.approx(
        20 * math.log10(255 / 16)
    )


def checkpoint(folder: Path) -> dict[str, torch.Tensor]:
    """Write AlexNet's file with random convolutions. The unused large layers hold one number each, so they
    take no room.
    """
    from torchvision.models import alexnet

    with torch.device("meta"):
        shapes = {name: value.shape for name, value in alexnet().state_dict().items()}
    chance = torch.Generator().manual_seed(0)
    state = {
        name: torch.randn(shape, generator=chance) * 0.05
        if name.startswith("features")
        else torch.zeros(1).expand(shape)
        for name, shape in shapes.items()
    }
    folder.mkdir(parents=True)
    torch.save(state, folder / "alexnet-owt-7be5be79.pth")
    return state


def test_lpips_is_the_lpips_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import lpips

    state = checkpoint(tmp_path / "hub" / "checkpoints")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    reference = lpips.LPIPS(
        net="alex", pnet_rand=True, verbose=False
    ).eval()  # its small layers are trained and part of the package
    for at in range(1, 6):
        for place, layer in getattr(reference.net, f"slice{at}").named_children():
            if isinstance(layer, torch.nn.Conv2d):
                layer.load_state_dict(
                    {kind: state[f"features.{place}.{kind}"] for kind in ("weight", "bias")}
                )
    ours = METRICS["lpips"]()
    for strength in (2, 20, 60):
        first, other = (lpips.im2tensor(np.asarray(image)) for image in pair(strength))
        assert score(ours, strength) == pytest.approx(reference(first, other).item(), abs=1e-6)
    assert score(ours, 0) == 0


def clip_folder(folder: Path) -> Path:
    from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPTokenizer

    words = CLIPTokenizer.from_pretrained(str(TOKENIZER))
    words.save_pretrained(folder)
    size = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2)
    torch.manual_seed(0)
    CLIPModel(
        CLIPConfig(
            text_config=size
            | dict(
                vocab_size=len(words),
                max_position_embeddings=16,
                eos_token_id=words.eos_token_id,
                bos_token_id=words.bos_token_id,
                pad_token_id=words.pad_token_id,
            ),
            vision_config=size | dict(image_size=64, patch_size=16),
            projection_dim=24,
        )
    ).save_pretrained(folder)
    CLIPImageProcessor(size={"shortest_edge": 64}, crop_size={"height": 64, "width": 64}).save_pretrained(
        folder
    )
    return folder


def test_the_clip_score_is_a_hand_written_cosine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from transformers import CLIPModel, CLIPTokenizer

    monkeypatch.setenv("CLIP_MODEL_DIR", str(clip_folder(tmp_path)))
    ours = METRICS["clip_score"]()
    model = CLIPModel.from_pretrained(tmp_path).eval()
    words = CLIPTokenizer.from_pretrained(tmp_path)
    for prompt in (PROMPT, PROMPT * 5):  # the second prompt is longer than the encoder accepts
        picture = pair(20)[1]  # 96 x 80: the shorter side becomes 64, then the middle is cut out
        scaled = (
            np.asarray(picture.resize((76, 64), Image.Resampling.BICUBIC))[:, 6:70].astype(np.float32) / 255
        )
        mean, deviation = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
        image = torch.from_numpy((scaled - np.float32(mean)) / np.float32(deviation)).permute(2, 0, 1)[None]
        ids = torch.tensor([words(prompt, truncation=True, max_length=16)["input_ids"]])
        with torch.no_grad():
            seen = model.visual_projection(model.vision_model(pixel_values=image).pooler_output)[0].numpy()
            read = model.text_projection(model.text_model(input_ids=ids).pooler_output)[0].numpy()
        cosine = float(seen @ read / np.sqrt(seen @ seen) / np.sqrt(read @ read))
        assert ours.score(MetricInput(picture, prompt)) == pytest.approx(100 * cosine, abs=1e-2)


def test_image_reward_is_the_authors_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The reference was recorded from the authors' package on the same random weights: see
    image_reward_reference.py, which also checks the full size.
    """
    recorded = json.loads(image_reward_reference.RECORDED.read_text(encoding="utf-8"))
    monkeypatch.setenv("IMAGEREWARD_MODEL_DIR", str(tmp_path))
    outputs = image_reward_reference.ours(
        "small", recorded["names"]["small"], tmp_path, METRICS["image_reward"]
    )
    assert outputs == pytest.approx(recorded["scores"]["small"], abs=1e-5)
    assert len({round(figure, 3) for figure in outputs}) == 3


def test_a_weight_that_is_missing_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cache_engine.metrics.image_reward import network

    names = json.loads(image_reward_reference.RECORDED.read_text(encoding="utf-8"))["names"]["small"]
    state = {name: torch.zeros(shape) for name, shape in names.items()}
    del state["blip.text_encoder.encoder.layer.1.crossattention.self.key.weight"]
    with pytest.raises(RuntimeError, match=r"crossattention\.self\.key\.weight"):
        network(state, image_reward_reference.SMALL)


@pytest.mark.parametrize("name", FROM_FILES)
def test_absent_weights_are_named_and_skipped(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for variable in ("CLIP_MODEL_DIR", "IMAGEREWARD_MODEL_DIR", "TORCH_HOME"):
        monkeypatch.setenv(variable, str(tmp_path))
    available = available_metrics(f"psnr,{name}")
    assert available.names == ("psnr",)
    assert available.skipped[name].startswith(f"{name} needs ")
    assert str(tmp_path) in available.skipped[name]
    with pytest.raises(EngineError, match=f"^metrics: {name} needs "):
        load_metrics((name,))


def test_what_compares_needs_something_to_compare_with() -> None:
    assert scores(load_metrics(("psnr", "ssim")), MetricInput(pair(1)[0], PROMPT)) == {}


def test_every_metric_says_what_it_is() -> None:
    assert set(METRICS) == {"psnr", "psnr_wrapped", "ssim", *FROM_FILES}
    for metric in METRICS.values():
        assert metric.better in ("higher", "lower")
        assert "" not in (metric.title, metric.source)
        assert "score" in vars(metric)
    assert {name for name, metric in METRICS.items() if not metric.reference} == {
        "clip_score",
        "image_reward",
    }
    with pytest.raises(EngineError, match=r"^metrics: 'fid' is not known; choose among "):
        available_metrics("fid")
